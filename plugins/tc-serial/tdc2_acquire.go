package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/fifteen"
)

const (
	// helperLate is how long after the end a TDC2 is left to write what it has
	// seen: the helper writes every 10 ms.
	helperLate = 200 * time.Millisecond
	// helperFast is the most by which the clock of a TDC2 may run faster than the PC's.
	helperFast = 200e-6
	// ticksPerNs are of 1/256 ns.
	ticksPerNs = 256
)

// Acquire starts the helper and sends the tags of its words on until the
// duration is over.
func (d *tdc2Driver) Acquire(ctx context.Context, start *sdk.Start, out *sdk.Stream) error {
	return d.acquire(ctx, start, out)
}

// acquire lets the helper count from Unix time (-A), so that the start is known
// on its scale without asking when its counter was zero.
func (d *tdc2Driver) acquire(ctx context.Context, start *sdk.Start, out output) error {
	var args []string
	var h *helper
	a, ok, err := d.fire(ctx, start, func(a sdk.Acquisition) (err error) {
		args = d.arguments(a.Channels, "-A")
		h, err = d.start(args)
		return err
	})
	if !ok {
		return err
	}
	shot, _ := start.Shot()
	s := newTDC2Stream(out, a, shot.Called)
	err = s.run(ctx, h)
	d.report = &tdc2Report{Device: d.config.Port, Command: append([]string{d.program}, args...), OriginTick: s.events.origin, Stopped: s.stopped, Killed: s.killed,
		Stream: s.events.counted, Channels: s.outlet.report()}
	return err
}

// tdc2Stream is the words of one acquisition.
type tdc2Stream struct {
	events   *events
	outlet   *outlet
	duration time.Duration // 0: until stopped
	fired    time.Time
	stopped  bool
	killed   bool // it had to be ended by force
}

func newTDC2Stream(out output, a sdk.Acquisition, fired time.Time) *tdc2Stream {
	s := &tdc2Stream{outlet: newOutlet(out, a), duration: max(a.Duration, 0), fired: fired}
	s.events = &events{origin: uint64(fired.UnixNano()) * ticksPerNs & (1<<fifteen.EventTimeBits - 1),
		emit: func(tag uint64, input int) { s.outlet.enter(input, tag) },
		lost: s.outlet.lose}
	return s
}

func (s *tdc2Stream) run(ctx context.Context, h *helper) error {
	began := time.Now()
	var over <-chan time.Time
	if s.duration > 0 {
		over = time.After(s.duration + s.duration/1000 + helperLate)
	}
	stop, ordered := ctx.Done(), false
	var early error
	for {
		select {
		case c, more := <-h.came:
			if more {
				s.events.now = int64(float64(c.at.Sub(s.fired).Nanoseconds()) * (1 + helperFast) * ticksPerNs)
				if c.filled {
					s.events.gaps.suspect(eventKeeps)
				}
				s.events.take(c.b)
				s.outlet.send()
				if !s.stopped && s.outlet.err == nil && !s.complete() {
					h.postpone()
				}
				if s.outlet.err != nil && !ordered {
					ordered = true
					h.terminate()
				}
				continue
			}
			if !ordered {
				early = &sdk.Failure{Code: "device-gone", Field: "port", Message: fmt.Sprintf("readevents7 ended by itself after %v", time.Since(began).Round(time.Millisecond)),
					Hint: "was the device unplugged? try readevents7 by hand"}
			}
			return errors.Join(early, s.end(h, time.Since(began)))
		case <-stop:
			s.stopped, stop = true, nil
		case <-over:
			over = nil
		}
		ordered = true
		h.terminate()
	}
}

// latest is the time of the last event that came, in ps.
func (s *tdc2Stream) latest() uint64 {
	latest, _ := fifteen.TicksToPs(uint64(s.events.latest))
	return latest
}

// complete reports whether events came from behind the end of the acquisition.
func (s *tdc2Stream) complete() bool { return s.latest() >= s.outlet.end }

// end accounts for the last words.
func (s *tdc2Stream) end(h *helper, took time.Duration) error {
	failed := h.wait()
	cut := s.events.finish()
	s.outlet.send()
	if s.killed = h.forced.Load(); s.killed && (s.stopped || s.complete()) {
		failed, cut = nil, false // all was there by then
	}
	if cut {
		s.outlet.lose(1, "the stream ended within a word; it may have been of this channel")
	}
	if s.stopped || s.duration == 0 {
		s.outlet.end = 0 // what came is later than any promise
		s.outlet.mark(max(s.latest(), uint64(took.Nanoseconds())*1000))
	} else if failed == nil && !cut {
		s.outlet.mark(s.outlet.end)
	}
	return errors.Join(failed, s.outlet.err)
}
