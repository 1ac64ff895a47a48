package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/fifteen"
)

const (
	// silence is how long a TDC1 may send nothing while its gate is open. It
	// sends a dummy word every 268 ms at the latest.
	silence = 10 * time.Second
	// gateSpare is how long after its gate should be over a TDC1 is told to stop,
	// beside a thousandth for its clock.
	gateSpare = 50 * time.Millisecond
	// afterAbort is how long it takes a TDC1 to have sent its last words.
	afterAbort = 20 * time.Millisecond
)

// Acquire opens the gate and sends the tags of its words on until it is over.
func (d *tdc1Driver) Acquire(ctx context.Context, start *sdk.Start, out *sdk.Stream) error {
	return d.acquire(ctx, start, out)
}

func (d *tdc1Driver) acquire(ctx context.Context, start *sdk.Start, out output) error {
	if d.armed == nil {
		return errors.New("acquire: the device is not armed")
	}
	a := *d.armed
	d.armed = nil
	came, leave := d.port.listen()
	defer leave()
	d.streaming = true
	if err := start.Fire(ctx, func() error { return d.port.write("COUNTS?\r\n") }); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			return nil // stopped before it began
		}
		return err
	}
	s := newTDC1Stream(out, a, d.identity)
	err := s.run(ctx, d.port, came)
	d.report.Stopped, d.report.Stream, d.report.Channels = s.stopped, s.words.counted, s.outlet.report()
	var failed *sdk.Failure
	d.streaming = err != nil && !(errors.As(err, &failed) && failed.Code == "device-gone")
	if err != nil {
		return err
	}
	leave()
	if d.config.Reference != external {
		return nil
	}
	reply, err := d.port.ask(context.WithoutCancel(ctx), "ECLOCK?")
	if err == nil {
		err = d.checkReference(reply)
	}
	return err
}

// tdc1Stream is the words of one acquisition. They have no end of their own: the
// device is told to stop when its gate must be over, and then asked who it is;
// what comes before the answer are words.
type tdc1Stream struct {
	words   *words
	outlet  *outlet
	gate    time.Duration // 0: until stopped
	fence   []byte        // the answer
	stopped bool          // before the gate was over
	held    []byte        // behind the words, what may be the answer
}

func newTDC1Stream(out output, a sdk.Acquisition, identity string) *tdc1Stream {
	s := &tdc1Stream{outlet: newOutlet(out, a), gate: max(a.Duration, 0), fence: []byte(identity + "\r\n")}
	s.words = &words{
		emit: func(ticks uint64, inputs uint8) {
			for input := 1; inputs > 0; input, inputs = input+1, inputs>>1 {
				if inputs&1 == 1 {
					s.outlet.enter(input, ticks*fifteen.ShortTick)
				}
			}
		},
		damaged: func(n uint64) {
			s.outlet.lose(n, "bytes of the TDC1 were lost; each of these words may have been a tag of this channel")
		},
	}
	return s
}

func (s *tdc1Stream) run(ctx context.Context, p *port, came <-chan chunk) error {
	over := make(<-chan time.Time)
	if s.gate > 0 {
		over = time.After(s.gate + s.gate/1000 + gateSpare)
	}
	heard := time.Now()
	for {
		select {
		case c := <-came:
			if c.err != nil {
				s.words.finish()
				s.outlet.send()
				return c.err
			}
			if len(c.b) > 0 {
				heard = time.Now()
				s.words.take(c.b)
			} else if s.words.quiet(); time.Since(heard) > silence {
				return s.silent(p)
			}
			s.outlet.mark(s.words.ticks * fifteen.ShortTick)
			if s.outlet.err != nil {
				return s.outlet.err
			}
			continue
		case <-ctx.Done():
			s.stopped = true
		case <-over:
		}
		return s.end(p, came)
	}
}

// end stops the device and takes its last words.
func (s *tdc1Stream) end(p *port, came <-chan chunk) error {
	if err := p.write("ABORT\r\n"); err != nil {
		return err
	}
	time.Sleep(afterAbort)
	if err := p.write("*IDN?\r\n"); err != nil {
		return err
	}
	for heard := time.Now(); !bytes.Equal(s.held, s.fence); {
		c := <-came
		switch {
		case c.err != nil:
			return c.err
		case len(c.b) > 0:
			heard = time.Now()
		case time.Since(heard) > silence:
			return s.silent(p)
		}
		s.held = append(s.held, c.b...)
		if more := len(s.held) - len(s.fence); more > 0 {
			s.words.take(s.held[:more])
			s.held = append(s.held[:0], s.held[more:]...)
		}
		s.outlet.send()
	}
	s.words.finish()
	until := s.words.ticks * fifteen.ShortTick
	if !s.stopped && s.gate > 0 {
		if err := s.complete(p, until); err != nil {
			s.outlet.mark(until)
			return errors.Join(err, s.outlet.err)
		}
		until = uint64(s.gate.Nanoseconds()) * 1000
	}
	s.outlet.mark(until)
	return s.outlet.err
}

// complete makes sure that no whole round of the time is missing. The device
// sends a word each round, so the last one lies within a round of the end.
func (s *tdc1Stream) complete(p *port, last uint64) error {
	const round = fifteen.ShortTick << fifteen.ShortTimeBits
	end := uint64(s.gate.Nanoseconds()) * 1000
	if s.gate > tdc1MaxGate*time.Millisecond || last+round >= end {
		return nil
	}
	s.outlet.lose(1, "the TDC1 was not heard for some rounds of its time")
	return &sdk.Failure{Code: "time-lost", Message: fmt.Sprintf("the time of the %s came to %d ps in a gate of %v: words of %d rounds of 268 ms are missing, at no known place", p.name, last, s.gate, (end-last)/round),
		Hint: "the PC or a hub did not keep up; connect the device directly, and record less at once"}
}

// silent gives a device up that says nothing.
func (s *tdc1Stream) silent(p *port) error {
	s.words.finish()
	s.outlet.send()
	return &sdk.Failure{Code: "device-silent", Field: "port", Message: fmt.Sprintf("the %s has sent nothing for %v", p.name, silence),
		Hint: "it sends a word every 268 ms even in the dark; unplug it and plug it in again"}
}
