package track

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Follow tracks B's clock from the seed's Reference both ways, to the ends of
// the time both recorded, and smooths it. Each of more is another time at which
// the clock is known, after a jump that hides it from the first. Tags are in
// order of time. The error is [ErrLost] when hardly any pairs are found, a limit
// of a line, or the context's.
//
// The result depends on nothing but the arguments. Time and memory are bounded
// by the numbers of tags, whatever they are.
func Follow(ctx context.Context, a, b []uint64, seed Seed, more ...Seed) (*Track, error) {
	for _, s := range append([]Seed{seed}, more...) {
		if err := s.Line.Check(); err != nil {
			return nil, err
		}
	}
	if len(a) == 0 || len(b) == 0 {
		return nil, ErrLost
	}
	f := &follower{frame: newFrame(seed), a: a, b: b, seed: seed.bounded()}
	f.slice = min(f.seed.sliceLength(), max(f.overlap()/fewestSlices, int64(fewestInSlice/f.seed.PairRate*second), 1))
	rough, err := f.track(ctx, f.starts(more))
	if err != nil {
		return nil, err
	}
	if len(rough.slices) < leastSlices {
		return nil, ErrLost
	}
	return f.conclude(ctx, rough)
}

const leastSlices = 3

// follower holds what following a whole record needs.
type follower struct {
	frame
	a, b  []uint64
	seed  Seed
	slice int64 // ps
	tried int   // slices that were looked at
}

// bounded is the seed with what cannot be brought to what can.
func (s Seed) bounded() Seed {
	clamp := func(v, low, high, otherwise float64) float64 {
		if !(v > 0) {
			return otherwise
		}
		return min(max(v, low), high)
	}
	s.Jitter = max(clamp(s.Jitter, 5, 1e6, 300), s.Grid.Floor())
	s.OffsetSD = clamp(s.OffsetSD, 0, 1e9, 0)
	s.FrequencySD = clamp(s.FrequencySD, 0, 1e-3, 0)
	s.PairRate = clamp(s.PairRate, 1e-3, 1e9, 1)
	return s
}

const (
	shortestSlice = 10_000_000_000     // ps
	longestSlice  = 1_000_000_000_000  // ps, where that holds barePairs
	barestSlice   = 60_000_000_000_000 // ps
	pairsPerSlice = 300
	barePairs     = 40 // that stand out of any background that pairs were found in
	fewestSlices  = 8  // of a short record
)

// sliceLength is long enough for the pairs of a slice to tell where they are,
// and short enough for a clock not to move them by much.
func (s Seed) sliceLength() int64 {
	length := min(max(int64(pairsPerSlice/s.PairRate*second), shortestSlice), longestSlice)
	return max(length, min(int64(barePairs/s.PairRate*second), barestSlice))
}

// overlap is about how long both records are, in ps.
func (f *follower) overlap() int64 {
	from, to := f.a[0], f.a[len(f.a)-1]
	first, last := f.line.Apply(f.b[0]), f.line.Apply(f.b[len(f.b)-1])
	return min(int64(to-from), int64(last-first), int64(to-first), int64(last-from))
}

// floor returns the largest multiple of unit that is not above v.
func floor(v, unit int64) int64 {
	n := v / unit
	if v < n*unit {
		n--
	}
	return n * unit
}

// start is a time at which the clock is known.
type start struct {
	at   int64 // ps since Reference, where a slice begins
	seed Seed
}

// starts are all places to follow the clock from, in order of time.
func (f *follower) starts(more []Seed) []start {
	all := []start{{seed: f.seed}}
	for _, s := range more {
		all = append(all, start{floor(f.since(s.Line.Reference), f.slice), s.bounded()})
	}
	slices.SortStableFunc(all, func(x, y start) int { return cmp.Compare(x.at, y.at) })
	return slices.CompactFunc(all, func(x, y start) bool { return x.at == y.at })
}

// track follows the clock both ways from all starts at once, each as far as to
// the next, and returns the slices in order. Where the way from one start does
// not lead into that from the next, the clock goes on anew.
func (f *follower) track(ctx context.Context, starts []start) (*path, error) {
	type way struct {
		found []slice
		tried int
	}
	ways := make([][2]way, len(starts))
	g, ctx := errgroup.WithContext(ctx)
	for i := range starts {
		for k, direction := range []int64{-1, 1} {
			g.Go(func() error {
				r := runner{follower: f, tracker: newTracker(f.frame, starts[i].seed, float64(direction)), direction: direction}
				r.keep = true
				r.work = 4*float64(len(f.a)+len(f.b))/float64(len(starts)) + 4*mostListed
				err := r.run(ctx, f.region(starts, i, direction))
				ways[i][k] = way{r.found, r.tried}
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	p, last := &path{}, len(starts)-1
	for i := range ways {
		slices.Reverse(ways[i][0].found)
		if i == 0 {
			p.slices, f.tried = ways[i][0].found, ways[i][0].tried
		} else {
			p.join(ways[i-1][1].found, ways[i][0].found)
		}
		f.tried += ways[i][1].tried
	}
	p.slices = append(p.slices, ways[last][1].found...)
	p.leaps = slices.DeleteFunc(p.leaps, func(l leap) bool { return l.before >= len(p.slices) })
	for i := range p.leaps {
		p.leaps[i] = p.somewhere(p.leaps[i].before, true)
	}
	return p, nil
}

// region returns A's tags from a start on in a direction, as far as to the next.
func (f *follower) region(starts []start, i int, direction int64) []uint64 {
	index := func(i int) int { return search(f.a, f.line.Reference+uint64(starts[i].at)) }
	from, to := index(i), len(f.a)
	switch {
	case direction < 0 && i == 0:
		from, to = 0, from
	case direction < 0:
		from, to = index(i-1), from
	case i+1 < len(starts):
		to = index(i + 1)
	}
	return f.a[from:to]
}

// join appends what was found between two starts on the way from the first, up
// to a moment, and what was found on the way back from the second: the moment
// with which most pairs are kept.
func (p *path) join(on, back []slice) {
	best, most, kept := 0, -1.0, 0.0
	for i := range back {
		kept += back[i].n
	}
	k, used := 0, 0                 // of back: those before the moment
	for i := 0; i <= len(on); i++ { // the moment is just after i slices of on
		if i > 0 {
			kept += on[i-1].n
			for ; k < len(back) && back[k].from <= on[i-1].from; k++ {
				kept -= back[k].n
			}
		}
		if kept > most {
			best, most, used = i, kept, k
		}
	}
	p.slices = append(p.slices, on[:best]...)
	if n := len(p.slices); n > 0 {
		p.leaps = append(p.leaps, leap{before: n, anew: true})
	}
	p.slices = append(p.slices, back[used:]...)
}

// runner takes one direction of a part of a record.
type runner struct {
	*follower
	*tracker
	direction int64
	found     []slice
	tried     int
}

// run looks at slice after slice of A's tags; those without tags are passed.
func (r *runner) run(ctx context.Context, tags []uint64) error {
	for len(tags) > 0 {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		var from int64
		var part []uint64
		if r.direction > 0 {
			from = floor(r.since(tags[0]), r.slice)
			n := search(tags, r.line.Reference+uint64(from+r.slice))
			part, tags = tags[:n], tags[n:]
		} else {
			from = floor(r.since(tags[len(tags)-1]), r.slice)
			n := search(tags, r.line.Reference+uint64(from))
			part, tags = tags[n:], tags[:n]
		}
		r.take(part, from)
	}
	return nil
}

func (r *runner) take(part []uint64, from int64) {
	m := r.window(r.bank, from, from+r.slice)
	recorded, whole := r.recorded(part, m)
	if !recorded {
		return
	}
	if whole {
		r.tried++
	}
	lost := r.last
	wasLost := r.misses >= 3
	for _, s := range r.step(part, r.b, from, from+r.slice) {
		if wasLost && s.leapt {
			r.backfill(s, lost)
		}
		r.found = append(r.found, s.slice)
	}
}

// recorded says whether B recorded while A took these tags, and whether both
// did so for most of the slice.
func (r *runner) recorded(part []uint64, m aim) (some, most bool) {
	first, last := part[0], part[len(part)-1]
	early := int64(r.b[0] - first - uint64(r.offsetAt(first).Plus(m.x).Whole))       // by which B began later
	late := int64(last + uint64(r.offsetAt(last).Plus(m.x).Whole) - r.b[len(r.b)-1]) // by which B ended sooner
	length := int64(last - first)
	return early < length && late < length, length-max(early, 0)-max(late, 0) > r.slice/2
}

// backfill follows the clock from where it was found again back to where it
// was lost.
func (r *runner) backfill(s fix, lost int64) {
	k := newTracker(r.frame, r.seed, -float64(r.direction))
	k.keep, k.sigma = true, r.sigma
	start := s.state
	if r.direction > 0 {
		start = start.mirrored()
	}
	k.bank = newBank(k.direction*s.t, start)
	var back []slice
	lost = floor(lost, r.slice) // that slice is there
	for from := s.from - r.direction*r.slice; k.misses < 2; from -= r.direction * r.slice {
		if (from-lost)*r.direction <= 0 {
			break
		}
		part := r.a[search(r.a, r.line.Reference+uint64(from)):search(r.a, r.line.Reference+uint64(from+r.slice))]
		if len(part) == 0 {
			k.misses++
			continue
		}
		for _, s := range k.step(part, r.b, from, from+r.slice) {
			back = append(back, s.slice)
		}
	}
	slices.Reverse(back)
	r.found = append(r.found, back...)
}
