package idq

import (
	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
)

// Clock is how a controller's clock differs from true time. A detection at
// true time T is stamped
//
//	(T - start) (1 + drift/1e15) + turn + wander(T - start) + step + offset + delay
//
// with everything up to the wander rounded to whole picoseconds at once. It is
// not for concurrent use.
type Clock struct {
	offset int64          // ps, added to every tag
	drift  quantity.Drift // how much the clock runs fast
	wander *sky.Wander    // its noise; nil: none
	step   clockStep
	turn   frequencyJump
}

// clockStep is a fault: at a true time since the start the clock jumps ahead or
// back. One that jumped back stamps times twice.
type clockStep struct{ at, by int64 } // ps; by 0: none

// frequencyJump is a fault: from a true time since the start on the clock runs
// faster by so much, or slower.
type frequencyJump struct {
	at int64 // ps
	by quantity.Drift
}

// Reading returns what the clock shows at a true time in ps since the start,
// before it is rounded and without the delays of a channel.
func (c Clock) Reading(ps int64) quantity.Fine {
	r := c.gained(ps)
	r.Whole += ps + c.jumped(ps) + c.offset
	return r
}

// TrueTime returns the true time in ps since the start at which the clock
// shows a reading, to about one picosecond.
func (c Clock) TrueTime(reading int64) int64 { return c.trueTime(reading - c.offset) }

// elapsed returns how far the clock advances in ps of true time.
func (c Clock) elapsed(ps int64) int64 {
	return ps + c.gained(ps).Whole + c.jumped(ps)
}

// gained returns by how much the clock has run ahead in ps of true time.
func (c Clock) gained(ps int64) quantity.Fine {
	gained := c.drift.FineOf(ps)
	if since := ps - c.turn.at; since > 0 {
		turned := c.turn.by.FineOf(since)
		gained = quantity.NewFine(gained.Whole+turned.Whole, gained.Part+turned.Part)
	}
	return gained.Plus(c.wander.At(ps))
}

func (c Clock) jumped(ps int64) int64 {
	if ps < c.step.at {
		return 0
	}
	return c.step.by
}

// trueTime returns the true time in which the clock advances by ps, to about
// one picosecond; it serves to choose what to look at and how long to wait,
// never to make tags.
func (c Clock) trueTime(ps int64) int64 {
	t := c.inverse(ps)
	if c.step.by == 0 || t < c.step.at {
		return t
	}
	return max(c.step.at, c.inverse(ps-c.step.by))
}

// inverse is trueTime of a clock that never jumps.
func (c Clock) inverse(ps int64) int64 {
	t := ps
	for range 6 { // each step divides the error by 500 or more, for drifts up to 1e-3 and their noise
		t = ps - c.gained(t).Whole
	}
	return t
}

// stamps turns the detections of one input into what the clock says of them,
// in order.
type stamps struct {
	clock  Clock
	delay  int64 // ps, of the DELAy blocks
	source sky.Source

	raw     []int64 // true times, reused
	pending []int64 // stamped and not yet given out, from head on
	head    int
}

// newStamps opens an input early enough for every stamp from 0 on.
func newStamps(c Clock, delay int64, open func(from int64) sky.Source) *stamps {
	return &stamps{clock: c, delay: delay, source: open(c.trueTime(-c.offset-delay) - margin)}
}

// margin covers the rounding of trueTime, in ps.
const margin = 1000

// until calls yield with every stamp below limit that was not given out
// before, oldest first.
func (s *stamps) until(limit int64, yield func(stamp int64)) {
	s.pending = append(s.pending[:0], s.pending[s.head:]...)
	s.head = 0
	s.raw = s.source.Until(s.clock.trueTime(limit-s.clock.offset-s.delay)+margin, s.raw[:0])
	for _, t := range s.raw {
		s.pending = append(s.pending, s.clock.elapsed(t)+s.clock.offset+s.delay)
	}
	for s.head < len(s.pending) && s.pending[s.head] < limit {
		yield(s.pending[s.head])
		s.head++
	}
}
