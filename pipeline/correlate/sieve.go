package correlate

import (
	"math/bits"
	"slices"
)

// sieve leaves out the tags of two channels that have no partner at any of the
// places. Windows rarely see a tag, so it leaves few, which are then looked at
// exactly, place by place.
//
// The places are a whole number of turns apart. A multiplication modulo 2^64
// folds time into one turn, where all places of a tag are one, and notes for
// each cell of the turn the last tag whose window touches it. A tag whose cell
// has none within reach has no partner.
type sieve struct {
	turn  uint64 // a time times it is its part of a turn, in 2^-64
	half  uint64 // of a window, as a part of a turn
	reach int64  // ps: from a tag to its farthest partner
	share float64
	last  []uint64 // ps: by cell
	found []int32  // memory for places of tags
}

// chosen are some of the tags that follow each other in a stream, or all.
type chosen struct {
	tags   []uint64
	first  uint64  // number of the tag from which places count
	places []int32 // of the tags; none: all, from 0
}

const (
	mostCells  = 1 << 14        // of a turn: their 128 KiB stay in a core's cache
	leastCells = 1 << 5         // of fewer, a window is too long a part of the turn
	longTurn   = int64(1) << 32 // ps: beyond, the multiplication would be off by more than a ps at each place
	batch      = 32             // tags that are looked at between two looks at the others
	worthwhile = 0.25           // of the tags, that are left by chance
	fewSifted  = 1 << 9         // tags that are counted sooner than the table is cleared
)

// newSieve returns nil where the windows are too long for it, against the time
// between places.
func newSieve(half int64, at places) *sieve {
	turn, slack, farthest := at[shiftsEachSide+1], int64(0), int64(0)
	for i, by := range at {
		off := by - int64(i-shiftsEachSide)*turn
		slack, farthest = max(slack, off, -off), max(farthest, by, -by)
	}
	slack += half + shiftsEachSide + 1
	cells := min(turn/(2*slack+1), mostCells) // no window touches three
	if cells < leastCells || turn > longTurn {
		return nil
	}
	s := &sieve{turn: ^uint64(0)/uint64(turn) + 1, reach: farthest + half, last: make([]uint64, cells)}
	s.half = uint64(slack) * s.turn
	s.share = float64(4*s.reach) / float64(cells)
	return s
}

// pays says whether few of a's tags would be left by chance, among those of b that
// they may be partners of.
func (s *sieve) pays(a, b []uint64) bool {
	if s == nil || len(a)+len(b) < fewSifted {
		return false
	}
	return s.share*float64(len(b)) < worthwhile*float64(a[len(a)-1]-a[0]+2*uint64(s.reach))
}

// sift leaves of two channels' tags those that may have partners, of which none is
// beyond all others' reach.
func (s *sieve) sift(own, other chosen, left *[2]chosen) {
	left[0].first, left[1].first = own.first, other.first
	s.leave(own.tags, other.tags, &left[0])
	s.leave(other.tags, left[0].tags, &left[1])
}

// leave leaves of tags, into left, those that may have a partner among others.
// Which tags that are is not a branch, because no processor could foresee it.
func (s *sieve) leave(tags, others []uint64, left *chosen) {
	left.tags, left.places = left.tags[:0], left.places[:0]
	if len(tags) == 0 || len(others) == 0 {
		return
	}
	for i := range s.last {
		s.last[i] = tags[0] - uint64(s.reach) - 1
	}
	if len(s.found) < len(tags) {
		s.found = make([]int32, len(tags))
	}
	n := 0
	for i := 0; i < len(tags); i += batch {
		some := tags[i:min(i+batch, len(tags))]
		others = others[s.note(others, some[len(some)-1]+uint64(s.reach)):]
		n += s.pick(some, int32(i), s.found[n:])
	}
	left.places = append(left.places, s.found[:n]...)
	left.tags = slices.Grow(left.tags, n)
	for _, place := range left.places {
		left.tags = append(left.tags, tags[place])
	}
}

// note notes in the table the tags up to a time, and returns how many these are. Like
// pick it has few variables, so that all of them stay in registers.
//
//go:noinline
func (s *sieve) note(others []uint64, until uint64) int {
	last, turn, half := s.last, s.turn, s.half
	cells := uint64(len(last))
	for i, t := range others {
		if int64(t-until) > 0 {
			return i
		}
		at := t * turn
		low, _ := bits.Mul64(at-half, cells)
		high, _ := bits.Mul64(at+half, cells)
		last[low], last[high] = t, t
	}
	return len(others)
}

// pick puts into places those of tags that may have a partner by the table, the first of
// which has the place given, and returns how many these are.
//
//go:noinline
func (s *sieve) pick(tags []uint64, place int32, places []int32) (n int) {
	last, turn, reach := s.last, s.turn, uint64(s.reach)+1
	cells := uint64(len(last))
	places = places[:len(tags)]
	for i, t := range tags {
		places[n] = place + int32(i)
		cell, _ := bits.Mul64(t*turn, cells)
		n += int((t - last[cell] - reach) >> 63)
	}
	return n
}

// number is that of the i-th of the tags.
func (c *chosen) number(i int) uint64 {
	if len(c.places) > 0 {
		i = int(c.places[i])
	}
	return c.first + uint64(i)
}

// from is the first of the tags that has at least this number.
func (c *chosen) from(number uint64) int {
	return search(len(c.tags), func(i int) bool { return c.number(i) >= number })
}
