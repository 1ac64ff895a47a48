package align_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// TestAlignRefusesFaintLasers gives each node a laser of its own, so faint that
// a pulse has a pair or two by chance: the highest of many has more than light
// without pulses explains.
func TestAlignRefusesFaintLasers(t *testing.T) {
	for i, test := range []struct {
		period, rate, seconds float64
		search                int64
	}{
		{718e3, 858, 2.9, 36 * ms}, {718e3, 858, 2.9, 36 * ms}, {7.356e6, 240, 6, 100 * ms}, {100e6, 80, 4, 500 * ms},
	} {
		t.Run(fmt.Sprintf("%g us, %d", test.period/1e6, i), func(t *testing.T) {
			t.Parallel()
			e := pairs.Experiment{Seed: uint64(102 + 2*i), Seconds: test.seconds, PulsePeriod: test.period, PulsePeriodB: test.period, PulseWidth: 50,
				SinglesA: test.rate, SinglesB: test.rate, PulsedA: test.rate, PulsedB: test.rate, Pairs: -1, Offset: 5 * ms, Frequency: -7e-6}
			a, b, _ := e.Make()
			r, err := align.Align(context.Background(), a, b, align.Options{Search: test.search, MaxDrift: 20 * ppm})
			var refusal *align.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("%+v, %v", r, err)
			}
			if refusal.Code != "ambiguous" || math.Abs(refusal.Period-test.period) > 1e-5*test.period {
				t.Errorf("%s, period %g ps, want %g: %v", refusal.Code, refusal.Period, test.period, err)
			}
		})
	}
}
