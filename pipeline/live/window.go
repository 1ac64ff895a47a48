package live

import (
	"context"
	"fmt"
	"io"
	"slices"

	"tsrun/pipeline/run"
	"tsrun/sdk/tag"
)

const (
	// missAfter is how many later segments are here before one that is not is given up, and
	// so is the clock that was not followed there.
	missAfter = 16
	// maxHeld is how many windows wait for a clock that is not known yet.
	maxHeld = 4096
	// endOfTime is later than every tag of a run.
	endOfTime = uint64(1) << 62 // ps: 53 days
	// maxLines is how many lines of clocks a message of several tags has at most: who reads it
	// bounds its second frame.
	maxLines = 512
)

// merger makes messages of windows, in order. One goroutine uses it.
type merger struct {
	begin     Begin
	sink      string
	publisher *publisher
	reference string
	length    uint64 // of a segment, ps
	several   bool   // shots are taken
	duration  uint64 // of one, ps
	channels  []*channel
	clocks    []*clock

	next     place          // the window that is due
	starts   map[int]uint64 // of each shot, ps
	sent     uint64         // all tags before this time were sent
	begun    bool           // and there is such a time
	seq      uint64
	told     place // the window behind the newest that was said to be held
	totals   Totals
	times    []uint64 // of the message that is made
	numbers  []uint16
	warned   bool
	flushing bool
}

// take takes what a stream was given.
func (m *merger) take(what any) {
	switch w := what.(type) {
	case Segment:
		m.starts[w.Part] = w.At
		for _, c := range m.channels {
			if c.name == w.Node+"."+w.Channel && c.put(w, m.next) {
				m.totals.Late += w.Tags
			}
		}
	case Followed:
		for _, c := range m.clocks {
			if c.stage == w.Stage && c.reference == w.Reference && c.target == w.Target {
				m.followed(c, w)
			}
		}
	}
}

// followed takes what was found of a clock, of the shot that is due or for later.
func (m *merger) followed(c *clock, f Followed) {
	switch {
	case f.Shot == m.next.shot:
		c.hear(f, m.sent, m.begun)
	case f.Shot > m.next.shot && len(c.later) < maxLater:
		c.later = append(c.later, f)
	}
}

// step sends the next window, or ends a shot; false: it waits for more.
func (m *merger) step(ctx context.Context) bool {
	switch {
	case m.ready():
		m.window(ctx)
	case m.shotIsOver():
		m.endShot(ctx)
	default:
		return false
	}
	return true
}

// newest is the newest segment of any channel in the shot that is due; -1: there is none.
func (m *merger) newest() int {
	newest := -1
	for _, c := range m.channels {
		if c.last.shot == m.next.shot {
			newest = max(newest, c.last.nth)
			continue
		}
		for at := range c.here {
			if at.shot == m.next.shot {
				newest = max(newest, at.nth)
			}
		}
	}
	return newest
}

// ready reports whether the next window can be sent.
func (m *merger) ready() bool {
	newest := m.newest()
	if newest < m.next.nth {
		return false
	}
	overdue := m.flushing || newest-m.next.nth > missAfter
	for _, c := range m.channels {
		_, here := c.here[m.next]
		switch {
		case !here && !overdue && !m.isBeyond(), here && !c.clock.through(m.next.nth) && !overdue:
			return false
		case here && !c.clock.known() && !c.clock.gone() && !m.flushing && newest-m.next.nth < maxHeld:
			return false
		}
	}
	return true
}

// hold says, once for the newest window, that a clock is not known yet.
func (m *merger) hold(ctx context.Context) {
	newest := m.newest()
	at := place{m.next.shot, newest}
	if newest < 0 || at.compare(m.told) < 0 || !slices.ContainsFunc(m.clocks, func(c *clock) bool { return !c.known() && c.next > m.next.nth }) {
		return
	}
	m.told = place{at.shot, newest + 1}
	m.send(ctx, m.header(KindHeld))
}

// window sends the next one.
func (m *merger) window(ctx context.Context) {
	var missing []string
	bounded := false
	until := m.sent
	for _, c := range m.channels {
		_, here := c.here[m.next]
		if here && !c.clock.known() { // given up
			m.totals.Withheld += c.here[m.next].Tags
			delete(c.here, m.next)
			here = false
		}
		if !here {
			missing = append(missing, c.name)
			continue
		}
		c.reach(m.next)
		end := c.clock.apply(nil, []uint64{m.endOfWindow()})[0]
		if !bounded || int64(end-until) < 0 {
			until, bounded = end, true
		}
	}
	if m.begun && int64(until-m.sent) < 0 {
		until = m.sent
	}
	m.merge(ctx, until, missing, true)
	m.sent, m.begun = until, true
	for _, c := range m.clocks {
		c.forget(until)
	}
	m.next.nth++
}

// merge sends the tags before a time; where there are none, that if it is to be said.
func (m *merger) merge(ctx context.Context, until uint64, missing []string, say bool) {
	readers := make([]tag.Reader, len(m.channels))
	for i, c := range m.channels {
		c.sent, c.begun, c.until = m.sent, m.begun, until
		readers[i] = c
	}
	h := m.header(KindTags)
	h.Missing = missing
	merged := tag.Merge(readers...)
	buf := make([]uint64, piece)
	for ctx.Err() == nil {
		n, source, err := merged.Next(buf[:min(len(buf), MaxTags-len(m.times))])
		if err == io.EOF {
			break
		}
		for _, t := range buf[:n] {
			m.times, m.numbers = append(m.times, t-signed), append(m.numbers, uint16(source))
		}
		if len(m.times) == MaxTags {
			h.UntilPs = int64(m.times[MaxTags-1])
			m.tags(ctx, h)
			say = false
		}
	}
	if until == endOfTime && m.several { // of the shot
		until = m.sent
		if n := len(m.times); n > 0 && int64(m.times[n-1]+1-until) > 0 {
			until = m.times[n-1] + 1
		}
		m.sent = until
	}
	if h.UntilPs = int64(until); len(m.times) > 0 || say {
		m.tags(ctx, h)
	}
}

// tags sends those that were gathered, in halves where too many lines carry them.
func (m *merger) tags(ctx context.Context, h Header) {
	h.Tags, h.Clocks = len(m.times), m.described(true)
	if n := h.Tags; n > 1 && linesOf(h.Clocks) > maxLines {
		times, numbers, first := m.times, m.numbers, h
		m.times, m.numbers, first.UntilPs = times[:n/2:n/2], numbers[:n/2:n/2], int64(times[n/2-1])
		m.tags(ctx, first)
		m.times, m.numbers = times[n/2:], numbers[n/2:]
		m.tags(ctx, h)
		m.times, m.numbers = times[:0], numbers[:0]
		return
	}
	m.totals.Tags += uint64(h.Tags)
	m.send(ctx, h)
	m.times, m.numbers = m.times[:0], m.numbers[:0]
}

func linesOf(clocks []Clock) (n int) {
	for _, c := range clocks {
		n += len(c.Lines)
	}
	return n
}

func (m *merger) header(kind string) Header {
	h := Header{Kind: kind, Version: Version, Run: m.begin.Run, Sink: m.sink, Seq: m.seq, Simulated: m.begin.Simulated,
		Reference: m.reference, Window: m.next.nth, UntilPs: int64(m.sent), Clocks: m.described(false)}
	if !m.begun {
		h.UntilPs = -int64(endOfTime) // before every tag
	}
	if m.several {
		from := int64(m.starts[m.next.shot])
		h.Shot, h.ShotPs = m.next.shot+1, &from
	}
	for _, c := range m.channels {
		h.Channels = append(h.Channels, c.name)
	}
	return h
}

// described are the clocks, with the lines for the tags that were gathered.
func (m *merger) described(lines bool) []Clock {
	all := []Clock{}
	for _, c := range m.clocks {
		one := Clock{Clock: c.name, Stage: c.stage, State: c.state, OffsetSDPs: c.sd}
		if c.via != nil {
			one.Against = c.via.name
		}
		if c.stage != "" && c.known() && !c.through(m.next.nth) {
			one.State = "lost" // it was given up to wait for it
		}
		if n := len(m.times); lines && n > 0 {
			one.Lines = c.between(m.times[0], m.times[n-1])
		}
		all = append(all, one)
	}
	return all
}

func (m *merger) send(ctx context.Context, h Header) {
	h.Seq = m.seq
	made, err := encode(h, m.times, m.numbers)
	if err != nil {
		m.warn(err)
		return
	}
	m.seq++
	m.totals.Messages++
	m.publisher.publish(ctx, made)
}

// flush sends what is here when nothing more comes.
func (m *merger) flush(ctx context.Context) {
	m.flushing = true
	for ctx.Err() == nil && m.step(ctx) {
	}
	m.merge(ctx, endOfTime, nil, false) // what lies beyond the end of another clock's last segment
	m.sent, m.begun = endOfTime, true
	for _, c := range m.channels {
		m.totals.Withheld += c.withheld()
	}
}

// failed counts a segment that cannot be read.
func (m *merger) failed(s run.Segment, err error) {
	m.totals.Broken++
	m.warn(fmt.Errorf("%s: %w", s.File, err))
}

// warn tells the user once.
func (m *merger) warn(err error) {
	if !m.warned {
		m.warned = true
		m.begin.Warn(fmt.Sprintf("sink %s: %v", m.sink, err), "the run goes on; its files are what counts")
	}
}

func (m *merger) close() {
	for _, c := range m.channels {
		if err := c.close(); err != nil {
			m.warn(err)
		}
	}
}
