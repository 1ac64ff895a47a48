package align

import (
	"context"
	"errors"
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

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
