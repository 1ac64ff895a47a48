package ticc

import (
	"context"

	"tsrun/sim/sky"
)

// stamper writes the events since a sync.
type stamper struct {
	*Device
	start      sky.Instant
	clock      sky.Clock
	detections *sky.Detections

	seen  [channels]int   // events of each channel
	last  [channels]int64 // of each channel that were stamped
	pair  []event         // that wait for a second one
	lines uint64
	began int64 // ps: of an interval; 0: none
}

type event struct {
	at    int64 // ps
	input int
}

func newStamper(d *Device, start sky.Instant) *stamper {
	s := &stamper{Device: d, start: start, clock: d.Eye.Clock(false), detections: d.Eye.Detections(channels, start, false)}
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
			place := s.set.place()
			came = append(came, event{(at + place/2) / place * place, input})
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

// resume forgets what happened while nothing was measured.
func (s *stamper) resume(now sky.Instant) {
	s.pair, s.began = s.pair[:0], 0
	s.detections.Until(s.clock.Reading(now.Sub(s.start)).Whole, func(int64, int) {})
}

// write writes what the mode makes of an event: a time stamp, the interval from
// one of channel A to one of B, or nothing.
func (s *stamper) write(ctx context.Context, e event) error {
	if !s.Line.Attached() {
		return nil
	}
	switch {
	case s.set.mode == interval && e.input == 1:
		s.began = e.at
		return nil
	case s.set.mode == interval && s.began > 0:
		return s.send(ctx, s.set.number(e.at-s.began)+" TI(A->B)\r\n")
	case s.set.mode != timestamp:
		return nil
	}
	s.lines++
	text := s.set.stamp(e)
	if s.lines == s.faults.truncated {
		return s.send(ctx, text[:len(text)/2]+"\r\n")
	}
	if s.cut.CompareAndSwap(true, false) {
		return s.send(ctx, text[len(text)/2:])
	}
	s.mu.Lock()
	s.stamps[e.input-1] = append(s.stamps[e.input-1], e.at)
	s.mu.Unlock()
	return s.send(ctx, text)
}
