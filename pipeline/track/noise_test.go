package track

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Three standard deviations of a deviation hold the true one in 99 %, of few values too,
// and beside errors of the values' own.
func TestDeviationsOfFewValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(24, 1))
	for _, freedom := range []int{leastFreedom, 8, 30, 1000} {
		for _, own := range []float64{0, 1, 20} {
			const records, truth = 4000, 1.0
			outside := 0
			for range records {
				sum := 0.0
				for range freedom {
					x := math.Sqrt(truth+own) * rng.NormFloat64()
					sum += x * x
				}
				root, sd := dispersion{all: sum / float64(freedom), own: own, freedom: float64(freedom)}.root()
				if math.Abs(root-truth) > 3*sd {
					outside++
				}
			}
			if outside > records/100 {
				t.Errorf("%d values with errors of %g: %d of %d are outside", freedom, own, outside, records)
			}
		}
	}
	for n := 3.0; n < 40; n++ { // a number, whatever the record
		for m := 1.0; 3*m <= n; m++ {
			for _, q := range []noise{{}, {qx: 1}, {qy: 1}} {
				if f := min(n-2*m, q.freedom(n, m, m)); math.IsNaN(f) || f > n {
					t.Errorf("%g phases at a distance of %g: %g values", n, m, f)
				}
			}
		}
	}
}
