package scatter

import (
	"math"
	"slices"
)

const (
	oddReach  = 6.0   // standard deviations within which a peak is compared with a normal one
	oddShare  = 0.015 // of the pairs, which may lie elsewhere
	oddChance = 2.2   // times the root of all: what chance puts elsewhere once in 10 000 times (Kolmogorov, Smirnov)
)

// Odd says which part of the pairs lies elsewhere than those of a normal peak
// of standard deviation sigma would, and whether that is more than chance and
// more than a matter of taste. The differences r from the centre have an even
// background of the given density per ps.
func (g Grid) Odd(r []float64, sigma, density float64) (part float64, odd bool) {
	if g.Coarse(sigma) {
		return 0, false
	}
	sigma = math.Hypot(sigma, g.Widest()/math.Sqrt(12)) // spread evenly between the steps
	half := oddReach * sigma
	near := make([]float64, 0, len(r))
	for i, v := range r {
		if v += g.Even(i); math.Abs(v) <= half {
			near = append(near, v)
		}
	}
	slices.Sort(near)
	pairs := float64(len(near)) - 2*half*density
	if pairs < 1 {
		return 0, false
	}
	for i, v := range near {
		share := (float64(i) + 0.5 - density*(v+half)) / pairs
		part = max(part, math.Abs(share-0.5*math.Erfc(-v/sigma/math.Sqrt2)))
	}
	return part, part > oddShare+oddChance*math.Sqrt(float64(len(near)))/pairs
}
