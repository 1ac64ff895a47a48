package mesh

import (
	"math"
	"slices"

	"tsrun/sdk/quantity"
)

// forest is the shortest way from the reference to each clock, by pairs; of ways
// as short, that which is known best.
type forest struct {
	reached []bool
	by      []int // the pair that leads to a clock; -1: none
	from    []int // the clock before it
	offset  []quantity.Fine
	rate    []float64
}

// grow finds the ways, without the pairs that are left out. A clock that would be
// too far from the reference to be counted is not reached.
func grow(clocks, reference int, pairs []Pair, left []bool) *forest {
	f := &forest{reached: make([]bool, clocks), by: make([]int, clocks), from: make([]int, clocks),
		offset: make([]quantity.Fine, clocks), rate: make([]float64, clocks)}
	spread := make([]float64, clocks) // variance of the way, ps²
	for i := range f.by {
		f.by[i], f.from[i] = -1, -1
	}
	f.reached[reference] = true
	for level := []int{reference}; len(level) > 0; {
		var next []int
		best := make([]float64, clocks)
		for i, p := range pairs {
			for _, from := range []int{p.A, p.B} {
				to := p.A + p.B - from
				if left[i] || f.reached[to] || !slices.Contains(level, from) {
					continue
				}
				v := spread[from] + p.OffsetSD*p.OffsetSD
				if f.by[to] >= 0 && v >= best[to] || !f.step(p, from, to) {
					continue
				}
				if f.by[to] < 0 {
					next = append(next, to)
				}
				best[to], f.by[to], f.from[to] = v, i, from
			}
		}
		for _, to := range next {
			f.reached[to], spread[to] = true, best[to]
		}
		level = next
	}
	return f
}

// step enters where a pair would put a clock, and says whether that can be counted.
func (f *forest) step(p Pair, from, to int) bool {
	sign := int64(1)
	if from == p.B {
		sign = -1
	}
	base := f.offset[from]
	whole := base.Whole + sign*p.Offset.Whole // both are at most farthest, one less
	if whole >= farthest || whole <= -farthest {
		return false
	}
	f.offset[to] = quantity.NewFine(whole, base.Part+float64(sign)*p.Offset.Part)
	f.rate[to] = f.rate[from] + float64(sign)*rate(p.Frequency)
	return true
}

// beside is what a pair says of offset and rate, beside what the ways to its
// clocks make of it.
func (f *forest) beside(p Pair) [2]float64 {
	a, b := f.offset[p.A], f.offset[p.B]
	parts := p.Offset.Part - (b.Part - a.Part)
	// Whole numbers of 64 bits wrap; where they would not be near 0, floats do as well.
	whole := float64(p.Offset.Whole) - (float64(b.Whole) - float64(a.Whole))
	if math.Abs(whole) < float64(farthest) {
		whole = float64(p.Offset.Whole - (b.Whole - a.Whole))
	}
	return [2]float64{whole + parts, rate(p.Frequency) - (f.rate[p.B] - f.rate[p.A])}
}

// leads says whether both clocks of a pair were reached.
func (f *forest) leads(p Pair) bool { return f.reached[p.A] && f.reached[p.B] }

// way are the pairs from the reference to a clock.
func (f *forest) way(to int) (pairs []int) {
	for ; f.by[to] >= 0; to = f.from[to] {
		pairs = append(pairs, f.by[to])
	}
	slices.Reverse(pairs)
	return pairs
}
