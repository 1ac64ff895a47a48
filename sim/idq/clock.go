package idq

import (
	"tsrun/pipeline/quantity"
	"tsrun/sim/sky"
)

// clock is how a controller's clock differs from true time. A detection at
// true time T is stamped
//
//	(T - start) (1 + drift/1e15) + offset + delay
//
// with the product rounded to whole picoseconds, half away from zero.
type clock struct {
	offset int64          // ps, added to every tag
	drift  quantity.Drift // how much the clock runs fast
}

// elapsed returns how far the clock advances in ps of true time.
func (c clock) elapsed(ps int64) int64 { return ps + c.drift.Of(ps) }

// trueTime returns the true time in which the clock advances by ps, to about
// one picosecond; it serves to choose what to look at and how long to wait,
// never to make tags.
func (c clock) trueTime(ps int64) int64 {
	t := ps
	for range 6 { // each step divides the error by 1000 or more, for drifts up to 1e-3
		t = ps - c.drift.Of(t)
	}
	return t
}

// stamps turns the detections of one input into what the clock says of them,
// in order.
type stamps struct {
	clock  clock
	delay  int64 // ps, of the DELAy blocks
	source sky.Source

	raw     []int64 // true times, reused
	pending []int64 // stamped and not yet given out, from head on
	head    int
}

// newStamps opens an input early enough for every stamp from 0 on.
func newStamps(c clock, delay int64, open func(from int64) sky.Source) *stamps {
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
