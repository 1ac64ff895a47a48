// Package scatter says which differences of tags belong to a peak of photon
// pairs, and how much each of them tells of where its centre is.
//
// Where jitter shapes the peak, that is a normal distribution: [Floor] keeps
// what its tails weigh the same whatever the background. Where the steps of the
// tags shape it, all pairs lie on two or three steps and how many on which tells
// the rest: a [Window] weighs them all alike.
package scatter

import "math"

// Grid is in which steps the tags of A and of B come, in ps; less than 1 is 1,
// because tags are whole picoseconds.
type Grid struct{ A, B float64 }

// Widest is the longer of the two steps, in ps.
func (g Grid) Widest() float64 { return max(g.A, g.B, 1) }

// Floor is the standard deviation, in ps, that the steps alone give the
// difference of two tags: each is off by up to half a step, evenly.
func (g Grid) Floor() float64 {
	a, b := max(g.A, 1), max(g.B, 1)
	return math.Sqrt((a*a + b*b) / 12)
}

// coarse is how many times the floor a peak's deviation may be for the steps
// to shape it. From there on the jitter hides them: of what a lattice of steps
// q does to the mean, exp(-2*(pi*sigma/q)^2) is left.
const coarse = 2.5

// Coarse says whether the steps shape a peak of standard deviation sigma.
func (g Grid) Coarse(sigma float64) bool { return sigma < coarse*g.Floor() }

// Window weighs the differences r of a coarse peak: 1 where pairs can be, and
// falling to 0 so smoothly that an even background on a lattice of such steps
// moves the mean nowhere, wherever the window lies on the lattice. It is a box
// smoothed by two boxes as wide as a step.
//
// Tags of light that is independent of the steps are rounded so that the mean of
// their differences is the offset itself, however few steps the pairs lie on:
// all of them must weigh alike.
type Window struct{ half, step, floor float64 }

// besideStep is how many standard deviations of the jitter pairs are looked
// for beside the steps next to the offset.
const besideStep = 3.5

// Window returns the window of a coarse peak of standard deviation sigma.
func (g Grid) Window(sigma float64) Window {
	q, floor := g.Widest(), g.Floor()
	return Window{half: 2*q + besideStep*math.Sqrt(max(0, sigma*sigma-floor*floor)), step: q, floor: floor}
}

// At is the weight of a difference r from the centre.
func (w Window) At(r float64) float64 {
	u := (w.half - math.Abs(r)) / w.step
	switch {
	case u >= 1:
		return 1
	case u <= -1:
		return 0
	case u < 0:
		return (1 + u) * (1 + u) / 2
	}
	return 1 - (1-u)*(1-u)/2
}

// Reach is from where on the weight is 0, in ps.
func (w Window) Reach() float64 { return w.half + w.step }

// Step is the widest of the grid.
func (w Window) Step() float64 { return w.step }

// Floor is that of the grid.
func (w Window) Floor() float64 { return w.floor }

// Even returns what an even background of one tag per ps adds to the sum of
// weights and to that of weighted squares.
func (w Window) Even() (n, rr float64) {
	return 2 * w.half, 2 * w.half * (w.half*w.half/3 + w.step*w.step/6)
}

// Reach is how far about a peak of standard deviation sigma differences are
// needed: so many standard deviations, and for a coarse one enough to tell what
// its background is.
func (g Grid) Reach(sigma, deviations float64) float64 {
	if g.Coarse(sigma) {
		return max(deviations*sigma, 1.5*g.Window(sigma).Reach())
	}
	return deviations * sigma
}

// Bin is the narrowest width, at least the given one, in which every bin holds
// as many steps as any other.
func (g Grid) Bin(width float64) float64 {
	if q := g.Widest(); q > 1 {
		return math.Ceil(width/q*(1-1e-9)) * q
	}
	return width
}

// Even spreads differences on a lattice of steps evenly between them: the i-th
// gets its share of a step, by the golden ratio.
func (g Grid) Even(i int) float64 {
	const golden = 0.6180339887498949
	_, part := math.Modf(float64(i) * golden)
	return (part - 0.5) * g.Widest()
}
