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

// The deviations of the phases that W. J. Riley, NIST SP 1065, 12.4, publishes for tests of
// programs: 1000 frequencies of a generator of Lehmer's, averaged over 1, 10 and 100.
func TestDeviationsOfPublishedPhases(t *testing.T) {
	frequency, x := int64(1234567890), []float64{0}
	for range 1000 {
		x = append(x, x[len(x)-1]+float64(frequency)/2147483647*second)
		frequency = frequency * 16807 % 2147483647
	}
	v := make([]float64, len(x))
	for i := range v {
		v[i] = 1e-9 // a phase of no error would be none
	}
	for _, published := range []struct {
		m          int
		adev, tdev float64
	}{{1, 2.922319e-1, 1.687202e-1}, {10, 9.159953e-2, 3.563623e-1}, {100, 3.241343e-2, 1.253382}} {
		p, ok := noise{qx: 1e-9}.deviation(x, v, 1, published.m)
		if !ok || math.Abs(p.Deviation/published.adev-1) > 1e-6 || math.Abs(p.Time/second/published.tdev-1) > 1e-6 {
			t.Errorf("averaged over %d: %.7g and %.7g s, published are %.7g and %.7g", published.m, p.Deviation, p.Time/second, published.adev, published.tdev)
		}
	}
}
