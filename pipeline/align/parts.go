package align

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"runtime/debug"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
)

// MaxTags is how many tags of a channel, or of several of one node, are aligned at once.
// There is no end to how many there are.
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
	c := chain{ctx: ctx, options: o, alone: Align, after: (*chain).resume}
	if err := c.run(a, b, most); err != nil {
		return Parts{}, err
	}
	switch {
	case len(c.found) > 0:
		return joined(c.found, c.refused)
	case min(c.times[0], c.times[1]) < minTags:
		return Parts{}, fewTags(c.times[0], c.times[1])
	}
	return Parts{}, c.why
}

// dealer holds the part of two records that is aligned next.
type dealer struct {
	a, b record
	most int
	buf  []uint64
}

func newDealer(a, b correlate.Stream, most int) *dealer {
	h := held{most: most, few: fewHeld}
	return &dealer{a: record{from: a, name: "A", held: h}, b: record{from: b, name: "B", held: h}, most: most, buf: make([]uint64, min(1<<15, most/8))}
}

func (d *dealer) release() {
	d.a.release()
	d.b.release()
}

// record is one of them, as far as it has been read.
type record struct {
	held
	from  correlate.Stream
	name  string
	ended bool
	count uint64 // of all tags so far
	times int    // different ones
	last  uint64
}

// fill reads on, the record that is behind first, until one has as many tags as
// may be held.
func (d *dealer) fill() error {
	a, b := &d.a, &d.b
	for !(a.ended && b.ended) && len(a.tags) < d.most && len(b.tags) < d.most {
		behind := b
		if b.ended || !a.ended && (len(a.tags) == 0 || len(b.tags) > 0 && int64(a.last-b.last) <= 0) {
			behind = a
		}
		if err := behind.read(d.buf[:min(len(d.buf), d.most-len(behind.tags))]); err != nil {
			return err
		}
	}
	return nil
}

// read reads on. Tags that repeat a time, which say nothing of the clocks, are
// left out.
func (r *record) read(buf []uint64) error {
	n, err := r.from.Next(buf)
	if sized, ok := r.from.(interface{ Left() int }); ok && r.count == 0 { // room for all of them at once
		r.room(n + sized.Left())
	}
	distinct := buf[:0]
	for _, t := range buf[:n] {
		if r.count > 0 && t < r.last {
			return &correlate.OrderError{Stream: r.name, Index: r.count, Tag: t, Previous: r.last}
		}
		if r.count == 0 || t != r.last {
			distinct = append(distinct, t)
		}
		r.last, r.count = t, r.count+1
	}
	r.times += len(distinct)
	r.append(distinct)
	if err == io.EOF { // with the last tags, or behind them
		r.ended, err = true, nil
	}
	return err
}

// forget keeps the last of so many shares of the part, and of the other record
// as much and an overlap. more says that there is a next one.
func (d *dealer) forget(overlap int64, shares int) (more bool) {
	if d.a.ended && d.b.ended {
		return false
	}
	longer, other := &d.a, &d.b
	if len(other.tags) > len(longer.tags) {
		longer, other = other, longer
	}
	first := len(longer.tags) - len(longer.tags)/shares
	cut := longer.tags[first] - uint64(overlap)
	longer.keep(first)
	early, _ := slices.BinarySearchFunc(other.tags, cut, func(t, cut uint64) int { return cmp.Compare(int64(t-cut), 0) })
	other.keep(max(early, len(other.tags)-d.most/2))
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
	alone   func(ctx context.Context, a, b []uint64, o Options) (Alignment, error) // aligns a part of which nothing is known
	after   func(c *chain, a, b []uint64, before Alignment) (Alignment, error)     // follows the clock on from the part before
	began   bool
	first   uint64 // A's first tag
	at      uint64 // A's first tag of the present part
	found   []Alignment
	refused []track.Gap // parts
	why     *Refusal    // of the last of them in which both have tags
	times   [2]int      // how many different ones both have
}

// run aligns two records in parts of at most so many tags of each.
func (c *chain) run(a, b correlate.Stream, most int) error {
	d := newDealer(a, b, min(max(most, minTags), MaxTags))
	defer d.release()
	for more := true; more; {
		if err := d.fill(); err != nil {
			return err
		}
		found, err := c.add(d.a.tags, d.b.tags)
		if err != nil {
			return err
		}
		share := 2 // so that the next part is never too short to tell anything
		if found {
			share = keptOf
		}
		more = d.forget(2*c.search().Search, share)
		if more && d.a.file != nil {
			debug.FreeOSMemory() // what the search of a long part took is not added to that of the next
		}
	}
	c.times = [2]int{d.a.times, d.b.times}
	return nil
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
	var why *Refusal
	switch {
	case errors.As(err, &why):
		if c.why == nil || why.Code != codeFewTags { // a part behind the end of one record says nothing of both
			c.why = why
		}
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
		r, err := c.after(c, a, b, c.found[len(c.found)-1])
		var refusal *Refusal
		if err == nil || !errors.As(err, &refusal) {
			return r, err
		}
	}
	return c.alone(c.ctx, a, b, c.search())
}

// resume follows the clock from where the part before knew it. What was allowed
// at first the clock may have left meanwhile.
func (c *chain) resume(a, b []uint64, before Alignment) (Alignment, error) {
	l := before.leadsInto(a[0], a[len(a)-1])
	s, err := newSearcher(c.ctx, a, b, c.search().about(l))
	if err != nil {
		return Alignment{}, err
	}
	return s.settleFrom(l)
}

// settleFrom settles on a line that the part before has foretold.
func (s *searcher) settleFrom(l line) (Alignment, error) {
	s.centre, s.reach, s.moved = l.Reference, int64(l.ux)+1, true // which pulse it is the part before knows
	return s.settle(l)
}

// leadsInto is the line that leads into a part from one of A's times to another.
func (r Alignment) leadsInto(from, to uint64) line {
	at := from + uint64(min(foretells, int64(to-from)/2))
	if shared := int64(end(r) - from); shared > 0 { // the middle of what both parts have
		at = from + uint64(shared)/2
	}
	return r.foretold(at)
}

// about is what is asked where the clock is foretold.
func (o Options) about(l line) Options {
	o.Search = min(max(o.Search, 2*max(l.Offset, -l.Offset)), MaxSearch)
	o.wider = o.syntonized()
	o.MaxDrift = min(max(o.MaxDrift, 2*max(l.Frequency, -l.Frequency)), correlate.MaxDrift)
	return o
}

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
