package align_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"tsrun/internal/need"
	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// TestLongReachesTheBound compares errors over many experiments with the
// Cramér-Rao bound. Of 50 normal errors the rms lies within 0.85 to 1.2 nine
// times in ten; these seeds must.
func TestLongReachesTheBound(t *testing.T) {
	seeds := need.LongTrials(t, 200, 60)
	names := []string{"offset", "frequency", "offset in stated deviations", "frequency in stated deviations"}
	var squares [4]float64
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 99))
		a, b, truth := pairs.Experiment{Seed: 23_000 + seed, Seconds: 2, Frequency: (2*rng.Float64() - 1) * 1.9e-5,
			Offset: rng.Int64N(36*ms) - 18*ms}.Make()
		r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		off, df := r.Offset.Minus(truth.OffsetAt(r.Reference)), r.Frequency*1e-9-truth.Frequency
		for i, v := range []float64{off / truth.OffsetBound(r.Reference), df / truth.FrequencyBound(), off / r.OffsetSD, df / (r.FrequencySD * 1e-9)} {
			squares[i] += v * v
		}
	}
	for i, sum := range squares {
		quotient := math.Sqrt(sum / float64(seeds))
		t.Logf("%s: rms error over bound %.3f", names[i], quotient)
		if quotient < 0.85 || quotient > 1.2 {
			t.Errorf("%s: rms error is %.3f of the bound", names[i], quotient)
		}
	}
}
