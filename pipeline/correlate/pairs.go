package correlate

import "runtime"

// placed is how many pairs were found at each place.
type placed [shiftedWindows + 1]uint64

// piece is a part of a span of two channels, which one core looks at, and what it finds.
type piece struct {
	span       int // its number
	a, b       view
	own, other chosen    // those that may be pairs
	left       [2]chosen // memory for them
	found      placed
}

// pairing counts the pairs of two channels on all cores.
type pairing struct {
	c      *counter
	g      *gather
	list   *lister
	sieves []*sieve // by core
}

func newPairing(c *counter, g *gather, list *lister) *pairing {
	p := &pairing{c: c, g: g, list: list}
	for range runtime.GOMAXPROCS(0) {
		p.sieves = append(p.sieves, newSieve(c.half, c.at))
	}
	return p
}

func (p *pairing) count() error {
	cores := newCrew(len(p.sieves), func(core int, of *piece) { p.c.look(of, p.sieves[core]) }, p.take)
	defer cores.stop()
	for {
		more, err := p.g.another()
		if err != nil {
			return err
		}
		if !more {
			return cores.finish()
		}
		b, before := p.g.lanes[1].view, cores.given
		for a := range p.g.lanes[0].pieces(len(p.sieves)) {
			of, err := cores.next()
			if err != nil {
				return err
			}
			of.span, of.a, of.b = p.g.spans, a, b
			if err := cores.give(); err != nil {
				return err
			}
		}
		if err := cores.passed(p.g, before); err != nil {
			return err
		}
	}
}

// take enters what was found in a piece; they come in order.
func (p *pairing) take(of *piece) error {
	p.g.used = of.span
	p.c.enter(of)
	if p.list.each == nil {
		return nil
	}
	return p.list.add([]view{of.a, of.b}, p.c.matched)
}

// pairs counts the pairs of two channels whose first tag is in the span, at every
// place, and matches those of the window that is not shifted.
func (c *counter) pairs(a, b view) {
	for a := range a.pieces(1) {
		c.piece.a, c.piece.b = a, b
		c.look(&c.piece, c.sieve)
		c.enter(&c.piece)
	}
}

// look finds the pairs of a piece. Where few tags have partners, it looks for those that
// may have some first.
func (c *counter) look(p *piece, s *sieve) {
	p.found = placed{}
	p.own = chosen{tags: p.a.fixed[p.a.low:p.a.high], first: p.a.dropped + uint64(p.a.low)}
	if len(p.own.tags) == 0 {
		p.other = chosen{}
		return
	}
	windows := c.windows[0]
	p.b = p.b.within(p.own.tags[0]+uint64(windows[0].low), p.own.tags[len(p.own.tags)-1]+uint64(windows[len(windows)-1].high))
	p.other = chosen{tags: p.b.fixed, first: p.b.dropped}
	if s.pays(p.own.tags, p.other.tags) {
		s.sift(p.own, p.other, &p.left)
		p.own, p.other = p.left[0], p.left[1]
	}
	for place, w := range windows {
		p.found[place] = countWithin(p.own.tags, p.other.tags, w.low, w.high)
	}
}

// enter enters what was found in a piece, after those before it.
func (c *counter) enter(p *piece) {
	c.matched = c.matched[:0]
	for place, n := range p.found {
		apart := together
		if place != shiftsEachSide {
			apart = 1
		}
		c.found[apart] += n
		c.placed[place] += n
	}
	c.matchPairs(p.own, p.other)
}

// matchPairs is match for two channels. Which of them steps is not a branch,
// because no processor could foresee it.
func (c *counter) matchPairs(a, b chosen) {
	own, other := a.tags, b.tags
	i, j := 0, b.from(c.free[1])
	half := uint64(c.half)
	for i < len(own) && j < len(other) {
		d := other[j] - own[i] + half
		if d > 2*half {
			late := int(d >> 63)
			i, j = i+1-late, j+late
			continue
		}
		c.one++
		if c.listed {
			c.matched = append(c.matched, []uint64{a.number(i), b.number(j)})
		}
		i, j = i+1, j+1
	}
	if j > 0 {
		c.free[1] = max(c.free[1], b.number(j-1)+1)
	}
}
