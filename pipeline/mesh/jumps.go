package mesh

import (
	"cmp"
	"math"
	"slices"
)

// Seen is a jump that the record of a pair shows.
type Seen struct {
	Pair   int     // its number among those that watched
	At     int64   // ps, of one scale for all
	AtSD   float64 // ps
	Size   float64 // ps: by how much B minus A changes
	SizeSD float64
}

// Watch is a pair that would have shown a jump of either of its clocks.
type Watch struct {
	A, B     int
	From, To int64 // ps: when it looked
}

// Jump is one of a clock, as all pairs show it.
type Jump struct {
	At     int64
	AtSD   float64
	Clock  int   // whose it is; -1: one of Of, nothing tells which
	Of     []int // the clocks that may have jumped
	Size   float64
	SizeSD float64
	Pairs  []int // that saw it
}

// together is how far apart two pairs may place one jump beside their deviations: ps.
const together = 2e9

// Blame says whose clock jumped. All pairs of a clock that jumps show it, by as
// much, and no others do.
func Blame(clocks int, watched []Watch, seen []Seen) (jumps []Jump) {
	rest := slices.Clone(seen)
	slices.SortStableFunc(rest, func(a, b Seen) int { return cmp.Compare(a.At, b.At) })
	for len(rest) > 0 {
		n := 1
		for n < len(rest) && float64(rest[n].At-rest[0].At) <= together+sure*math.Hypot(rest[n].AtSD, rest[0].AtSD) {
			n++
		}
		group := slices.Clone(rest[:n])
		rest = rest[n:]
		for len(group) > 0 {
			var j Jump
			j, group = blame(clocks, watched, group)
			jumps = append(jumps, j)
		}
	}
	return jumps
}

// blame finds the clock that explains most of what was seen at one moment, and
// returns what it does not explain.
func blame(clocks int, watched []Watch, group []Seen) (j Jump, rest []Seen) {
	best := math.Inf(-1)
	var of []int
	for clock := range clocks {
		explained := explains(clock, watched, group)
		if len(explained) == 0 {
			continue
		}
		score := float64(len(explained) - unseen(clock, watched, explained))
		if score > best {
			best, of = score, nil
		}
		if score == best {
			of = append(of, clock)
		}
	}
	j = Jump{Clock: -1, Of: of}
	if len(of) == 1 {
		j.Clock = of[0]
	}
	mine := explains(of[0], watched, group)
	sharpest := slices.MinFunc(mine, func(a, b Seen) int { return cmp.Compare(a.SizeSD, b.SizeSD) })
	j.At, j.AtSD, j.SizeSD = sharpest.At, sharpest.AtSD, sharpest.SizeSD
	j.Size = signed(of[0], watched, sharpest)
	for _, s := range group {
		if slices.Contains(mine, s) {
			j.Pairs = append(j.Pairs, s.Pair)
		} else {
			rest = append(rest, s)
		}
	}
	return j, rest
}

// signed is by how much a clock would have jumped.
func signed(clock int, watched []Watch, s Seen) float64 {
	if watched[s.Pair].A == clock {
		return -s.Size
	}
	return s.Size
}

// explains are those of a group that a jump of a clock explains: the most that
// agree about its size.
func explains(clock int, watched []Watch, group []Seen) (most []Seen) {
	for _, first := range group {
		var agree []Seen
		for _, s := range group {
			if w := watched[s.Pair]; w.A != clock && w.B != clock {
				continue
			}
			if math.Abs(signed(clock, watched, s)-signed(clock, watched, first)) <= sure*math.Hypot(s.SizeSD, first.SizeSD) {
				agree = append(agree, s)
			}
		}
		if w := watched[first.Pair]; (w.A == clock || w.B == clock) && len(agree) > len(most) {
			most = agree
		}
	}
	return most
}

// unseen is how many pairs of a clock looked, and did not see what the others did.
func unseen(clock int, watched []Watch, explained []Seen) (n int) {
	at := explained[0].At
	for i, w := range watched {
		if w.A != clock && w.B != clock || at < w.From || at > w.To {
			continue
		}
		if !slices.ContainsFunc(explained, func(s Seen) bool { return s.Pair == i }) {
			n++
		}
	}
	return n
}
