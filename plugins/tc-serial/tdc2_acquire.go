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
	if d.armed == nil {
		return errors.New("acquire: the device is not armed")
	}
	a := *d.armed
	d.armed = nil
	args := d.arguments(a.Channels, "-A")
	var h *helper
	err := start.Fire(ctx, func() (err error) {
		h, err = d.start(args)
		return err
	})
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			return nil // stopped before it began
		}
		return err
	}
	shot, _ := start.Shot()
	s := newTDC2Stream(out, a, uint64(shot.Called.UnixNano())*ticksPerNs)
	err = s.run(ctx, h)
	d.report = &tdc2Report{Device: d.device, Command: append([]string{d.program}, args...), Stopped: s.stopped, Stream: s.events.counted,
		Channels: s.outlet.report(), origin: s.events.origin}
	return err
}

// tdc2Stream is the words of one acquisition.
type tdc2Stream struct {
	events   *events
	outlet   *outlet
	duration time.Duration // 0: until stopped
	stopped  bool
}

func newTDC2Stream(out output, a sdk.Acquisition, origin uint64) *tdc2Stream {
	s := &tdc2Stream{outlet: newOutlet(out, a), duration: max(a.Duration, 0)}
	s.events = &events{origin: origin & (1<<fifteen.EventTimeBits - 1),
		emit: func(tag uint64, input int) { s.outlet.enter(input, tag) },
		late: func() {
			s.outlet.lose(1, "an event came too late to be put in order; it may have been of this channel")
		}}
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
				s.events.take(c.b)
				s.outlet.send()
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

// end accounts for the last words.
func (s *tdc2Stream) end(h *helper, took time.Duration) error {
	failed := h.wait()
	cut := s.events.finish()
	s.outlet.send()
	if cut {
		s.outlet.lose(1, "the stream ended within a word; it may have been of this channel")
	}
	if s.stopped || s.duration == 0 {
		s.outlet.end = 0 // what came is later than any promise
		tag, _ := fifteen.TicksToPs(uint64(s.events.latest))
		s.outlet.mark(max(tag, uint64(took.Nanoseconds())*1000))
	} else if failed == nil && !cut {
		s.outlet.mark(s.outlet.end)
	}
	return errors.Join(failed, s.outlet.err)
}
