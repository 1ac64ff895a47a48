package align_test

import (
	"math"
	"testing"

	"tsrun/internal/need"
	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// TestLongWanderingClocks follows clocks that no line fits; most is what the
// error may be, rms over the whole record, in ps.
func TestLongWanderingClocks(t *testing.T) {
	need.Long(t)
	tests := []struct {
		name string
		e    pairs.Experiment
		most float64
	}{
		{"quiet oven", pairs.Experiment{WhiteFM: 5e-12, RandomWalkFM: 2e-12, Frequency: 2e-8}, 4},
		{"TCXO", pairs.Experiment{WhiteFM: 1e-10, RandomWalkFM: 1e-10}, 20},
		{"quartz", pairs.Experiment{WhiteFM: 1e-9, RandomWalkFM: 1e-9}, 45},
		{"frequency drift", pairs.Experiment{Drift: 1e-9}, 8},
		{"sine", pairs.Experiment{Sine: 20_000, SinePeriod: 20}, 8},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.e.Seconds, test.e.Seed = 60, uint64(22_000+i)
			r, truth := aligned(t, test.e, 20*ms, 20*ppm)
			rms, worst, pull := overRecord(r, truth)
			t.Logf("rms error %.2f ps, worst %.1f ps, %.2f of the stated deviation", rms, worst, pull)
			if rms > test.most {
				t.Errorf("rms error of %.2f ps through the record, want at most %g", rms, test.most)
			}
			if pull < 0.7 || pull > 1.3 {
				t.Errorf("the error is %.2f of the stated deviation", pull)
			}
		})
	}
}

// overRecord compares the offset with the truth every 10 ms of the record: rms,
// the largest, and rms in stated standard deviations.
func overRecord(r align.Alignment, truth pairs.Truth) (rms, worst, pull float64) {
	n := 0.0
	for at := truth.From; at <= truth.To; at += uint64(10 * ms) {
		x, sd := r.OffsetAt(at)
		off := x.Minus(truth.OffsetAt(at))
		rms, worst, pull, n = rms+off*off, math.Max(worst, math.Abs(off)), pull+off*off/(sd*sd), n+1
	}
	return math.Sqrt(rms / n), worst, math.Sqrt(pull / n)
}
