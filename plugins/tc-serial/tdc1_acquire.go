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
	came, leave := d.port.listen()
	defer leave()
	d.streaming = d.armed != nil
	var fired time.Time
	start.Within(beginsWithin)
	a, ok, err := d.fire(ctx, start, func(sdk.Acquisition) error {
		fired = time.Now()
		return d.port.write("COUNTS?\r\n")
	})
	if !ok {
		return err
	}
	s := newTDC1Stream(out, a, d.identity, fired)
	err = s.run(ctx, d.port, came)
	d.report.Stopped, d.report.Stream, d.report.Channels, d.report.LateMs = s.stopped, s.words.counted, s.outlet.report(), s.pace.latest.Milliseconds()
	if d.report.UnreadMs = d.port.unread.Load(); d.report.UnreadMs > unreadMost.Milliseconds() {
		d.log.Warn("the line was not read for a while; a few words that the device could not keep would leave no trace", "unread_ms", d.report.UnreadMs)
	}
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
	fired   time.Time
	pace    pace
	stopped bool   // before the gate was over
	held    []byte // behind the words, what may be the answer
}

func newTDC1Stream(out output, a sdk.Acquisition, identity string, fired time.Time) *tdc1Stream {
	s := &tdc1Stream{outlet: newOutlet(out, a), gate: max(a.Duration, 0), fence: []byte(identity + "\r\n"), fired: fired}
	s.words = &words{
		emit: func(ticks uint64, inputs uint8) {
			for input := 1; inputs > 0; input, inputs = input+1, inputs>>1 {
				if inputs&1 == 1 {
					s.outlet.enter(input, ticks*fifteen.ShortTick)
				}
			}
		},
		lost: func(n uint64, how loss) { s.outlet.lose(n, lossWords[how]) },
	}
	return s
}

func (s *tdc1Stream) run(ctx context.Context, p *port, came <-chan chunk) error {
	over := make(<-chan time.Time)
	if s.gate > 0 {
		over = time.After(s.gate + s.gate/1000 + gateSpare)
	}
	heard, ended := time.Now(), false
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
				s.take(c)
				s.keepPace(c.at)
			} else if s.words.quiet(); time.Since(heard) > silence {
				return s.silent(p)
			}
			s.outlet.mark(s.words.ticks * fifteen.ShortTick)
			if s.outlet.err != nil {
				return s.outlet.err
			}
			if !ended || len(c.b) > 0 && s.gated() && c.at.Sub(s.fired) < s.gate+silence {
				continue // a slow line still has words of the gate
			}
		case <-ctx.Done():
			s.stopped = true
		case <-over:
			over, ended = nil, true
			continue
		}
		return s.end(p, came)
	}
}

// take takes words.
func (s *tdc1Stream) take(c chunk) {
	if c.filled {
		s.words.suspect()
	}
	s.words.take(c.b)
}

// gated says that the device ends the acquisition.
func (s *tdc1Stream) gated() bool { return s.gate > 0 && s.gate <= tdc1MaxGate*time.Millisecond }

// keepPace compares the time of the last word with that at which it was read.
func (s *tdc1Stream) keepPace(at time.Time) {
	if since := at.Sub(s.fired); s.pace.due(since) {
		if ticks, ok := s.words.latest(); ok {
			s.pace.sample(since, time.Duration(ticks*fifteen.ShortTick/1000))
		}
	}
}

// end stops the device and takes its last words.
func (s *tdc1Stream) end(p *port, came <-chan chunk) error {
	aborted := time.Since(s.fired)
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
		if c.filled {
			s.words.suspect()
		}
		s.held = append(s.held, c.b...)
		if more := len(s.held) - len(s.fence); more > 0 {
			s.words.take(s.held[:more])
			s.held = append(s.held[:0], s.held[more:]...)
		}
		s.outlet.send()
	}
	s.words.finish()
	return s.complete(p, aborted)
}

// lossWords says how words were lost.
var lossWords = map[loss]string{
	lossDamaged: "bytes of the TDC1 were lost; each of these words may have been a tag of this channel",
	lossMissing: "words that the TDC1 must have written never came; each may have been a tag of this channel",
	lossHole:    "this PC did not read the line until it was full, and behind that the time of the TDC1 has a hole: it could not keep its words; how many tags of this channel were among them is not known",
}

// complete says how far the acquisition came, and makes sure that no whole round
// of the time is missing: of a gate by its end, else by the clock of the PC.
func (s *tdc1Stream) complete(p *port, aborted time.Duration) error {
	last := time.Duration(s.words.ticks * fifteen.ShortTick / 1000)
	rounds, since := s.pace.lost(aborted, last)
	if s.gated() && !s.stopped {
		s.words.overdue(uint64(s.gate) * 1000 / fifteen.ShortTick)
		rounds, since = int((s.gate-last)/roundTime), 0
	}
	until := s.words.ticks * fifteen.ShortTick
	var lost error
	switch {
	case rounds > 0:
		s.outlet.lose(1, "the TDC1 was not heard for some rounds of its time")
		lost = &sdk.Failure{Code: "time-lost", Message: fmt.Sprintf("the time of the %s came to %v in %v: words of %d rounds of 268 ms are missing, %s; the tags behind have a time that is too early by as much",
			p.name, last.Round(time.Millisecond), aborted.Round(time.Millisecond), rounds, roughly(since)),
			Hint: "the PC or a hub did not keep up; connect the device directly, and record less at once"}
	case !s.stopped && s.gate > 0:
		until = uint64(s.gate.Nanoseconds()) * 1000
	}
	s.outlet.mark(until)
	return errors.Join(lost, s.outlet.err)
}

// roughly is where rounds were lost.
func roughly(since time.Duration) string {
	if since == 0 {
		return "at no known place"
	}
	return fmt.Sprintf("from about %v on", since.Round(time.Second))
}

// silent gives a device up that says nothing.
func (s *tdc1Stream) silent(p *port) error {
	s.words.finish()
	s.outlet.send()
	return &sdk.Failure{Code: "device-silent", Field: "port", Message: fmt.Sprintf("the %s has sent nothing for %v", p.name, silence),
		Hint: "it sends a word every 268 ms even in the dark; unplug it and plug it in again"}
}
