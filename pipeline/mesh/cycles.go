package mesh

import (
	"math"
	"slices"
)

// sure is how many standard deviations a way round may miss nothing by.
const sure = 5.0

// Cycle is a way round, from clock to clock by pairs, back to the first. What the
// pairs say along it must sum to nothing.
type Cycle struct {
	Clocks      []int // in order
	Pairs       []int // from each clock to the next, the last to the first
	Offset      float64
	OffsetSD    float64
	Frequency   float64
	FrequencySD float64
}

// Pull is how far the cycle is from closing, in standard deviations.
func (c Cycle) Pull() float64 {
	return max(math.Abs(c.Offset)/c.OffsetSD, math.Abs(c.Frequency)/c.FrequencySD)
}

// Closes says whether its pairs agree.
func (c Cycle) Closes() bool { return c.Pull() <= sure }

// compare holds the pairs against the clocks.
func (s *Solution) compare(pairs []Pair, left []bool, beside [][2]float64, found []float64) {
	for i, p := range pairs {
		r := Residual{LeftOut: left[i]}
		if !s.forest.leads(p) {
			s.Pairs = append(s.Pairs, r)
			continue
		}
		if left[i] {
			beside[i] = s.forest.beside(p)
		}
		v := beside[i]
		var own [3]float64 // covariance of what the clocks make of the pair
		s.sides(p, func(c int, sign float64) {
			v[0], v[1] = v[0]-sign*found[c], v[1]-sign*found[c+1]
			s.sides(p, func(d int, other float64) {
				own[0] += sign * other * s.spreads[c][d]
				own[1] += sign * other * s.spreads[c][d+1]
				own[2] += sign * other * s.spreads[c+1][d+1]
			})
		})
		r.Offset, r.Frequency = v[0], v[1]/unit
		xx, xy, yy := p.block()
		if left[i] {
			r.Pull = max(pull(v[0], xx+own[0], xx), pull(v[1], yy+own[2], yy))
		} else {
			r.Used = true
			r.Pull = max(pull(v[0], xx-own[0], xx), pull(v[1], yy-own[2], yy))
			s.ChiSquare += (yy*v[0]*v[0] - 2*xy*v[0]*v[1] + xx*v[1]*v[1]) / (xx*yy - xy*xy)
			s.Freedom += 2
		}
		s.Pairs = append(s.Pairs, r)
	}
	s.Freedom -= len(found)
}

// pull is a residual in its deviations; 0 where its variance is nothing beside the
// pair's own: no other pair can tell.
func pull(residual, variance, own float64) float64 {
	if variance < 1e-9*own {
		return 0
	}
	return math.Abs(residual) / math.Sqrt(variance)
}

// findCycles closes each pair that is on no shortest way by the ways to its ends.
func (s *Solution) findCycles(pairs []Pair, left []bool) {
	for i, p := range pairs {
		if left[i] || !s.forest.leads(p) || s.forest.by[p.A] == i || s.forest.by[p.B] == i {
			continue
		}
		s.Cycles = append(s.Cycles, s.cycle(pairs, i))
	}
}

// cycle goes along pair i from A to B, and back by the ways to both.
func (s *Solution) cycle(pairs []Pair, i int) (c Cycle) {
	f := s.forest
	up, down := chainOf(f, pairs[i].A), chainOf(f, pairs[i].B)
	for len(up) > 1 && len(down) > 1 && up[len(up)-2] == down[len(down)-2] { // both end at the reference
		up, down = up[:len(up)-1], down[:len(down)-1]
	}
	c.Clocks, c.Pairs = append(c.Clocks, pairs[i].A), append(c.Pairs, i)
	for k, clock := range down {
		if clock != pairs[i].A { // which may be where both ways meet
			c.Clocks = append(c.Clocks, clock)
		}
		if k+1 < len(down) {
			c.Pairs = append(c.Pairs, f.by[clock])
		}
	}
	for k := len(up) - 2; k >= 0; k-- {
		if k > 0 {
			c.Clocks = append(c.Clocks, up[k])
		}
		c.Pairs = append(c.Pairs, f.by[up[k]])
	}
	beside := f.beside(pairs[i]) // the sum: all others are on their ways exactly
	c.Offset, c.Frequency = beside[0], beside[1]/unit
	var xx, yy float64
	for _, k := range c.Pairs {
		x, _, y := pairs[k].block()
		xx, yy = xx+x, yy+y
	}
	c.OffsetSD, c.FrequencySD = math.Sqrt(xx), math.Sqrt(yy)/unit
	return c
}

// chainOf are the clocks from one to the reference.
func chainOf(f *forest, clock int) (all []int) {
	for ; clock >= 0; clock = f.from[clock] {
		all = append(all, clock)
	}
	return all
}

// worst is the pair that contradicts the others most, of those in cycles that do
// not close; -1 where all do. It is alone where no other pair could be the wrong
// one as well.
func (s *Solution) worst() (worst int, alone bool) {
	worst = -1
	next := 0.0
	for _, i := range s.doubtful() {
		switch p := s.Pairs[i].Pull; {
		case worst < 0 || p > s.Pairs[worst].Pull:
			if worst >= 0 {
				next = s.Pairs[worst].Pull
			}
			worst = i
		default:
			next = max(next, p)
		}
	}
	if worst < 0 {
		return -1, false
	}
	p := s.Pairs[worst].Pull
	return worst, p > sure && p-next > 2 && next < 0.95*p
}

// doubtful are the pairs of cycles that do not close, in order.
func (s *Solution) doubtful() (pairs []int) {
	for _, c := range s.Cycles {
		if !c.Closes() {
			pairs = append(pairs, c.Pairs...)
		}
	}
	slices.Sort(pairs)
	return slices.Compact(pairs)
}

// suspect marks the pairs of which one is wrong, and widens all deviations by what
// the pairs are apart.
func (s *Solution) suspect() {
	for _, i := range s.doubtful() {
		s.Pairs[i].Suspect = true
	}
	if s.Freedom < 1 || s.ChiSquare <= float64(s.Freedom) {
		return
	}
	s.Widen(math.Sqrt(s.ChiSquare / float64(s.Freedom)))
}
