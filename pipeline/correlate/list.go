package correlate

import "slices"

// lister gives every tuple of all channels to each.
type lister struct {
	half   int64
	each   func(Tuple) error
	chosen []int // places of the tags in what the lanes hold
	tuple  Tuple
	one    []uint64 // numbers of the tags of the next one-to-one tuple
}

// add lists the tuples whose tag of A is in the span; matched are those of them
// that share no tag, in order.
func (s *lister) add(of []view, matched [][]uint64) error {
	n := len(of)
	s.chosen = slices.Grow(s.chosen[:0], n)[:n]
	s.tuple.Tags = slices.Grow(s.tuple.Tags[:0], n)[:n]
	s.tuple.Deltas = slices.Grow(s.tuple.Deltas[:0], n-1)[:n-1]
	from := make([]int, n)
	a := of[0]
	for i := a.low; i < a.high; i++ {
		s.one = nil
		if len(matched) > 0 && matched[0][0] == a.dropped+uint64(i) {
			s.one, matched = matched[0], matched[1:]
		}
		if !s.moveWindows(of, a.fixed[i], from) {
			continue
		}
		s.chosen[0], s.tuple.Tags[0] = i, a.raw[i]
		if err := s.extend(of, a.fixed[i], stretch{}, from, 1); err != nil {
			return err
		}
	}
	return nil
}

// moveWindows moves from, by lane, to the first tag in the window about t, and says
// whether every lane has one.
func (s *lister) moveWindows(of []view, t uint64, from []int) bool {
	for j := 1; j < len(from); j++ {
		fixed := of[j].fixed
		for from[j] < len(fixed) && int64(fixed[from[j]]-t) < -s.half {
			from[j]++
		}
		if from[j] == len(fixed) || int64(fixed[from[j]]-t) > s.half {
			return false
		}
	}
	return true
}

// extend adds a tag of lane j, and of those after it, to a part of a tuple.
func (s *lister) extend(of []view, t uint64, reach stretch, from []int, j int) error {
	if j == len(from) {
		s.tuple.OneToOne = s.isOne(of)
		return s.each(s.tuple)
	}
	l := of[j]
	for i := from[j]; i < len(l.fixed); i++ {
		d := int64(l.fixed[i] - t)
		if d > reach.low+s.half {
			break
		}
		if d < reach.high-s.half {
			continue
		}
		s.chosen[j], s.tuple.Tags[j], s.tuple.Deltas[j-1] = i, l.raw[i], d
		if err := s.extend(of, t, reach.with(d), from, j+1); err != nil {
			return err
		}
	}
	return nil
}

func (s *lister) isOne(of []view) bool {
	for j, number := range s.one {
		if number != of[j].dropped+uint64(s.chosen[j]) {
			return false
		}
	}
	return s.one != nil
}
