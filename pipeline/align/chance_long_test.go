package align_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/sdk/quantity"
)

// draw returns a number between two, evenly on a logarithmic scale.
func draw(rng *rand.Rand, from, to float64) float64 { return from * math.Pow(to/from, rng.Float64()) }

// unrelated is one of very different experiments whose records have nothing to
// do with each other: what A records is of another source than what B does,
// though both may be pulsed alike, flicker alike, or have detectors that pulse
// again.
func unrelated(rng *rand.Rand) (pairs.Experiment, align.Options) {
	e := pairs.Experiment{Seconds: draw(rng, 0.1, 3), SinglesA: draw(rng, 2e3, 2e5), SinglesB: draw(rng, 2e3, 2e5),
		Pairs: draw(rng, 1, 1e3), EtaA: draw(rng, 0.01, 0.2), EtaB: draw(rng, 0.01, 0.2)}
	switch rng.IntN(4) {
	case 0:
		e.DeadTime, e.Afterpulse = draw(rng, 2e4, 1e6), 0.03
	case 1:
		e.PulsePeriod, e.PulseWidth = draw(rng, 1e4, 1e6), 50
	case 2:
		e.Flicker = 0.9
	}
	return e, align.Options{Search: int64(draw(rng, 1e6, 3e11)), MaxDrift: quantity.Drift(draw(rng, 2e8, 2e10))}
}

// TestLongRefusesChance wants no answer where there is none.
func TestLongRefusesChance(t *testing.T) {
	seeds := need.LongTrials(t, 200, 40)
	var busy, slowest atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for seed := range uint64(seeds) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				e, o := unrelated(rand.New(rand.NewPCG(seed, 24_000)))
				e.Seed = 25_000 + 2*seed
				a, _, _ := e.Make()
				e.Seed++
				_, b, _ := e.Make()
				begin := time.Now()
				r, err := align.Align(context.Background(), a, b, o)
				took := int64(time.Since(begin))
				busy.Add(took)
				for was := slowest.Load(); took > was && !slowest.CompareAndSwap(was, took); was = slowest.Load() {
				}
				var refusal *align.Refusal
				if !errors.As(err, &refusal) {
					t.Errorf("%+v, %+v: %+v, %v", e, o, r, err)
				}
			})
		}
	})
	t.Logf("%d seeds, %v each, %v the slowest", seeds, (time.Duration(busy.Load()) / time.Duration(seeds)).Round(time.Millisecond),
		time.Duration(slowest.Load()).Round(time.Millisecond))
}

// TestLongIsNeverFooled is of records that vary together without a pair in
// common, or with pairs where nobody looks.
func TestLongIsNeverFooled(t *testing.T) {
	need.Long(t)
	tests := []struct {
		name   string
		e      pairs.Experiment
		search int64
		drift  quantity.Drift
	}{
		{"pulses of 80 MHz, hardly a pair", pairs.Experiment{Seconds: 0.5, Pairs: 1, EtaA: 5e-5, EtaB: 5e-5, PulsePeriod: 12_500, PulseWidth: 50}, ms, ppm},
		{"fast flickering light, no pairs", pairs.Experiment{Seconds: 0.3, Pairs: -1, Flicker: 1, FlickerHz: 1e6}, ms, ppm},
		{"afterpulses, no pairs", pairs.Experiment{Seconds: 0.3, Pairs: -1, DeadTime: 50_000, Afterpulse: 0.2}, ms, ppm},
		{"the offset beyond what is searched", pairs.Experiment{Seconds: 0.3, Offset: 40 * ms}, 20 * ms, 20 * ppm},
		{"the frequency beyond what is allowed", pairs.Experiment{Seconds: 12, Frequency: 5e-5}, 20 * ms, 20 * ppm},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.e.Seed = uint64(27_100 + i)
			refuses(t, test.e, align.Options{Search: test.search, MaxDrift: test.drift})
		})
	}
}
