package correlate

// placed is how many pairs were found at each place.
type placed [shiftedWindows + 1]uint64

// pairs counts the pairs of two channels whose first tag is in the span, at every
// place, and matches those of the window that is not shifted.
func (c *counter) pairs(a, b *lane) {
	c.matched = c.matched[:0]
	own := chosen{tags: a.fixed[a.low:a.high], first: a.dropped + uint64(a.low)}
	other := chosen{tags: b.fixed, first: b.dropped}
	if len(own.tags) == 0 || len(other.tags) == 0 {
		return
	}
	if c.sieves[0].pays(own.tags, other.tags) {
		c.sifted(own, other)
		return
	}
	var found placed
	Each(len(found)+1, func(place int) {
		if place == len(found) {
			c.matchPairs(own, other)
			return
		}
		w := c.windows[0][place]
		found[place] = countWithin(own.tags, other.tags, w.low, w.high)
	})
	c.note(found)
}

// sifted is pairs where few tags have partners: each core looks for those that
// may have some in its part of the span.
func (c *counter) sifted(own, other chosen) {
	found := make([]placed, len(c.sieves))
	Each(len(found), func(i int) {
		from, to := span(len(own.tags), len(found), i)
		s := c.sieves[i]
		s.sift(own.part(from, to), other)
		for place, w := range c.windows[0] {
			found[i][place] = countWithin(s.a.tags, s.b.tags, w.low, w.high)
		}
	})
	for i, s := range c.sieves {
		c.note(found[i])
		c.matchPairs(s.a, s.b)
	}
}

func (c *counter) note(found placed) {
	for place, n := range found {
		apart := together
		if place != shiftsEachSide {
			apart = 1
		}
		c.found[apart] += n
		c.placed[place] += n
	}
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
