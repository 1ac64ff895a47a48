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

// TestAlignReachesTheBound compares errors over many experiments with the
// Cramér-Rao bound. The window of the quotient is where 30 normal errors lie
// but for one time in ten thousand.
func TestAlignReachesTheBound(t *testing.T) {
	const seeds = 30
	var offset, frequency, claimed float64
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 99))
		e := pairs.Experiment{Seconds: 0.5, SinglesA: 30e3, SinglesB: 30e3, Frequency: (2*rng.Float64() - 1) * 1.9e-5,
			Offset: rng.Int64N(36*ms) - 18*ms, Seed: 5000 + seed}
		a, b, tr := e.Make()
		r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
		if err != nil {
			t.Fatalf("%+v: %v", e, err)
		}
		off, df := r.Offset.Minus(tr.OffsetAt(r.Reference)), r.Frequency*1e-9-tr.Frequency
		offset += off * off / (tr.OffsetBound(r.Reference) * tr.OffsetBound(r.Reference))
		frequency += df * df / (tr.FrequencyBound() * tr.FrequencyBound())
		claimed += off * off / (r.OffsetSD * r.OffsetSD)
	}
	for _, v := range []struct {
		what string
		sum  float64
	}{{"offset", offset}, {"frequency", frequency}, {"offset against its own deviation", claimed}} {
		quotient := math.Sqrt(v.sum / seeds)
		t.Logf("%s: rms error over bound %.3f", v.what, quotient)
		if quotient < 0.6 || quotient > 1.45 {
			t.Errorf("%s: rms error is %.3f of the bound", v.what, quotient)
		}
	}
}

func TestAlignRefusesChance(t *testing.T) {
	for seed := range uint64(16) {
		rng := rand.New(rand.NewPCG(seed, 98))
		rate := math.Pow(10, 3+1.7*rng.Float64())
		e := pairs.Experiment{Seconds: 0.1 + 0.3*rng.Float64(), SinglesA: rate, SinglesB: 2 * rate, Pairs: -1, Seed: 7000 + seed, Offset: 1 * ms}
		a, b, _ := e.Make()
		search := int64(math.Pow(10, 6+5*rng.Float64()))
		r, err := align.Align(context.Background(), a, b, align.Options{Search: search, MaxDrift: 20 * ppm})
		var refusal *align.Refusal
		if !errors.As(err, &refusal) {
			t.Errorf("seed %d, %.3g cps, search %d ps: %+v, %v", seed, rate, search, r, err)
		}
	}
}
