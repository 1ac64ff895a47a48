package track_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/track"
)

// ahead lets a filter follow an experiment from a tenth of a second on, in
// portions of random length, one record sometimes ahead of the other.
func ahead(t testing.TB, e pairs.Experiment, portions uint64) ([]track.Knot, *track.Filter, pairs.Truth) {
	t.Helper()
	a, b, tr := e.Make()
	f := track.NewFilter(seedAt(tr, tr.Start+1e11))
	if portions == 0 {
		knots, err := f.Advance(a, b)
		if err != nil {
			t.Fatal(err)
		}
		return knots, f, tr
	}
	rng := rand.New(rand.NewPCG(portions, 1))
	var knots []track.Knot
	for len(a)+len(b) > 0 {
		na, nb := min(len(a), rng.IntN(30_000)), min(len(b), rng.IntN(30_000))
		more, err := f.Advance(a[:na], b[:nb])
		if err != nil {
			t.Fatal(err)
		}
		knots, a, b = append(knots, more...), a[na:], b[nb:]
	}
	return knots, f, tr
}

// judgeLive returns the share of knots within three of their standard
// deviations, and the errors' root mean square in those.
func judgeLive(knots []track.Knot, tr pairs.Truth) (within, scaled float64) {
	for _, k := range knots {
		d := k.Offset.Minus(tr.OffsetAt(k.Time)) / k.OffsetSD
		scaled += d * d
		if math.Abs(d) <= 3 {
			within++
		}
	}
	n := float64(len(knots))
	return within / n, math.Sqrt(scaled / n)
}

func TestLiveStandardDeviationsAreHonest(t *testing.T) {
	for _, e := range []pairs.Experiment{
		{Seconds: 15, Frequency: 12e-9, WhiteFM: 1e-10, Seed: 41},
		{Seconds: 15, WhiteFM: 1e-9, RandomWalkFM: 1e-9, Seed: 42},
		{Seconds: 15, Sine: 20e3, SinePeriod: 20, Seed: 43},
		{Seconds: 15, Seed: 44},
	} {
		knots, f, tr := ahead(t, e, 0)
		if within, scaled := judgeLive(knots, tr); within < 0.98 || scaled > 1.25 {
			t.Errorf("seed %d: %.4f of %d knots are within 3 standard deviations, rms %.2f", e.Seed, within, len(knots), scaled)
		}
		if s := f.State(); len(knots) < 240 || !s.Tracking || len(s.Steps) > 0 {
			t.Errorf("seed %d: %d knots, %+v", e.Seed, len(knots), s)
		}
	}
}

func TestPortionsDoNotMatter(t *testing.T) {
	e := pairs.Experiment{Seconds: 4, WhiteFM: 1e-10, Seed: 45, NoPairs: []pairs.Span{{From: 1, To: 1.4}}, Steps: []pairs.Step{{At: 2.5, Size: 1e6}}}
	whole, f, _ := ahead(t, e, 0)
	for portions := range uint64(3) {
		parts, g, _ := ahead(t, e, portions+1)
		if len(parts) != len(whole) || len(whole) < 50 || len(g.State().Steps) != len(f.State().Steps) {
			t.Fatalf("%d knots and %d, steps %v and %v", len(parts), len(whole), g.State().Steps, f.State().Steps)
		}
		for i := range parts {
			if parts[i] != whole[i] {
				t.Fatalf("knot %d is %+v, in portions %+v", i, whole[i], parts[i])
			}
		}
	}
}

func TestLiveSteps(t *testing.T) {
	for _, size := range []float64{600, -5e3, 1e6, -2e9} {
		knots, f, tr := ahead(t, pairs.Experiment{Seconds: 6, WhiteFM: 5e-12, Seed: 46, Steps: []pairs.Step{{At: 3.3, Size: size}}}, 0)
		steps := f.State().Steps
		if len(steps) != 1 {
			t.Errorf("%.0f ps: steps %+v", size, steps)
			continue
		}
		s := steps[0]
		if at := float64(s.Time-tr.Start) / 1e12; math.Abs(at-3.3)*1e12 > 4*s.TimeSD || s.TimeSD > 0.2e12 {
			t.Errorf("%.0f ps at 3.3 s is found at %.3f +- %.3f s", size, at, s.TimeSD/1e12)
		}
		// The slice that the step is in belongs to neither side: it is off by
		// what its pairs are a mean of.
		if math.Abs(s.Offset-size) > 5*s.OffsetSD+0.5*min(math.Abs(size), 1000) {
			t.Errorf("%.0f ps is measured as %.1f +- %.1f ps", size, s.Offset, s.OffsetSD)
		}
		if within, _ := judgeLive(knots, tr); within < 0.97 {
			t.Errorf("%.0f ps: %.3f of knots within 3 standard deviations", size, within)
		}
	}
}

// TestLiveLoss ends the pairs: the filter says so, and how far the clock may
// have gone.
func TestLiveLoss(t *testing.T) {
	_, f, tr := ahead(t, pairs.Experiment{Seconds: 8, WhiteFM: 1e-10, Seed: 47, NoPairs: []pairs.Span{{From: 4, To: 9}}}, 0)
	s := f.State()
	if last := float64(s.LastPair-tr.Start) / 1e12; s.Tracking || math.Abs(last-4) > 0.1 {
		t.Errorf("%+v, last pair at %.3f s", s, last)
	}
	before := 0.0
	for _, at := range []float64{4.1, 5, 8, 100} {
		time := tr.Start + uint64(at*1e12)
		offset, sd := f.At(time)
		if sd <= before {
			t.Errorf("%.1f s: %.1f ps after %.1f", at, sd, before)
		}
		if d := offset.Minus(tr.OffsetAt(time)); at < 9 && math.Abs(d) > 4*sd {
			t.Errorf("%.1f s: off by %.1f ps where %.1f are stated", at, d, sd)
		}
		before = sd
	}
}

func TestFilterRefuses(t *testing.T) {
	a, b, tr := pairs.Experiment{Seconds: 0.5, Seed: 48}.Make()
	f := track.NewFilter(seedAt(tr, tr.Start))
	if _, err := f.Advance(a[100:200], b[100:200]); err != nil {
		t.Fatal(err)
	}
	_, err := f.Advance(a[:50], nil)
	if err == nil || !strings.Contains(err.Error(), "in order of time") {
		t.Errorf("tags that go back: %v", err)
	}
	if _, again := f.Advance(nil, b[200:]); again != err {
		t.Errorf("after that: %v", again)
	}
	bad := seedAt(tr, tr.Start)
	bad.Line.Offset = 1 << 62
	if _, err := track.NewFilter(bad).Advance(a, b); err == nil {
		t.Error("an offset of 53 days is taken")
	}
}

// TestFilterIsBounded gives tags of one record only.
func TestFilterIsBounded(t *testing.T) {
	f := track.NewFilter(track.Seed{Jitter: 100, PairRate: 1e6})
	portion := make([]uint64, 1<<20)
	for k := range 17 {
		for i := range portion {
			portion[i] = uint64(k<<20+i) * 1000
		}
		if _, err := f.Advance(portion, nil); err != nil {
			if k < 15 || !strings.Contains(err.Error(), "ahead") {
				t.Errorf("portion %d: %v", k, err)
			}
			return
		}
	}
	t.Error("17 million tags of A are kept without one of B")
}
