package track_test

import (
	"context"
	"fmt"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/track"
)

func TestDbg(t *testing.T) {
	e := pairs.Experiment{Seconds: 30, WhiteFM: 5e-12, RandomWalkFM: 2e-12}
	for seed := range uint64(24) {
		e.Seed = 7000 + seed
		a, b, tr := e.Make()
		k, _ := track.Follow(context.Background(), a, b, seedOf(tr))
		r := judge(t, tr, k)
		fmt.Printf("%.2f rms %.2f  %.2g %.2g  n %d chi2 %.2f\n", r.chi, r.knots, k.Noise.WhiteFM, k.Noise.RandomWalkFM, len(k.Knots), k.ChiSquare/float64(k.Freedom))
	}
}
