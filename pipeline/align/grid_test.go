package align

import (
	"math"
	"math/rand/v2"
	"testing"

	"tsrun/pipeline/correlate"
)

// tagsOn makes tags of a detector that counts so many per second, in steps of
// q ps rounded to whole ps, a share of them beside the grid.
func tagsOn(seed uint64, n int, rate, q, stray float64) []uint64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	tags := make([]uint64, 0, n)
	t := 0.0
	for len(tags) < n {
		t += 50e3 + rng.ExpFloat64()/rate*1e12
		at := math.Round(t)
		if rng.Float64() >= stray {
			at = math.Round(math.Round(t/q) * q)
		}
		if tag := uint64(at) + 40_000_000_000_000_017; len(tags) == 0 || tag > tags[len(tags)-1] {
			tags = append(tags, tag)
		}
	}
	return tags
}

func TestGridIsFound(t *testing.T) {
	for _, q := range []float64{1, 4, 10, 81, 80.955, 1000. / 12, 82.3045, 100, 125, 156.25, 500, 1000, 2000, 4000, 1e12 / 120e6, 10_000} {
		for _, c := range []struct {
			n           int
			rate, stray float64
		}{{40, 30e3, 0}, {12_000, 1e3, 0}, {60_000, 30e3, 0.02}, {300_000, 100e3, 0}, {300_000, 1e6, 0.01}} {
			got := correlate.GridOf(tagsOn(uint64(q), c.n, c.rate, q, c.stray))
			none := q != math.Round(q) && c.n < 60_000 && got < 6 // so few tell no step with fractions
			if math.Abs(got-q) > 1e-6*q && !none {
				t.Errorf("%g: %d at %g: %v", q, c.n, c.rate, got)
			}
		}
	}
}
