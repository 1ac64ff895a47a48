package scatter

import "math"

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
