package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
)

const (
	// ticcGrace is how long after the end a line of before is waited for, where
	// none of later says that there is none.
	ticcGrace = 3 * time.Second
	// ticcLast is how long a line takes that is on its way when told to stop.
	ticcLast = 50 * time.Millisecond
	// ticcQueue is how many lines may wait: some minutes of them.
	ticcQueue = 1 << 16
)

// Acquire takes the time stamps from the start on until the duration is over.
func (d *ticcDriver) Acquire(ctx context.Context, start *sdk.Start, out *sdk.Stream) error {
	return d.acquire(ctx, start, out)
}

func (d *ticcDriver) acquire(ctx context.Context, start *sdk.Start, out output) error {
	lines := make(chan ticcLine, ticcQueue)
	var fired time.Time
	start.Within(beginsWithin)
	a, ok, err := d.fire(ctx, start, func(sdk.Acquisition) error {
		fired = time.Now()
		return nil
	})
	if !ok {
		return err
	}
	d.mu.Lock()
	s := &ticcStream{text: d.text, outlet: newOutlet(out, a), duration: max(a.Duration, 0), fired: fired, name: d.port.name}
	if !d.synced.IsZero() {
		s.origin, s.known = uint64(max(fired.Sub(d.synced).Nanoseconds(), 0))*1000, true
		s.latest = s.origin
	}
	for _, l := range d.recent { // some may have come since the start
		lines <- l
	}
	d.lines, d.missed = lines, 0
	err = d.failed
	d.mu.Unlock()
	if err == nil {
		err = s.run(ctx, lines)
	}
	d.mu.Lock()
	d.lines = nil
	s.miss(d.missed) // behind the last line
	d.mu.Unlock()
	d.report.OriginPs, d.report.Stopped, d.report.Lines, d.report.Damaged, d.report.Channels = s.origin, s.stopped, s.count, s.damaged, s.outlet.report()
	d.report.Holes, d.report.Missed = s.holes, s.missed
	return err
}

// ticcStream is the lines of one acquisition. Their times count from the sync of
// the device; the start is origin on that scale, by the clock of the PC when
// the header and the lines before the start came, or else when the first line did.
type ticcStream struct {
	text     ticcText
	outlet   *outlet
	name     string
	duration time.Duration // 0: until stopped
	fired    time.Time
	origin   uint64 // ps
	known    bool
	latest   uint64 // ps, of the device
	last     [ticcInputs]uint64
	stopped  bool
	count    uint64
	damaged  uint64
	missed   uint64
	holes    uint64
	gaps     holes
}

func (s *ticcStream) run(ctx context.Context, lines <-chan ticcLine) error {
	var over <-chan time.Time
	if s.duration > 0 {
		over = time.After(time.Until(s.fired.Add(s.duration + ticcGrace)))
	}
	for !s.complete() {
		select {
		case l := <-lines:
			if err := s.take(l); err != nil {
				return err
			}
			continue
		case <-ctx.Done():
			s.stopped = true
			return s.end(lines, uint64(time.Since(s.fired).Nanoseconds())*1000)
		case <-over:
		}
		break
	}
	return s.end(lines, uint64(s.duration.Nanoseconds())*1000)
}

// end takes the last lines and says how far the acquisition came.
func (s *ticcStream) end(lines <-chan ticcLine, until uint64) error {
	for end := time.After(ticcLast); ; {
		select {
		case l := <-lines:
			if err := s.take(l); err != nil {
				return err
			}
			continue
		case <-end:
		}
		break
	}
	for _, at := range s.last {
		if s.known && at > s.origin && s.duration == 0 {
			until = max(until, at-s.origin)
		}
	}
	s.outlet.mark(until)
	return s.outlet.err
}

// complete says that each channel has been heard of after the end.
func (s *ticcStream) complete() bool {
	if s.duration == 0 || !s.known {
		return false
	}
	for _, l := range s.outlet.lanes {
		if s.last[l.channel.Input-1] < s.origin+s.outlet.end {
			return false
		}
	}
	return true
}

func (s *ticcStream) take(l ticcLine) error {
	s.miss(l.missed)
	switch {
	case l.err != nil:
		return s.broken(l.err)
	case ticcNoReference.MatchString(l.text):
		return s.broken(noReference(s.name, l.text))
	case strings.HasPrefix(l.text, "# TAPR TICC"), ticcHeader.MatchString(l.text):
		return s.broken(&sdk.Failure{Code: "device-reset", Message: fmt.Sprintf("the %s was reset", s.name),
			Hint: "its time begins anew; check its power, and that no other program opens its port"})
	case l.text[0] == '#':
		return nil
	}
	s.count++
	ps, input, ok := s.text.stamp(l.text)
	if ok {
		ps = s.text.unwrapped(ps, s.latest)
	}
	if !ok || ps < s.last[input-1] {
		s.damaged++
		s.outlet.lose(1, fmt.Sprintf("a line is no time stamp, or goes back: %s; it may have been of this channel", instrument.Quote(l.text)))
		return s.outlet.err
	}
	s.pass(l, ps)
	s.last[input-1], s.latest = ps, max(s.latest, ps)
	if !s.known {
		s.known = true
		s.origin = ps - min(ps, uint64(max(l.at.Sub(s.fired).Nanoseconds(), 0))*1000)
	}
	if ps >= s.origin {
		s.outlet.enter(input, ps-s.origin)
	}
	s.outlet.send()
	return s.outlet.err
}

// miss says of lines that there was no room for them.
func (s *ticcStream) miss(lines uint64) {
	if lines > 0 {
		s.missed += lines
		s.outlet.lose(lines, "nobody took the lines of the TICC for minutes, until there was no room for more; so many may have been of this channel")
	}
}

// pass lets the time go forth to a line.
func (s *ticcStream) pass(l ticcLine, ps uint64) {
	if s.gaps.at(max(s.latest, ps), len(l.text)+2) {
		s.holes++
		s.outlet.lose(1, "this PC did not read the line until it was full, and behind that the time of the TICC has a hole: it could not write its lines; how many were of this channel is not known")
	}
	if l.filled { // the hole is behind what had filled it
		s.gaps.suspect(unitKeeps)
	}
}

// broken ends an acquisition whose time has ended.
func (s *ticcStream) broken(why error) error {
	s.outlet.lose(1, "the time of the device ended")
	return errors.Join(why, s.outlet.err)
}
