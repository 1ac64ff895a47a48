package align_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

var markerPrior = align.Options{Search: 20 * ms, MaxDrift: 20 * ppm}

// trueTo says whether an answer is, at its ends and in the middle, within five
// of its deviations.
func trueTo(t *testing.T, r align.Alignment, truth pairs.Truth) {
	t.Helper()
	for _, at := range []uint64{r.Start, r.Reference, r.Start + uint64(r.Overlap)} {
		x, sd := r.OffsetAt(at)
		if miss := x.Minus(truth.OffsetAt(at)); math.Abs(miss) > 5*sd || !(sd > 0) {
			t.Errorf("%d ps after the start off by %.3f ps, sd %.3f", at-r.Start, miss, sd)
		}
	}
}

// Markers that are few, scatter much or not at all, miss some, or have others
// among them are answered.
func TestAlignMarkersOfAllKinds(t *testing.T) {
	pps := pairs.Experiment{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 30e3, Frequency: 1e-7}
	with := func(change func(e *pairs.Experiment)) pairs.Experiment {
		e := pps
		change(&e)
		return e
	}
	for _, c := range []struct {
		name   string
		e      pairs.Experiment
		damage func(rng *rand.Rand, tags []uint64) []uint64
		atMost float64 // ps, sd
	}{
		{"30 ns", pps, nil, 8e3},
		{"100 ns", with(func(e *pairs.Experiment) { e.MarkerJitter = 100e3 }), nil, 30e3},
		{"four", with(func(e *pairs.Experiment) { e.Seconds = 4 }), nil, 1e6},
		{"five", with(func(e *pairs.Experiment) { e.Seconds = 5 }), nil, 3e5},
		{"four without jitter", with(func(e *pairs.Experiment) { e.Seconds, e.MarkerJitter, e.Frequency = 4, 0, 1.2345e-7 }), nil, 1e4},
		{"60 without jitter", with(func(e *pairs.Experiment) { e.MarkerJitter, e.Frequency = 0, 1.2345e-7 }), nil, 1e4},
		{"1 kHz without jitter", with(func(e *pairs.Experiment) { e.MarkerPeriod, e.MarkerJitter, e.Seconds, e.Offset = 1e-3, 0, 10, ms/4 }), nil, 1e4},
		{"10 kHz", with(func(e *pairs.Experiment) { e.MarkerPeriod, e.MarkerJitter, e.Seconds, e.Offset = 1e-4, 100, 10, ms/40 }), nil, 2},
		{"10 MHz", with(func(e *pairs.Experiment) {
			e.MarkerPeriod, e.MarkerJitter, e.Seconds, e.Offset = 1e-7, 100, 0.2, 20_000
		}), nil, 2},
		{"some missing", pps, func(rng *rand.Rand, tags []uint64) []uint64 { return without(tags, 0.2, rng) }, 1.2e4},
		{"first and last missing", pps, func(rng *rand.Rand, tags []uint64) []uint64 { return tags[rng.IntN(3) : len(tags)-rng.IntN(3)] }, 8e3},
		{"some doubled", pps, func(rng *rand.Rand, tags []uint64) []uint64 {
			return mixed(tags, 10, func(int) uint64 { return tags[rng.IntN(len(tags))] + 1_000_000 })
		}, 8e3},
		{"some astray", pps, func(rng *rand.Rand, tags []uint64) []uint64 {
			return mixed(tags, 8, func(int) uint64 { return tags[0] + rng.Uint64N(60e12) })
		}, 8e3},
		{"astray before the first", pps, func(_ *rand.Rand, tags []uint64) []uint64 {
			return mixed(tags, 1, func(int) uint64 { return tags[0] - 4e11 })
		}, 8e3},
		{"doubled, missing, astray", pps, func(rng *rand.Rand, tags []uint64) []uint64 {
			tags = without(tags, 0.1, rng)
			return mixed(tags, 6, func(i int) uint64 { return tags[rng.IntN(len(tags))] + uint64(i)*1e11 })
		}, 9e3},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range min(8, 1+uint64(400_000*c.e.MarkerPeriod/c.e.Seconds)) {
				c.e.Seed = 40 + seed
				a, b := c.e.Markers()
				if c.damage != nil {
					rng := rand.New(rand.NewPCG(seed, 8))
					a, b = c.damage(rng, a), c.damage(rng, b)
				}
				o := markerPrior
				if c.e.MarkerPeriod < 0.04 {
					o.Search = int64(c.e.MarkerPeriod * 1e12 / 2.1)
				}
				r, err := align.AlignMarkers(context.Background(), a, b, o)
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
					continue
				}
				trueTo(t, r, c.e.Truth())
				if r.OffsetSD > c.atMost {
					t.Errorf("seed %d: sd %.3g ps, want %.3g", seed, r.OffsetSD, c.atMost)
				}
			}
		})
	}
}

// mixed returns the tags with others among them, in order.
func mixed(tags []uint64, n int, other func(i int) uint64) []uint64 {
	all := slices.Clone(tags)
	for i := range n {
		all = append(all, other(i))
	}
	slices.Sort(all)
	return all
}

// A jump of the clock is named, and followed where its markers say by how much.
func TestAlignMarkersNamesJumps(t *testing.T) {
	for _, c := range []struct {
		name    string
		e       pairs.Experiment
		refused bool
	}{
		{"1 us among 60 of 30 ns", pairs.Experiment{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 30e3, Steps: []pairs.Step{{At: 30.5, Size: 1e6}}}, false},
		{"300 ns among 60 of 30 ns", pairs.Experiment{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 30e3, Steps: []pairs.Step{{At: 24.5, Size: 3e5}}}, false},
		{"-5 ms among 60 of 50 ps", pairs.Experiment{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 50, Steps: []pairs.Step{{At: 30.5, Size: -5e9}}}, false},
		{"two", pairs.Experiment{Seconds: 90, MarkerPeriod: 1, MarkerJitter: 30e3, Steps: []pairs.Step{{At: 30.5, Size: 2e6}, {At: 60.5, Size: -3e6}}}, false},
		{"without jitter", pairs.Experiment{Seconds: 60, MarkerPeriod: 1, Steps: []pairs.Step{{At: 30.5, Size: 1e6}}}, false},
		{"1 kHz by 30 ns", pairs.Experiment{Seconds: 10, MarkerPeriod: 1e-3, MarkerJitter: 50, Offset: ms / 4, Steps: []pairs.Step{{At: 4.0005, Size: 3e4}}}, false},
		{"0.4 s among 60", pairs.Experiment{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 30e3, Steps: []pairs.Step{{At: 30.5, Size: 4e11}}}, true},
		{"near the end", pairs.Experiment{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 50, Steps: []pairs.Step{{At: 56.5, Size: 1e6}}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(5) {
				c.e.Seed = 70 + seed
				a, b := c.e.Markers()
				o := markerPrior
				if c.e.MarkerPeriod < 0.04 {
					o.Search = int64(c.e.MarkerPeriod * 1e12 / 2.1)
				}
				r, err := align.AlignMarkers(context.Background(), a, b, o)
				var refusal *align.Refusal
				if c.refused {
					if !errors.As(err, &refusal) || refusal.Code != "not-straight" || !strings.Contains(refusal.Reason, "jumps by") {
						t.Errorf("seed %d: %+v, %v", seed, r, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
					continue
				}
				if r.Track == nil || len(r.Track.Steps) != len(c.e.Steps) {
					t.Errorf("seed %d: track %+v", seed, r.Track)
					continue
				}
				for i, s := range r.Track.Steps {
					at, size := float64(s.Time-c.e.Truth().Start)*1e-12, c.e.Steps[i].Size
					if math.Abs(at-c.e.Steps[i].At) > c.e.MarkerPeriod || math.Abs(s.Offset-size) > 5*s.OffsetSD {
						t.Errorf("seed %d: a step of %.4g ± %.2g ps at %.3f s, truly of %.4g", seed, s.Offset, s.OffsetSD, at, size)
					}
				}
				trueTo(t, r, c.e.Truth())
				for _, k := range r.Track.Knots {
					if miss := k.Offset.Minus(c.e.Truth().OffsetAt(k.Time)); math.Abs(miss) > 5*k.OffsetSD+0.5 {
						t.Errorf("seed %d: knot off by %.1f ps, sd %.1f", seed, miss, k.OffsetSD)
					}
				}
			}
		})
	}
}

// A clock that wanders between the markers is known no better than it wanders;
// what is well below their jitter cannot be told from it.
func TestAlignMarkersOfAWanderingClock(t *testing.T) {
	for _, c := range []pairs.Experiment{
		{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 50, RandomWalkFM: 1e-10},
		{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 50, WhiteFM: 1e-9},
		{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 5000, Sine: 4000, SinePeriod: 40},
		{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 5000, Drift: 1e-10},
	} {
		off, all := 0, 0
		for seed := range uint64(10) {
			c.Seed = 90 + seed
			a, b := c.Markers()
			r, err := align.AlignMarkers(context.Background(), a, b, markerPrior)
			if err != nil {
				t.Errorf("%+v: %v", c, err)
				continue
			}
			truth := c.Truth()
			for at := r.Start; at < r.Start+uint64(r.Overlap); at += 1e12 {
				x, sd := r.OffsetAt(at)
				if all++; math.Abs(x.Minus(truth.OffsetAt(at))) > 3*sd {
					off++
				}
			}
		}
		t.Logf("%d of %d beyond 3 sd", off, all)
		if off > all/10 {
			t.Errorf("%+v: %d of %d beyond 3 sd", c, off, all)
		}
	}
}

// What markers do not tell is not told.
func TestAlignMarkersLeavesOpen(t *testing.T) {
	second := pairs.Experiment{Seconds: 10, MarkerPeriod: 1, MarkerJitter: 50}
	for _, c := range []struct {
		name   string
		e      pairs.Experiment
		search int64
		code   string
		ends   int // markers that A has
		begins int // markers that B lacks at first
	}{
		{"whole seconds", second, 3000 * ms, "ambiguous", 10, 0},
		{"whole seconds of four", pairs.Experiment{Seconds: 4, MarkerPeriod: 1, MarkerJitter: 50}, 3000 * ms, "ambiguous", 4, 0},
		{"fewer than four of the same", second, 20 * ms, "no-overlap", 5, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.e.Seed = 5
			a, b := c.e.Markers()
			r, err := align.AlignMarkers(context.Background(), a[:c.ends], b[c.begins:], align.Options{Search: c.search, MaxDrift: 20 * ppm})
			var refusal *align.Refusal
			if !errors.As(err, &refusal) || refusal.Code != c.code {
				t.Fatalf("got %+v, %v, want %s", r, err, c.code)
			}
			if strings.Contains(refusal.Reason+refusal.Hint, "light") {
				t.Errorf("markers are no light: %v", refusal)
			}
		})
	}
}

// Losses of each node by itself meet by chance; that is no pattern.
func TestAlignMarkersLostByChance(t *testing.T) {
	for _, c := range []struct{ period, loss float64 }{{1e-3, 0.01}, {1e-3, 0.03}, {1e-3, 0.1}, {1e-2, 0.1}} {
		for seed := range uint64(10) {
			rng := rand.New(rand.NewPCG(seed, 12))
			e := pairs.Experiment{Seed: 60 + seed, Seconds: 10, MarkerPeriod: c.period, MarkerJitter: 50, Offset: 5 * ms}
			a, b := e.Markers()
			r, err := align.AlignMarkers(context.Background(), without(a, c.loss, rng), without(b, c.loss, rng), align.Options{Search: 50 * ms, MaxDrift: 20 * ppm})
			var refusal *align.Refusal
			if !errors.As(err, &refusal) || refusal.Code != "ambiguous" {
				t.Errorf("%g s, %g lost, seed %d: %v, %v", c.period, c.loss, seed, r.Offset, err)
			}
		}
	}
}

// Markers of which so many are off the beat that it is not told who keeps it are refused
// for that, whatever their steps are: photons they are not.
func TestMarkersOffTheBeat(t *testing.T) {
	for _, step := range []uint64{1, 100_000} {
		var a, b []uint64
		for i := range uint64(200) {
			at := 1_000_000_000_000 + i*100_000_000_000
			a, b = append(a, at), append(b, at+5_000_000)
			if i%10 < 4 { // of 280 tags, 80
				a = append(a, at+(30+i%40)*1_000_000_000/step*step)
			}
		}
		_, err := align.AlignMarkers(context.Background(), a, b, markerPrior)
		var refusal *align.Refusal
		if !errors.As(err, &refusal) || refusal.Code != "off-beat" || !strings.Contains(refusal.Reason, "28.6 % of A's markers") {
			t.Errorf("steps of %d ps: %v", step, err)
		}
	}
}
