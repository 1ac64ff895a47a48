package live

import (
	"slices"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/stage"
)

// Followed is how far an align stage has followed a clock, and what it found since it was
// told last.
type Followed struct {
	Stage, Reference, Target string
	Shot                     int // from 0
	Next                     int // the first segment of that shot that it has not followed
	Values                   []align.Value
	State                    align.State
	Over                     bool // it follows no more
}

const (
	together  = "together"
	searching = "searching"
	maxLater  = maxInbox // of what is found of shots to come
)

// clock is that of a controller which is not the reference.
type clock struct {
	name              string
	via               *clock // that it is followed against; nil: the reference's
	stage             string // that follows it; "": one pulse started both
	reference, target string // its channels
	next              int
	state             string
	sd                *float64
	over              bool
	later             []Followed       // of shots to come
	lines             []correlate.Line // none: not known yet
	correction        correlate.Correction
	carried           []uint64 // tags on the way to the reference's clock
}

// known says whether tags can be corrected.
func (c *clock) known() bool {
	return c == nil || c.stage == "" || len(c.lines) > 0 && c.via.known()
}

// through says whether it was followed through a segment, as far as it will be.
func (c *clock) through(index int) bool {
	return c == nil || c.stage == "" || (c.next > index || c.over || c.gone()) && c.via.through(index)
}

// against is a time of the reference's clock on the one that this is followed against.
func (c *clock) against(t uint64) uint64 {
	if c.via == nil {
		return t
	}
	return c.via.shows(t)
}

// shows is what the clock shows at a time of the reference's.
func (c *clock) shows(t uint64) uint64 {
	t = c.against(t)
	for i := len(c.lines) - 1; i >= 0; i-- {
		if l := c.lines[i]; i == 0 || int64(l.Reference-t) <= 0 {
			return t + uint64(l.OffsetAt(t))
		}
	}
	return t
}

// begin forgets a shot and takes what was found of the next one: by how much the
// controllers began at other times nobody knows.
func (c *clock) begin(shot int, sent uint64) {
	if c.stage == "" {
		return
	}
	c.next, c.state, c.sd, c.lines, c.correction = 0, searching, nil, nil, correlate.Correction{}
	if c.over {
		c.state = string(align.Lost)
	}
	later := c.later
	c.later = nil
	for _, f := range later {
		if f.Shot == shot {
			c.hear(f, sent, true)
		} else if f.Shot > shot {
			c.later = append(c.later, f)
		}
	}
}

// gone says whether nothing more is found of the shot: a later one is followed.
func (c *clock) gone() bool { return c != nil && (len(c.later) > 0 || c.via.gone()) }

// hear takes what was found. What was sent stays sent: a line that begins before is taken
// from there on.
func (c *clock) hear(f Followed, sent uint64, begun bool) {
	sent = c.against(sent)
	c.next, c.over, c.state = max(c.next, f.Next), c.over || f.Over, string(f.State)
	if f.Over {
		c.state = string(align.Lost)
	}
	for _, l := range stage.LinesOf(f.Values) {
		if begun && int64(l.Reference-sent) < 0 {
			l = correlate.Line{Reference: sent, Offset: l.OffsetAt(sent), Frequency: l.Frequency}
		}
		c.append(l)
	}
	if n := len(f.Values); n > 0 {
		c.sd = &f.Values[n-1].OffsetSD
	}
}

// append adds a line where it goes on from the last, or takes its place.
func (c *clock) append(l correlate.Line) {
	lines := slices.Clone(c.lines)
	if n := len(lines); n > 0 && lines[n-1].Reference == l.Reference {
		lines = lines[:n-1]
	}
	lines = append(lines, l)
	correction, err := correlate.NewCorrection(lines...)
	if err != nil { // a clock that was set back: until its tags are where they were, the line before holds
		return
	}
	c.lines, c.correction = lines, correction
}

// forget drops lines that hold before a time only. At the very time that the next begins
// there may be tags that the line before carried there.
func (c *clock) forget(sent uint64) {
	sent = c.against(sent)
	n := 0
	for n+1 < len(c.lines) && int64(c.lines[n+1].Reference-sent) < 0 {
		n++
	}
	if n == 0 {
		return
	}
	c.lines = append(c.lines[:0], c.lines[n:]...)
	if correction, err := correlate.NewCorrection(c.lines...); err == nil { // a part of one that is good
		c.correction = correction
	}
}

// between are the lines that hold from one time to another.
func (c *clock) between(from, to uint64) []correlate.Line {
	from, to = c.against(from), c.against(to)
	first, last := 0, 0
	for i, l := range c.lines {
		if int64(l.Reference-from) < 0 {
			first = i
		}
		if int64(l.Reference-to) <= 0 {
			last = i
		}
	}
	if len(c.lines) == 0 {
		return nil
	}
	return c.lines[first : last+1]
}

// apply carries tags of a controller, in order, to the reference's clock.
func (c *clock) apply(dst, tags []uint64) []uint64 {
	if c == nil {
		return append(dst, tags...)
	}
	if c.via == nil {
		return c.correction.ApplyAll(dst, tags)
	}
	c.carried = c.correction.ApplyAll(c.carried[:0], tags)
	return c.via.apply(dst, c.carried)
}
