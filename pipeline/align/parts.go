package align

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// MaxTags is how many tags of a channel are held at once: 512 MiB.
const MaxTags = 1 << 26

// keptOf is the share of a part in which the clock was found that the next one
// begins with, so that the clock is known there.
const keptOf = 8

// Parts is B's clock through records of any length, which were aligned in parts.
type Parts struct {
	Alignment             // of the whole; its line is that of the part in the middle
	Count     int         // parts
	Refused   []track.Gap // where no offset was found, in order of time
	lines     correlate.Correction
}

// Correction returns what carries B's tags to A's clock in all parts.
func (c Parts) Correction() correlate.Correction {
	if c.Count <= 1 {
		return c.Alignment.Correction()
	}
	return c.lines
}

// AlignStreams is [Align] for records that may be too long to be held: more
// than [MaxTags] are aligned in parts that overlap. A part takes over the clock
// of the one before it; where it is lost, it is looked for as at first. The error
// is a *[Refusal] when no part gives an answer.
func AlignStreams(ctx context.Context, a, b correlate.Stream, o Options) (Parts, error) {
	return AlignParts(ctx, a, b, o, MaxTags)
}

// AlignParts is [AlignStreams] in parts of at most so many tags of each, which
// are at least 16 and at most [MaxTags].
func AlignParts(ctx context.Context, a, b correlate.Stream, o Options, most int) (Parts, error) {
	if err := o.Check(); err != nil {
		return Parts{}, err
	}
	most = min(max(most, minTags), MaxTags)
	d := dealer{a: a, b: b, most: most, buf: make([]uint64, 1<<15)}
	c := chain{ctx: ctx, options: o}
	for more := true; more; {
		if err := d.fill(); err != nil {
			return Parts{}, err
		}
		found, err := c.add(d.tagsA, d.tagsB)
		if err != nil {
			return Parts{}, err
		}
		share := 2 // so that the next part is never too short to tell anything
		if found {
			share = keptOf
		}
		more = d.forget(2*c.search().Search, share)
	}
	if len(c.found) == 0 {
		return Parts{}, c.why
	}
	return joined(c.found, c.refused)
}

// dealer holds the part of two records that is aligned next.
type dealer struct {
	a, b         correlate.Stream
	most         int
	tagsA, tagsB []uint64
	endA, endB   bool
	buf          []uint64
}

// fill reads on, the record that is behind first, until one has as many tags as
// may be held.
func (d *dealer) fill() (err error) {
	for !(d.endA && d.endB) && len(d.tagsA) < d.most && len(d.tagsB) < d.most {
		behind := d.endB || !d.endA && (len(d.tagsA) == 0 ||
			len(d.tagsB) > 0 && int64(d.tagsA[len(d.tagsA)-1]-d.tagsB[len(d.tagsB)-1]) <= 0)
		if behind {
			d.tagsA, d.endA, err = d.read(d.a, d.tagsA)
		} else {
			d.tagsB, d.endB, err = d.read(d.b, d.tagsB)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read reads on. Tags that repeat a time, which say nothing of the clocks, are
// left out.
func (d *dealer) read(s correlate.Stream, tags []uint64) (all []uint64, end bool, err error) {
	n, err := s.Next(d.buf[:min(len(d.buf), d.most-len(tags))])
	if err == io.EOF {
		return tags, true, nil
	}
	if cap(tags)-len(tags) < n { // twice as many: so long a list is dear to move
		tags = slices.Grow(tags, min(max(len(tags), 4*len(d.buf)), d.most-len(tags)))
	}
	for _, t := range d.buf[:n] {
		if k := len(tags); k == 0 || tags[k-1] != t {
			tags = append(tags, t)
		}
	}
	return tags, false, err
}

// forget keeps the last of so many shares of the part, and of the other record
// as much and an overlap. more says that there is a next one.
func (d *dealer) forget(overlap int64, shares int) (more bool) {
	if d.endA && d.endB {
		return false
	}
	longer, other := &d.tagsA, &d.tagsB
	if len(d.tagsB) > len(d.tagsA) {
		longer, other = other, longer
	}
	first := len(*longer) - len(*longer)/shares
	cut := (*longer)[first] - uint64(overlap)
	*longer = append((*longer)[:0], (*longer)[first:]...)
	early, _ := slices.BinarySearchFunc(*other, cut, func(t, cut uint64) int { return cmp.Compare(int64(t-cut), 0) })
	early = max(early, len(*other)-d.most/2)
	*other = append((*other)[:0], (*other)[early:]...)
	return true
}

const (
	unsure     = 2.0                      // times what is foretold of a clock is known less well than it says
	quartz     = 1e-9                     // by which the frequency of a clock may change while nothing shows it
	foretells  = int64(100_000_000_000)   // ps from where a clock was known last to where it is followed from
	firstPairs = 4000.0                   // that a part is begun with
	mostBegun  = int64(1_000_000_000_000) // ps that these may take
)

// chain aligns part after part of one record.
type chain struct {
	ctx     context.Context
	options Options
	began   bool
	first   uint64 // A's first tag
	at      uint64 // A's first tag of the present part
	found   []Alignment
	refused []track.Gap // parts
	why     *Refusal    // of the last of them
}

// search is what is asked of a part: by then the clocks may be further apart.
func (c *chain) search() Options {
	o := c.options
	o.Search = min(o.Search+o.MaxDrift.Of(int64(c.at-c.first)), MaxSearch)
	return o
}

// add aligns the next part and says whether its clock was found.
func (c *chain) add(a, b []uint64) (found bool, err error) {
	if len(a) > 0 {
		if c.at = a[0]; !c.began {
			c.began, c.first = true, a[0]
		}
	}
	part, err := c.align(a, b)
	switch {
	case errors.As(err, &c.why):
		if len(a) > 0 {
			c.refused = append(c.refused, track.Gap{From: a[0], To: a[len(a)-1], NotFound: true})
		}
		return false, nil
	case err != nil:
		return false, err
	}
	c.found = append(c.found, part)
	return true, nil
}

// align follows the clock on from the part before, if that found it, and looks
// for it where that leads nowhere.
func (c *chain) align(a, b []uint64) (Alignment, error) {
	if len(c.found) > 0 && len(a) > 0 {
		r, err := c.resume(a, b, c.found[len(c.found)-1])
		var refusal *Refusal
		if err == nil || !errors.As(err, &refusal) {
			return r, err
		}
	}
	return Align(c.ctx, a, b, c.search())
}

// resume follows the clock from where the part before knew it. What was allowed
// at first the clock may have left meanwhile.
func (c *chain) resume(a, b []uint64, before Alignment) (Alignment, error) {
	at := a[0] + uint64(min(foretells, int64(a[len(a)-1]-a[0])/2))
	if shared := int64(end(before) - a[0]); shared > 0 { // the middle of what both parts have
		at = a[0] + uint64(shared)/2
	}
	l := before.foretold(at)
	o := c.search()
	o.Search = min(max(o.Search, 2*magnitude(l.Offset)), MaxSearch)
	o.MaxDrift = min(max(o.MaxDrift, 2*quantity.Drift(magnitude(int64(l.Frequency)))), correlate.MaxDrift)
	s, err := newSearcher(c.ctx, a, b, o)
	if err != nil {
		return Alignment{}, err
	}
	s.centre, s.reach, s.moved = at, int64(l.ux)+1, true // which pulse it is the part before knows
	return s.settle(l)
}

func magnitude(v int64) int64 { return max(v, -v) }

// foretold is the line that the clock is on at a time within the alignment or
// after it, where it may have wandered meanwhile.
func (r Alignment) foretold(at uint64) line {
	offset, sd := r.OffsetAt(at)
	f, fsd := r.Frequency, r.FrequencySD
	if r.Wanders {
		f, fsd = slope(r.Track.Knots, at)
	}
	l := line{Line: correlate.Line{Reference: at, Offset: offset.Whole, Frequency: parts(f * 1e-9)}, sigma: r.Jitter, bin: r.Jitter}
	l.rate = max(float64(r.Pairs)/float64(r.Overlap)*1e12, 1e-3)
	l.length = min(max(int64(firstPairs/l.rate*1e12), minSegment), mostBegun)
	l.ux, l.uy = unsure*(1+sureties*sd), unsure*(1e-15+sureties*fsd*1e-9)
	if beyond := float64(int64(at - end(r))); beyond > 0 {
		l.ux, l.uy = l.ux+quartz*math.Abs(beyond), l.uy+quartz
	}
	return l
}
