package align_test

import (
	"context"
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// TestAlignFindsWhereRecordsMeet searches so wide that most offsets would leave
// the middle of what seems to be common without tags of B.
func TestAlignFindsWhereRecordsMeet(t *testing.T) {
	few := func(e pairs.Experiment) pairs.Experiment {
		e.SinglesA, e.SinglesB, e.Pairs, e.Frequency = 4e3, 4e3, 1500, -7e-6
		return e
	}
	for i, test := range []struct {
		name   string
		e      pairs.Experiment
		search int64
	}{
		{"B short within A", few(pairs.Experiment{Seconds: 12, LateB: 7, EarlyB: 4, Offset: -2200 * ms}), 3 * second},
		{"A short within B", few(pairs.Experiment{Seconds: 12, NoA: []pairs.Span{{From: 0, To: 9}, {From: 10, To: 13}}, Offset: 2200 * ms}), 3 * second},
		{"B shorter than what its clock is off", few(pairs.Experiment{Seconds: 4, LateB: 3.4, EarlyB: 0.3, Offset: 9 * second}), 10 * second},
		{"B begins when A seems to have ended", few(pairs.Experiment{Seconds: 3, LateB: 2, Offset: 1500 * ms}), 3 * second},
		{"A begins when B seems to have ended", few(pairs.Experiment{Seconds: 3, EarlyB: 2, Offset: -2500 * ms}), 3 * second},
		{"only the last of A and the first of B", few(pairs.Experiment{Seconds: 4, NoA: []pairs.Span{{From: 2.3, To: 5}}, LateB: 2, Offset: -1900 * ms}), 4 * second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.e.Seed = uint64(83_000 + i)
			a, b, truth := test.e.Make()
			r, err := align.Align(context.Background(), a, b, align.Options{Search: test.search, MaxDrift: 20 * ppm})
			if err != nil {
				t.Fatal(err)
			}
			if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); math.Abs(off) > 4*r.OffsetSD {
				t.Errorf("off by %g ps, sd %g", off, r.OffsetSD)
			}
			if r.Pairs < int64(truth.Recorded)*19/20 {
				t.Errorf("%d pairs of %d", r.Pairs, truth.Recorded)
			}
		})
	}
}

// TestAlignFindsBesideChance has a part of the record in which chance makes a
// line that the whole does not confirm, before the true one is found. So few
// pairs leave open how much the clock wanders, which the deviation holds.
func TestAlignFindsBesideChance(t *testing.T) {
	a, b, truth := pairs.Experiment{Seed: 98_018, Seconds: 12, Pairs: 20, Offset: 300_000, Frequency: 2e-8}.Make()
	r, err := align.Align(context.Background(), a, b, align.Options{Search: ms / 1000, MaxDrift: 50 * ppb})
	if err != nil {
		t.Fatal(err)
	}
	bound := truth.OffsetBound(r.Reference)
	if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); math.Abs(off) > 3*r.OffsetSD || math.Abs(off) > 4*bound || r.OffsetSD > 5*bound {
		t.Errorf("off by %.2f ps, sd %.2f, bound %.2f", off, r.OffsetSD, bound)
	}
}
