package align_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// TestAlignTellsThePeriod lets the photons come with pulses: pairs stand out of
// the other pulses' accidental ones, and the period is told.
func TestAlignTellsThePeriod(t *testing.T) {
	for _, period := range []float64{12_500, 1e6} {
		e := pairs.Experiment{Seed: 41, Seconds: 2, PulsePeriod: period, PulseWidth: 50, Frequency: 1e-7}
		a, b, truth := e.Make()
		r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(r.Period-period) > 1e-3*period || !(r.Ambiguity > 0 && r.Ambiguity < 0.3) {
			t.Errorf("period %g ps, want %g; ambiguity %g", r.Period, period, r.Ambiguity)
		}
		if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); math.Abs(off) > 4*r.OffsetSD {
			t.Errorf("off by %g ps, sd %g", off, r.OffsetSD)
		}
		if off := float64(r.Pairs) - float64(truth.Recorded); math.Abs(off) > 0.03*float64(truth.Recorded) {
			t.Errorf("%d pairs, want %d", r.Pairs, truth.Recorded)
		}
	}
}

// TestAlignRefusesPulsesAlike searches where the pairs are not, but the
// accidental ones of every pulse are.
func TestAlignRefusesPulsesAlike(t *testing.T) {
	for seed := range uint64(8) {
		e := pairs.Experiment{Seed: 27_000 + seed, Seconds: 0.3, SinglesA: 20e3, SinglesB: 20e3, Pairs: 20, EtaA: 0.002, EtaB: 0.002,
			PulsePeriod: 3e5 * math.Pow(30, float64(seed)/7), PulseWidth: 50}
		a, b, _ := e.Make()
		r, err := align.Align(context.Background(), a, b, align.Options{Search: ms, MaxDrift: ppm})
		var refusal *align.Refusal
		if !errors.As(err, &refusal) {
			t.Errorf("period %g ps: %+v, %v", e.PulsePeriod, r, err)
		}
	}
}
