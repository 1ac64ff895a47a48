package scatter

import (
	"math"
	"slices"
)

// Weigher weighs the differences about the centre of a peak of pairs.
type Weigher struct {
	Sigma  float64 // ps: standard deviation of the peak
	Height float64 // of the peak, per ps, of 1 in all
	Flat   float64 // of the background, per ps, and no less than the least
	Least  bool    // it is that
	Coarse bool    // Window weighs
	Window Window
}

// Weigher returns what weighs the differences, within plus or minus half, of a
// peak of standard deviation sigma that has the given share of them.
func (g Grid) Weigher(sigma, share, half float64) Weigher {
	w := Weigher{Sigma: sigma, Height: share / (sigma * math.Sqrt(2*math.Pi)), Flat: (1 - share) / (2 * half), Coarse: g.Coarse(sigma)}
	if w.Coarse {
		w.Window = g.Window(sigma)
	}
	if least := Least * w.Height; w.Flat < least {
		w.Flat, w.Least = least, true
	}
	return w
}

// Peak returns how many of the points within plus or minus half are pairs, and
// their variance, from the sums of weights and of weighted squares: what the
// background adds to them is taken off, and what the weights leave out is added.
func (w *Weigher) Peak(n, rr, points, half float64) (pairs, variance float64) {
	even, evenSquare := w.even()
	mean, square := w.ofPairs()
	pairs = (n - points*even/(2*half)) / (mean - even/(2*half))
	return pairs, (rr - (points-pairs)/(2*half)*evenSquare) / (pairs * square)
}

// Pairs is how many are pairs beside a background of the given density per ps.
func (w *Weigher) Pairs(n, density float64) float64 {
	even, _ := w.even()
	mean, _ := w.ofPairs()
	return (n - density*even) / mean
}

// ofPairs are the mean weight of a pair and that of weight times square.
func (w *Weigher) ofPairs() (mean, square float64) {
	if w.Least && !w.Coarse {
		return Mean, Square
	}
	return 1, 1
}

// even are the sums of weights and weighted squares of a background of one tag
// per ps, where they are to be taken off.
func (w *Weigher) even() (n, rr float64) {
	switch {
	case w.Coarse:
		return w.Window.Even()
	case w.Least:
		return w.Sigma * EvenMean, w.Sigma * w.Sigma * w.Sigma * EvenSquare
	}
	return 0, 0
}

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

// A normal distribution with a background of its own density weighs each
// difference by the probability that it belongs to the peak. Of a peak that is
// not normal, what its tails weigh would then depend on the background, and so
// would its centre. So no less than Least of the height of the peak is taken for
// the background: z standard deviations from the centre the weight is
//
//	1 / (1 + Least*exp(z^2/2))
//
// which is a half at 2.65. It costs 2 % of the deviation of a normal peak. Only
// where the background itself is higher does it count.
const Least = 0.03

// Of a normal peak weighed so, and of one standard deviation: the mean weight,
// the mean of weight*z^2 and of weight^2*z^2; and of an even background of one
// tag per standard deviation, the sums of the same.
var Mean, Square, Spread, EvenMean, EvenSquare, EvenSpread = integrals()

func integrals() (n, rr, ss, evenN, evenRR, evenSS float64) {
	const dz = 1e-3
	for k := range 8000 {
		z := (float64(k) + 0.5) * dz
		w := 1 / (1 + Least*math.Exp(z*z/2))
		p := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
		n, rr, ss = n+2*dz*p*w, rr+2*dz*p*w*z*z, ss+2*dz*p*w*w*z*z
		evenN, evenRR, evenSS = evenN+2*dz*w, evenRR+2*dz*w*z*z, evenSS+2*dz*w*w*z*z
	}
	return n, rr, ss, evenN, evenRR, evenSS
}
