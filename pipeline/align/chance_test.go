package align_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

func TestAlignRefusesChance(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 98))
		rate := math.Pow(10, 3+1.7*rng.Float64())
		e := pairs.Experiment{Seconds: 0.1 + 0.3*rng.Float64(), SinglesA: rate, SinglesB: 2 * rate, Pairs: -1, Seed: 7000 + seed, Offset: 1 * ms}
		a, b, _ := e.Make()
		search := int64(math.Pow(10, 6+2*rng.Float64()))
		r, err := align.Align(context.Background(), a, b, align.Options{Search: search, MaxDrift: 20 * ppm})
		var refusal *align.Refusal
		if !errors.As(err, &refusal) {
			t.Errorf("seed %d, %.3g cps, search %d ps: %+v, %v", seed, rate, search, r, err)
		}
	}
}
