package mesh

import (
	"errors"
	"fmt"
	"math"

	"tsrun/sdk/quantity"
)

// Most is how many clocks are solved for at once.
const Most = 64

// mostPairs bounds the pairs: each of the most clocks with each, twice.
const mostPairs = Most * (Most - 1)

// farthest is how far a clock may be from the reference, in ps: 53 days. The
// difference of two such clocks still fits 64 bits.
const farthest = int64(1) << 62

// fastest is by how much clocks may differ in frequency.
const fastest = 0.01

// Pair is what two clocks say of each other at one moment: B minus A.
type Pair struct {
	A, B      int
	Offset    quantity.Fine
	Frequency float64 // of B against A, a dimensionless number; positive: B runs fast
	Spread
}

// Spread says how well offset and frequency are known.
type Spread struct {
	OffsetSD    float64 // ps
	FrequencySD float64 // dimensionless
	Correlation float64 // of the errors of both, -1 to 1
}

// Clock is where a clock is, minus the reference.
type Clock struct {
	Reached   bool // pairs lead from the reference to it; else nothing is known
	Offset    quantity.Fine
	Frequency float64
	Spread
	By []int // the pairs of the shortest way to it, from the reference on
}

// Solution is where all clocks are.
type Solution struct {
	Clocks    []Clock
	Pairs     []Residual // of the pairs, in their order
	Cycles    []Cycle    // that are independent of each other
	ChiSquare float64    // of the pairs about the clocks
	Freedom   int        // its degrees of freedom
	Widened   float64    // by which all deviations were multiplied; 1 where pairs neither contradict each other nor share photons

	pairs   []Pair
	forest  *forest
	columns []int // of each clock among the unknowns, by two; -1: it has none
	spreads matrix
}

// Residual is how a pair lies beside the clocks that all pairs make.
type Residual struct {
	Used      bool    // it is between clocks that were reached, and was not left out
	LeftOut   bool    // the others contradict it
	Suspect   bool    // it or another one is wrong: nothing tells which
	Offset    float64 // ps: what the pair says minus what the clocks make
	Frequency float64
	Pull      float64 // how far that is, in standard deviations; 0 where no other pair can tell
}

// Solve finds the clocks from pairs. A pair that the others contradict is left
// out where they tell which it is; else all deviations are wider. An error is
// of pairs that are none.
func Solve(clocks, reference int, pairs []Pair) (*Solution, error) {
	if err := check(clocks, reference, pairs); err != nil {
		return nil, err
	}
	left := make([]bool, len(pairs))
	for {
		s, err := solve(clocks, reference, pairs, left)
		if err != nil {
			return nil, err
		}
		worst, alone := s.worst()
		if worst < 0 {
			return s, nil
		}
		if !alone {
			s.suspect()
			return s, nil
		}
		left[worst] = true
	}
}

func check(clocks, reference int, pairs []Pair) error {
	if clocks < 1 || clocks > Most {
		return fmt.Errorf("%d clocks; 1 to %d can be solved for", clocks, Most)
	}
	if reference < 0 || reference >= clocks {
		return fmt.Errorf("clock %d is the reference, of %d", reference, clocks)
	}
	if len(pairs) > mostPairs {
		return fmt.Errorf("%d pairs of clocks; %d can be solved for", len(pairs), mostPairs)
	}
	for i, p := range pairs {
		if err := p.check(clocks); err != nil {
			return fmt.Errorf("pair %d: %w", i, err)
		}
	}
	return nil
}

func (p Pair) check(clocks int) error {
	switch {
	case p.A < 0 || p.A >= clocks || p.B < 0 || p.B >= clocks || p.A == p.B:
		return fmt.Errorf("it is of clocks %d and %d, of %d", p.A, p.B, clocks)
	case !(math.Abs(p.Offset.Part) <= 1) || p.Offset.Whole > farthest || p.Offset.Whole < -farthest:
		return fmt.Errorf("its offset of %v ps is beyond 53 days", p.Offset)
	case !(math.Abs(p.Frequency) <= fastest):
		return fmt.Errorf("its frequency of %g is beyond %g", p.Frequency, fastest)
	case !(p.OffsetSD > 0 && p.OffsetSD < 1e18) || !(p.FrequencySD > 0 && p.FrequencySD < 1):
		return fmt.Errorf("its deviations are %g ps and %g; each is more than 0", p.OffsetSD, p.FrequencySD)
	case !(math.Abs(p.Correlation) < 1):
		return fmt.Errorf("its correlation is %g; it lies between -1 and 1", p.Correlation)
	}
	return nil
}

// unit is what frequencies are counted in while they are solved for, so that they
// are of the size of offsets in ps: ps in 1 s.
const unit = 1e12

// rate is a frequency as a number that adds up from clock to clock, as factors do
// not, in ps in 1 s.
func rate(frequency float64) float64 { return math.Log1p(frequency) * unit }

func frequency(rate float64) float64 { return math.Expm1(rate / unit) }

// block is the covariance of offset and rate of a pair.
func (p Pair) block() (xx, xy, yy float64) {
	sd := p.FrequencySD * unit
	return p.OffsetSD * p.OffsetSD, p.Correlation * p.OffsetSD * sd, sd * sd
}

var errSums = errors.New("the deviations of the pairs are too different to be solved for")

// solve is Solve without the pairs that are left out.
func solve(clocks, reference int, pairs []Pair, left []bool) (*Solution, error) {
	s := &Solution{pairs: pairs, forest: grow(clocks, reference, pairs, left), Widened: 1}
	n := 0
	for i := range clocks {
		s.columns = append(s.columns, -1)
		if i != reference && s.forest.reached[i] {
			s.columns[i], n = n, n+2
		}
	}
	normal, sums := newMatrix(n), make([]float64, n)
	beside := make([][2]float64, len(pairs))
	for i, p := range pairs {
		if left[i] || !s.forest.leads(p) {
			continue
		}
		beside[i] = s.forest.beside(p)
		s.add(normal, sums, p, beside[i])
	}
	var ok bool
	if s.spreads, ok = normal.inverse(); !ok {
		return nil, errSums
	}
	found := s.spreads.times(sums)
	s.tell(found)
	s.compare(pairs, left, beside, found)
	s.findCycles(pairs, left)
	return s, nil
}

// sides calls with the columns of a pair's clocks and their sign in B minus A.
func (s *Solution) sides(p Pair, do func(column int, sign float64)) {
	if c := s.columns[p.A]; c >= 0 {
		do(c, -1)
	}
	if c := s.columns[p.B]; c >= 0 {
		do(c, 1)
	}
}

// add gives a pair its weight.
func (s *Solution) add(normal matrix, sums []float64, p Pair, beside [2]float64) {
	xx, xy, yy := p.block()
	all := xx*yy - xy*xy
	wxx, wxy, wyy := yy/all, -xy/all, xx/all
	s.sides(p, func(c int, sign float64) {
		sums[c] += sign * (wxx*beside[0] + wxy*beside[1])
		sums[c+1] += sign * (wxy*beside[0] + wyy*beside[1])
		s.sides(p, func(d int, other float64) {
			normal[c][d] += sign * other * wxx
			normal[c][d+1] += sign * other * wxy
			normal[c+1][d] += sign * other * wxy
			normal[c+1][d+1] += sign * other * wyy
		})
	})
}

// tell turns what was found beside the shortest ways into clocks.
func (s *Solution) tell(found []float64) {
	for i, c := range s.columns {
		clock := Clock{Reached: s.forest.reached[i]}
		if c >= 0 {
			clock.Offset = s.forest.offset[i].Plus(found[c])
			clock.Frequency = frequency(s.forest.rate[i] + found[c+1])
			clock.Spread = spreadOf(s.spreads[c][c], s.spreads[c][c+1], s.spreads[c+1][c+1])
			clock.By = s.forest.way(i)
		}
		s.Clocks = append(s.Clocks, clock)
	}
}

func spreadOf(xx, xy, yy float64) Spread {
	r := Spread{OffsetSD: math.Sqrt(max(xx, 0)), FrequencySD: math.Sqrt(max(yy, 0)) / unit}
	if all := math.Sqrt(xx * yy); all > 0 {
		r.Correlation = max(-1, min(1, xy/all))
	}
	return r
}

// Covariance is that of the errors of two clocks: of offset with offset in ps², of
// offset of i with frequency of k in ps, and of frequency with frequency. Those of
// the reference, and of clocks that were not reached, are 0.
func (s *Solution) Covariance(i, k int) (offsets, mixed, frequencies float64) {
	c, d := s.columns[i], s.columns[k]
	if c < 0 || d < 0 {
		return 0, 0, 0
	}
	return s.spreads[c][d], s.spreads[c][d+1] / unit, s.spreads[c+1][d+1] / (unit * unit)
}

// Between is clock k minus clock i.
func (s *Solution) Between(i, k int) (c Clock) {
	a, b := s.Clocks[i], s.Clocks[k]
	if !a.Reached || !b.Reached {
		return c
	}
	c.Reached = true
	c.Offset = quantity.NewFine(b.Offset.Whole-a.Offset.Whole, b.Offset.Part-a.Offset.Part)
	c.Frequency = (b.Frequency - a.Frequency) / (1 + a.Frequency)
	var sums [3]float64 // xx, xy, yy
	for _, t := range []struct {
		i, k int
		sign float64
	}{{i, i, 1}, {k, k, 1}, {i, k, -1}, {k, i, -1}} {
		xx, xy, yy := s.Covariance(t.i, t.k)
		sums[0], sums[1], sums[2] = sums[0]+t.sign*xx, sums[1]+t.sign*xy*unit, sums[2]+t.sign*yy*unit*unit
	}
	c.Spread = spreadOf(sums[0], sums[1], sums[2])
	return c
}
