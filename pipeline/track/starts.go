package track

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
)

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
