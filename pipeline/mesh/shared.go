package mesh

import "math"

// CloseTooWell says whether the ways round close far better than the pairs' deviations let
// expect: 1 of 20 networks of independent pairs does. Nodes that see one flash each time do, as
// what is wrong with the pair AB is then wrong with AC and CB together.
func (s *Solution) CloseTooWell() bool {
	if s.Freedom < 1 {
		return false
	}
	const lowest = -1.645 // of a normal distribution, 1 of 20 lies below
	part := 2 / (9 * float64(s.Freedom))
	edge := 1 - part + lowest*math.Sqrt(part) // Wilson and Hilferty: its cube is nearly normal
	return s.ChiSquare < float64(s.Freedom)*edge*edge*edge
}

// Alone is how many times wider the deviations would be if each difference of two clocks were
// known no better than by its best way alone. Where pairs share photons, the others add
// nothing to it.
func (s *Solution) Alone() float64 {
	const offset, frequency = 0, 1
	n := len(s.Clocks)
	ways := [2]matrix{newMatrix(n), newMatrix(n)}
	for i := range n {
		for k := range n {
			if i != k {
				ways[offset][i][k], ways[frequency][i][k] = math.Inf(1), math.Inf(1)
			}
		}
	}
	for i, p := range s.pairs {
		if !s.Pairs[i].Used {
			continue
		}
		for which, variance := range [2]float64{p.OffsetSD * p.OffsetSD, p.FrequencySD * p.FrequencySD} {
			w := ways[which]
			w[p.A][p.B] = min(w[p.A][p.B], variance)
			w[p.B][p.A] = w[p.A][p.B]
		}
	}
	widest := 1.0
	for _, w := range ways {
		w.shorten()
	}
	for i := range n {
		for k := range i {
			if !s.Clocks[i].Reached || !s.Clocks[k].Reached {
				continue
			}
			d := s.Between(i, k)
			widest = max(widest, math.Sqrt(ways[offset][i][k])/d.OffsetSD, math.Sqrt(ways[frequency][i][k])/d.FrequencySD)
		}
	}
	return widest
}

// shorten makes of the lengths of steps those of the shortest ways.
func (m matrix) shorten() {
	for via := range m {
		for i := range m {
			for k := range m {
				m[i][k] = min(m[i][k], m[i][via]+m[via][k])
			}
		}
	}
}

// Widen makes all deviations so many times wider.
func (s *Solution) Widen(by float64) {
	s.Widened *= by
	for i := range s.spreads {
		for k := range s.spreads[i] {
			s.spreads[i][k] *= by * by
		}
	}
	for i := range s.Clocks {
		s.Clocks[i].OffsetSD *= by
		s.Clocks[i].FrequencySD *= by
	}
}
