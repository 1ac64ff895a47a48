package sky

import "tsrun/sdk/quantity"

// Clock is how a controller's clock differs from true time. A detection at
// true time T is stamped
//
//	(T - start) (1 + drift/1e15) + turn + wander(T - start) + step + offset + delay
//
// with everything up to the wander rounded to whole picoseconds at once. It is
// not for concurrent use.
type Clock struct {
	Offset int64          // ps, added to every tag
	Drift  quantity.Drift // how much the clock runs fast
	Wander *Wander        // its noise; nil: none
	Step   ClockStep
	Turn   FrequencyJump
}

// ClockStep is a fault: at a true time since the start the clock jumps ahead or
// back. One that jumped back stamps times twice.
type ClockStep struct{ At, By int64 } // ps; by 0: none

// FrequencyJump is a fault: from a true time since the start on the clock runs
// faster by so much, or slower.
type FrequencyJump struct {
	At int64 // ps
	By quantity.Drift
}

// Reading returns what the clock shows at a true time in ps since the start,
// before it is rounded and without the delays of a channel.
func (c Clock) Reading(ps int64) quantity.Fine {
	r := c.gained(ps)
	r.Whole += ps + c.jumped(ps) + c.Offset
	return r
}

// TrueTime returns the true time in ps since the start at which the clock
// shows a reading, to about one picosecond.
func (c Clock) TrueTime(reading int64) int64 { return c.Inverse(reading - c.Offset) }

// Elapsed returns how far the clock advances in ps of true time.
func (c Clock) Elapsed(ps int64) int64 {
	return ps + c.gained(ps).Whole + c.jumped(ps)
}

// gained returns by how much the clock has run ahead in ps of true time.
func (c Clock) gained(ps int64) quantity.Fine {
	gained := c.Drift.FineOf(ps)
	if since := ps - c.Turn.At; since > 0 {
		turned := c.Turn.By.FineOf(since)
		gained = quantity.NewFine(gained.Whole+turned.Whole, gained.Part+turned.Part)
	}
	return gained.Plus(c.Wander.At(ps))
}

func (c Clock) jumped(ps int64) int64 {
	if ps < c.Step.At {
		return 0
	}
	return c.Step.By
}

// Inverse returns the true time in which the clock advances by ps, to about
// one picosecond; it serves to choose what to look at and how long to wait,
// never to make tags.
func (c Clock) Inverse(ps int64) int64 {
	t := c.inverse(ps)
	if c.Step.By == 0 || t < c.Step.At {
		return t
	}
	return max(c.Step.At, c.inverse(ps-c.Step.By))
}

// inverse is Inverse of a clock that never jumps.
func (c Clock) inverse(ps int64) int64 {
	t := ps
	for range 6 { // each step divides the error by 500 or more, for drifts up to 1e-3 and their noise
		t = ps - c.gained(t).Whole
	}
	return t
}

// Stamps turns the detections of one input into what the clock says of them,
// in order.
type Stamps struct {
	clock  Clock
	delay  int64 // ps, of the DELAy blocks
	source Source

	raw     []int64 // true times, reused
	pending []int64 // stamped and not yet given out, from head on
	head    int
}

// NewStamps opens an input early enough for every stamp from 0 on.
func NewStamps(c Clock, delay int64, open func(from int64) Source) *Stamps {
	return &Stamps{clock: c, delay: delay, source: open(c.Inverse(-c.Offset-delay) - margin)}
}

// margin covers the rounding of Inverse, in ps.
const margin = 1000

// Until calls yield with every stamp below limit that was not given out
// before, oldest first.
func (s *Stamps) Until(limit int64, yield func(stamp int64)) {
	s.pending = append(s.pending[:0], s.pending[s.head:]...)
	s.head = 0
	s.raw = s.source.Until(s.clock.Inverse(limit-s.clock.Offset-s.delay)+margin, s.raw[:0])
	for _, t := range s.raw {
		s.pending = append(s.pending, s.clock.Elapsed(t)+s.clock.Offset+s.delay)
	}
	for s.head < len(s.pending) && s.pending[s.head] < limit {
		yield(s.pending[s.head])
		s.head++
	}
}
