package align_test

import (
	"context"
	"math"
	"testing"

	"tsrun/internal/need"
	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/sdk/quantity"
)

// TestAlignFindsWeakSignals wants signals that no correlation of a whole
// segment shows: their pairs over singles are below the root of the drift that
// is allowed times some 25.
func TestAlignFindsWeakSignals(t *testing.T) {
	for _, test := range []struct {
		name   string
		e      pairs.Experiment
		search int64
		drift  quantity.Drift
	}{
		{"600 of 100 k per second", pairs.Experiment{Seconds: 2, Pairs: 600, Frequency: -1.9e-6, Seed: 11, Offset: -2 * ms}, 5 * ms, 2 * ppm},
		{"100 ppm", pairs.Experiment{Seconds: 2, Frequency: 5e-5, Seed: 1030}, 20 * ms, 100 * ppm},
		{"common clock", pairs.Experiment{Seconds: 2, Pairs: 100, Seed: 13, Offset: 20_000_000}, ms / 10, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			expectWeak(t, test.e, align.Options{Search: test.search, MaxDrift: test.drift})
		})
	}
}

// TestLongAlignFindsTheWeakest wants 200 pairs in 100 000 counts per second,
// with little and with usual knowledge of the clocks.
func TestLongAlignFindsTheWeakest(t *testing.T) {
	seeds := need.LongTrials(t, 2, 1)
	for _, drift := range []quantity.Drift{ppm, 20 * ppm} {
		for seed := range uint64(seeds) {
			expectWeak(t, pairs.Experiment{Seconds: 12, Pairs: 200, Frequency: 1e-7, Seed: 410 + seed}, align.Options{Search: 20 * ms, MaxDrift: drift})
		}
	}
}

// TestAlignSyntonized: 40 pairs a second in a minute are known to the bound where both
// clocks are said to follow one reference.
func TestAlignSyntonized(t *testing.T) {
	for seed := range uint64(3) {
		e := pairs.Experiment{Seconds: 60, SinglesA: 2e3, SinglesB: 2e3, Pairs: 40, JitterA: 73, JitterB: 73, Offset: ms / 100, Seed: 71_400 + seed}
		a, b, truth := e.Make()
		r, err := align.Align(context.Background(), a, b, align.Options{Search: ms / 50})
		if err != nil {
			t.Fatal(err)
		}
		bound := truth.OffsetBound(r.Reference)
		if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); math.Abs(off) > 4*r.OffsetSD || r.OffsetSD > 1.2*bound || r.OffsetSD < 0.9*bound {
			t.Errorf("seed %d: off by %.2f ps, sd %.2f, bound %.2f", e.Seed, off, r.OffsetSD, bound)
		}
	}
}

func expectWeak(t *testing.T, e pairs.Experiment, o align.Options) {
	t.Helper()
	a, b, truth := e.Make()
	r, err := align.Align(context.Background(), a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	bound := truth.OffsetBound(r.Reference)
	if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); math.Abs(off) > 4*r.OffsetSD || r.OffsetSD > 1.6*bound {
		t.Errorf("off by %.2f ps, sd %.2f, bound %.2f", off, r.OffsetSD, bound)
	}
	if off := r.Frequency*1e-9 - e.Frequency; math.Abs(off) > 4e-9*r.FrequencySD {
		t.Errorf("frequency off by %.2g, sd %.2g", off, r.FrequencySD*1e-9)
	}
}
