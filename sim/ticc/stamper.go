package ticc

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
)

// stamper writes the events since a sync.
type stamper struct {
	*Device
	start      sky.Instant
	clock      sky.Clock
	detections *sky.Detections
	place      int64 // ps of the last decimal place

	seen  [channels]int   // events of each channel
	last  [channels]int64 // of each channel that were stamped
	pair  []event         // that wait for a second one
	lines uint64
}

type event struct {
	at    int64 // ps
	input int
}

func newStamper(d *Device, start sky.Instant) *stamper {
	s := &stamper{Device: d, start: start, clock: d.eye.Clock(false), detections: d.eye.Detections(channels, start, false), place: 1}
	for range 12 - decimals(d.config.Firmware) {
		s.place *= 10
	}
	for i := range s.last {
		s.last[i] = -rearm
	}
	return s
}

// advance writes what happened up to a moment.
func (s *stamper) advance(ctx context.Context, now sky.Instant) error {
	var came []event
	s.detections.Until(s.clock.Reading(now.Sub(s.start)).Whole, func(at int64, input int) {
		if at < 0 || at-s.last[input-1] < rearm {
			return
		}
		s.last[input-1] = at
		if s.seen[input-1]++; s.seen[input-1] > dropped {
			came = append(came, event{(at + s.place/2) / s.place * s.place, input})
		}
	})
	for _, e := range came {
		if s.config.Firmware != Firmware2025 {
			if err := s.write(ctx, e); err != nil {
				return err
			}
			continue
		}
		if s.pair = append(s.pair, e); len(s.pair) < 2 {
			continue
		}
		if s.pair[0].input > s.pair[1].input { // A comes first, whichever was
			s.pair[0], s.pair[1] = s.pair[1], s.pair[0]
		}
		for _, e := range s.pair {
			if err := s.write(ctx, e); err != nil {
				return err
			}
		}
		s.pair = s.pair[:0]
	}
	return nil
}

func (s *stamper) write(ctx context.Context, e event) error {
	if !s.line.Attached() {
		return nil
	}
	s.lines++
	text := stampText(s.config.Firmware, e.at, e.input)
	if s.lines == s.faults.truncated {
		return s.send(ctx, text[:len(text)/2]+"\r\n")
	}
	s.mu.Lock()
	s.stamps[e.input-1] = append(s.stamps[e.input-1], e.at)
	s.mu.Unlock()
	return s.send(ctx, text)
}

// faults is what a counter does wrong because it was asked to.
type faults struct {
	truncated     uint64        // the line that is cut short; 0: none
	unplugged     time.Duration // after it was switched on; 0: never
	referenceLost time.Duration // likewise
	silent        bool
	wrongMode     bool // it measures intervals
}

// Faults lists what a counter can do wrong.
func Faults() []string {
	return []string{"reference-lost=AFTER", "silent", "truncated-line=NUMBER", "unplugged=AFTER", "wrong-mode"}
}

// CheckFaults reports the faults that there are not.
func CheckFaults(texts []string) error {
	_, err := parseFaults(texts)
	return err
}

func parseFaults(texts []string) (f faults, err error) {
	for _, text := range texts {
		name, argument, _ := strings.Cut(text, "=")
		var t quantity.Time
		switch name {
		case "unplugged", "reference-lost":
			if t, err = quantity.ParseTime(argument); err == nil && (t < quantity.Nanosecond || t > 3600*quantity.Second) {
				err = fmt.Errorf("%v must lie from 1 ns to 1 h", t)
			}
			if name == "unplugged" {
				f.unplugged = t.Duration()
			} else {
				f.referenceLost = t.Duration()
			}
		case "truncated-line":
			if _, err = fmt.Sscan(argument, &f.truncated); err != nil {
				err = fmt.Errorf("write it like truncated-line=7")
			}
		case "silent":
			f.silent = true
		case "wrong-mode":
			f.wrongMode = true
		default:
			err = fmt.Errorf("unknown; the faults are %s", strings.Join(Faults(), ", "))
		}
		if err != nil {
			return f, fmt.Errorf("simulate fault %.64q: %w", text, err)
		}
	}
	return f, nil
}
