package correlate

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestCrossCorrelationEqualsItsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{4, 8, 16, 32, 128, 256, 1024} {
		a, b := make([]float32, n), make([]float32, n)
		for i := range a {
			a[i], b[i] = float32(rng.IntN(9)-4), float32(rng.IntN(9)-4)
		}
		got := CrossCorrelation(a, b)
		for l := range n {
			want := 0.0
			for i := range n {
				want += float64(a[i]) * float64(b[(i+l)%n])
			}
			if math.Abs(float64(got[l])-want) > 1e-4*float64(n) {
				t.Fatalf("n %d, lag %d: %v, want %v", n, l, got[l], want)
			}
		}
	}
}
