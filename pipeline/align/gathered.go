package align

import (
	"cmp"
	"fmt"
	"slices"

	"tsrun/pipeline/correlate"
)

// gathered holds the part of several channels of two nodes that is aligned next.
type gathered struct {
	a, b node
	most int // tags of one node
	buf  []uint64
}

// node are the channels of one node, as far as they have been read.
type node []*record

func newGathered(a, b []correlate.Stream, most int) *gathered {
	n := len(a) + len(b)
	g := &gathered{most: min(max(most, 64*n), MaxTags)}
	g.buf = make([]uint64, min(1<<15, g.most/8/n)) // so small that hardly any channel is far ahead
	few := max(2*fewHeld/n, 1<<12)
	for i, from := range a {
		g.a = append(g.a, &record{from: from, name: fmt.Sprintf("channel %d of A", i+1), held: held{most: g.most, few: few}})
	}
	for i, from := range b {
		g.b = append(g.b, &record{from: from, name: fmt.Sprintf("channel %d of B", i+1), held: held{most: g.most, few: few}})
	}
	return g
}

func (g *gathered) release() {
	for _, r := range slices.Concat(g.a, g.b) {
		r.release()
	}
}

func (n node) count() (tags int) {
	for _, r := range n {
		tags += len(r.tags)
	}
	return tags
}

// behind is the channel that has been read the least far; nil: all are at their end.
func behind(records []*record) (least *record) {
	for _, r := range records {
		switch {
		case r.ended:
		case r.count == 0:
			return r
		case least == nil || int64(r.last-least.last) < 0:
			least = r
		}
	}
	return least
}

// fill reads on, the channel that is behind first, until a node has as many tags as
// may be held.
func (g *gathered) fill() error {
	all := slices.Concat(g.a, g.b)
	for {
		room := g.most - max(g.a.count(), g.b.count())
		r := behind(all)
		if room == 0 || r == nil {
			return nil
		}
		if err := r.read(g.buf[:min(len(g.buf), room)]); err != nil {
			return err
		}
	}
}

// part is what has been read of all channels, up to where one of them goes on.
func (g *gathered) part() (a, b [][]uint64) {
	last := behind(slices.Concat(g.a, g.b))
	upTo := func(n node) (channels [][]uint64) {
		for _, r := range n {
			tags := r.tags
			if last != nil {
				tags = tags[:after(tags, last.last+1)]
			}
			channels = append(channels, tags)
		}
		return channels
	}
	return upTo(g.a), upTo(g.b)
}

// after is where the tags from a time on begin.
func after(tags []uint64, from uint64) int {
	i, _ := slices.BinarySearchFunc(tags, from, func(t, from uint64) int { return cmp.Compare(int64(t-from), 0) })
	return i
}

// forget keeps the last of so many shares of the part, and of the other node as much
// and an overlap. more says that there is a next one.
func (g *gathered) forget(overlap int64, shares int) (more bool) {
	if behind(slices.Concat(g.a, g.b)) == nil {
		return false
	}
	longer, other := g.a, g.b
	if other.count() > longer.count() {
		longer, other = other, longer
	}
	most := slices.MaxFunc(longer, func(x, y *record) int { return cmp.Compare(len(x.tags), len(y.tags)) }).tags
	cut := most[len(most)-len(most)/shares]
	longer.keep(cut, g.most)
	other.keep(cut-uint64(overlap), g.most)
	return true
}

// keep forgets the tags before a time, and more where there is hardly room for others.
func (n node) keep(from uint64, most int) {
	for _, r := range n {
		r.keep(after(r.tags, from))
	}
	if n.count() <= most/4*3 {
		return
	}
	for _, r := range n {
		r.keep(max(0, len(r.tags)-most/2/len(n)))
	}
}
