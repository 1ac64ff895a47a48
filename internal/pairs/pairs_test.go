package pairs_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tsrun/internal/pairs"
)

// onlyPairs is an experiment whose every tag is of a pair and so far from the
// next that the n-th tags of both are one.
func onlyPairs(seed uint64) pairs.Experiment {
	return pairs.Experiment{Seed: seed, Seconds: 10, SinglesA: 1000, SinglesB: 1000, Pairs: 1000, JitterA: 300, JitterB: 400}
}

// scatter returns mean and standard deviation of what n-th tags differ by
// beside the truth.
func scatter(t *testing.T, a, b []uint64, truth pairs.Truth) (mean, sd float64) {
	t.Helper()
	if len(a) != len(b) || len(a) != truth.Recorded || len(a) < 100 {
		t.Fatalf("%d and %d tags, %d pairs", len(a), len(b), truth.Recorded)
	}
	var sum, squares float64
	for i := range a {
		off := float64(int64(b[i]-a[i])-truth.OffsetAt(a[i]).Whole) - truth.OffsetAt(a[i]).Part
		sum, squares = sum+off, squares+off*off
	}
	n := float64(len(a))
	return sum / n, math.Sqrt(squares/n - sum/n*sum/n)
}

func TestPairsLieOnTheTruth(t *testing.T) {
	tests := []struct {
		name   string
		change func(*pairs.Experiment)
	}{
		{"straight", func(e *pairs.Experiment) { e.Frequency = -2e-5 }},
		{"drift", func(e *pairs.Experiment) { e.Drift = 1e-6 }},
		{"sine", func(e *pairs.Experiment) { e.Sine, e.SinePeriod = 20_000, 3 }},
		{"steps", func(e *pairs.Experiment) { e.Steps = []pairs.Step{{At: 3, Size: 1e6}, {At: 5, Size: -3e5}} }},
		{"noise", func(e *pairs.Experiment) { e.WhiteFM, e.RandomWalkFM = 1e-9, 1e-9 }},
		{"readings beyond 2^53", func(e *pairs.Experiment) { e.Start, e.Offset = 1<<63, 1<<58 }},
		{"offset backwards", func(e *pairs.Experiment) { e.Offset = -1e12 }},
		{"pulses", func(e *pairs.Experiment) { e.PulsePeriod, e.PulseWidth = 12_500, 20 }},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := onlyPairs(uint64(i))
			test.change(&e)
			a, b, truth := e.Make()
			mean, sd := scatter(t, a, b, truth)
			// The slack is what a clock gains within A's jitter; 4 and 3 % are deviations of 10000 pairs.
			if math.Abs(mean) > 4*truth.Sigma/100+0.1 || math.Abs(sd/500-1) > 0.03 || truth.Sigma != 500 {
				t.Errorf("pairs lie %g ps beside the truth, sd %g", mean, sd)
			}
		})
	}
}

func TestTagsAreInOrderAndCountAsAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := pairs.Experiment{
			Seed: rapid.Uint64().Draw(t, "seed"), Seconds: rapid.Float64Range(0.05, 0.5).Draw(t, "seconds"),
			SinglesA: rapid.Float64Range(5e3, 5e4).Draw(t, "a"), SinglesB: rapid.Float64Range(5e3, 5e4).Draw(t, "b"),
			Pairs: rapid.OneOf(rapid.Just(-1.0), rapid.Float64Range(1, 4e3)).Draw(t, "pairs"), PulsePeriod: rapid.SampledFrom([]float64{0, 1e4, 1e6}).Draw(t, "period"),
			JitterA: rapid.Float64Range(1, 1e6).Draw(t, "jitter"), Flicker: rapid.Float64Range(0, 1).Draw(t, "flicker"),
			FlickerHz: 400, WhiteFM: rapid.SampledFrom([]float64{0, 1e-9}).Draw(t, "noise"),
			DelaysA: rapid.SampledFrom([][]float64{nil, {0, 5e4, -3e5}}).Draw(t, "delays"),
		}
		a, b, truth := e.Make()
		again, _, _ := e.Make()
		if !slices.IsSorted(a) || !slices.IsSorted(b) || !slices.Equal(a, again) {
			t.Fatal("the tags are not in order, or not the same again")
		}
		for _, c := range []struct {
			what string
			got  int
			rate float64
		}{{"tags of A", len(a), e.SinglesA}, {"tags of B", len(b), e.SinglesB}, {"pairs", truth.Recorded, max(e.Pairs, 0)}} {
			// A whole number of flicker's periods is not asked for: one of them may be missing.
			want := c.rate * e.Seconds
			if math.Abs(float64(c.got)-want) > 6*math.Sqrt(want)+e.Flicker*c.rate/e.FlickerHz+6 {
				t.Errorf("%d %s, want %.0f", c.got, c.what, want)
			}
		}
	})
}

func TestDetectorsTagsAreThoseOfTheNode(t *testing.T) {
	e := onlyPairs(3)
	e.DelaysA, e.DelaysB = []float64{0, 1000}, []float64{500, 700, -900}
	a, b, truth := e.Make()
	perA, perB, _ := e.MakeDetectors()
	for _, c := range []struct {
		all []uint64
		per [][]uint64
	}{{a, perA}, {b, perB}} {
		if got := slices.Sorted(slices.Values(slices.Concat(c.per...))); !slices.Equal(got, c.all) {
			t.Errorf("%d tags of detectors, %d of the node", len(got), len(c.all))
		}
	}
	mean, _ := scatter(t, a, b, truth)
	if want := (500+700-900)/3.0 - 500; math.Abs(mean-want) > 40 {
		t.Errorf("cables make %g ps, want %g", mean, want)
	}
}

func TestRecordsEndWhereAsked(t *testing.T) {
	e := pairs.Experiment{Seed: 1, Seconds: 4, LateB: 1, EarlyB: 0.5, Offset: 1,
		NoPairs: []pairs.Span{{1.5, 2}}, NoA: []pairs.Span{{2.5, 2.7}}, NoB: []pairs.Span{{3, 3.2}}}
	a, b, truth := e.Make()
	in := func(tags []uint64, from, to float64) (n int) {
		for _, tag := range tags {
			if t := float64(tag-truth.Start) * 1e-12; t >= from+1e-6 && t < to-1e-6 {
				n++
			}
		}
		return n
	}
	if in(a, 2.5, 2.7) != 0 || in(b, 3, 3.2) != 0 || in(b, 0, 1) != 0 || in(b, 3.5, 4) != 0 || truth.From != truth.Start+1e12 || truth.To != truth.Start+3.5e12 {
		t.Error("there are tags where a node records nothing")
	}
	if n := in(a, 1.5, 2); math.Abs(float64(n)-37_500) > 1000 { // the source's 25 k of 100 k are missing
		t.Errorf("%d tags of A while the source is dark", n)
	}
	if want := 5000 * (2.5 - 0.5 - 0.2 - 0.2); math.Abs(float64(truth.Recorded)-want) > 5*math.Sqrt(want) {
		t.Errorf("%d pairs, want %g", truth.Recorded, want)
	}
}

func TestDetectorsAreDeadAndPulseAgain(t *testing.T) {
	plain := pairs.Experiment{Seed: 2, Seconds: 1, SinglesA: 1e6, SinglesB: 1e6, Pairs: 1e5}
	all, _, made := plain.Make()
	plain.DeadTime = 100_000
	a, _, truth := plain.Make()
	for i := 1; i < len(a); i++ {
		if a[i]-a[i-1] < 100_000 {
			t.Fatalf("tags %d ps apart", a[i]-a[i-1])
		}
	}
	live := 1 / (1 + 1e6*100e-9) // of a detector that tags do not keep dead
	if got := float64(len(a)) / float64(len(all)); math.Abs(got-live) > 0.005 {
		t.Errorf("%g of the tags are left, want %g", got, live)
	}
	// A is alive for a share of the pairs; where it is, B is more often alive too.
	if got := float64(truth.Recorded) / float64(made.Recorded); got < live*live || got > live {
		t.Errorf("%g of the pairs are left, each node keeps %g", got, live)
	}
	plain.Afterpulse = 0.05
	b, _, _ := plain.Make()
	if more := float64(len(b)-len(a)) / float64(len(a)); more < 0.025 || more > 0.05 {
		t.Errorf("afterpulses add %g", more)
	}
}

func TestLightComesWithPulsesAndFlicker(t *testing.T) {
	e := onlyPairs(5)
	e.PulsePeriod, e.PulseWidth = 1e6, 30
	a, _, truth := e.Make()
	for _, tag := range a {
		if off := math.Mod(float64(tag-truth.Start)+500e3, 1e6) - 500e3; math.Abs(off) > 6*math.Hypot(30, 300) {
			t.Fatalf("a photon is %g ps beside its pulse", off)
		}
	}
	e = pairs.Experiment{Seed: 6, Seconds: 2, Pairs: -1, Flicker: 0.8}
	a, b, truth := e.Make()
	for _, tags := range [][]uint64{a, b} {
		var first int // half of each period, where the light is brighter
		for _, tag := range tags {
			if math.Mod(float64(tag-truth.Start), 20e9) < 10e9 {
				first++
			}
		}
		want := 0.5
		if &tags[0] == &a[0] {
			want += 0.8 / math.Pi // B's clock is 12 ms behind: the halves are not whole
		} else {
			want += 0.8 / math.Pi * math.Cos(2*math.Pi*12.345678901/20)
		}
		if got := float64(first) / float64(len(tags)); math.Abs(got-want) > 0.01 {
			t.Errorf("%g of the light is in the first half, want %g", got, want)
		}
	}
}

func TestMarkersAndEcho(t *testing.T) {
	e := pairs.Experiment{Seed: 7, Seconds: 30, Frequency: 1e-6, LateB: 2, MarkerPeriod: 0.5, MarkerJitter: 100}
	_, _, truth := e.Make()
	a, b := e.Markers()
	if len(a) != 60 || len(b) != 56 {
		t.Fatalf("%d and %d marks", len(a), len(b))
	}
	for i := range b {
		at := truth.OffsetAt(a[i+4])
		if off := float64(int64(b[i]-a[i+4])-at.Whole) - at.Part; math.Abs(off) > 800 {
			t.Errorf("mark %d is off by %g", i, off)
		}
	}
	e = onlyPairs(8)
	e.Echo = 1e5
	x, y, truth := e.Make()
	if _, sd := scatter(t, x, y, truth); math.Abs(sd-5e4) > 1e3 { // half of the pairs at 1e5
		t.Errorf("an echo makes an sd of %g", sd)
	}
}

// TestBounds compares the bounds with those for pairs evenly over a record.
func TestBounds(t *testing.T) {
	e := pairs.Experiment{Seed: 9, Seconds: 3, JitterA: 30, JitterB: 40}
	_, _, truth := e.Make()
	n := math.Sqrt(float64(truth.Recorded))
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"offset in the middle", truth.OffsetBound(truth.Start + 15e11), 50 / n},
		{"offset at the start", truth.OffsetBound(truth.From), 100 / n},
		{"frequency", truth.FrequencyBound(), 50 / n * math.Sqrt(12) / 3e12},
	} {
		if math.Abs(c.got/c.want-1) > 0.02 {
			t.Errorf("%s: bound %g, want %g", c.what, c.got, c.want)
		}
	}
}
