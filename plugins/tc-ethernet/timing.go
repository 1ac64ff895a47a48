package main

import "time"

const (
	// clockTolerance is how far two quartz clocks may drift apart: 100 ppm.
	clockTolerance = 10_000 // one in so many

	// phaseWindow is how long an arrival tells where records end. Over it, two
	// clocks drift apart by less than 12 ms.
	phaseWindow = time.Minute
)

// timing bounds the number of a record by the time at which it arrived.
//
// All times are measured from just before the start command was given. Record
// r ends at start + r·period + width, and cannot arrive before. The start is
// known to lie between the command and its reply, give or take the drift of
// the clocks. What is wanted is the latest record that can have arrived; so
// the start must not be put too late, or a record would be refused its own
// number.
//
// A controller's clock that jumps moves the ends of all records that come: the
// start is then what it seems to be from there on.
//
// As long as the start is known well enough, its earliest value does. When the
// reply was slow, or after some minutes of drift, it is moved with the earliest
// arrivals of the last one or two minutes, but never out of what is possible.
type timing struct {
	period, width time.Duration
	from          time.Duration // since when the start is known as it is: 0, or the last jump of the clock
	soonest       time.Duration // the start is not before this
	returned      time.Duration // nor after this: when the device had confirmed it

	// The earliest start that the arrivals of this window and of the one
	// before it speak for, and when this window began.
	early, earlyBefore time.Duration
	known, knownBefore bool
	windowBegan        time.Duration

	unfinished time.Duration // the latest start that statuses alone speak for
}

func newTiming(p plan, returned time.Duration) timing {
	return timing{period: max(picoseconds(p.period), 1), width: picoseconds(p.width), returned: returned}
}

// latest returns the latest record that can have arrived at a time: of those
// that are over, or, with begun, of those that have begun. It is -1 when there
// is none.
func (t *timing) latest(at time.Duration, begun bool) int {
	since := at - t.start(at)
	if !begun {
		since -= t.width
	}
	if since < 0 {
		return -1
	}
	return int(since / t.period)
}

// over returns how many records were over for some time already, whatever the
// start was.
func (t *timing) over(at, since time.Duration) int {
	start := t.returned + (at-t.from)/clockTolerance
	if early, known := t.arrivals(); known {
		start = min(start, early+4*phaseWindow/clockTolerance)
	}
	at -= since + start + t.width
	if at < 0 {
		return 0
	}
	return int(at/t.period) + 1
}

// start is the earliest start that is credible at a time.
func (t *timing) start(at time.Duration) time.Duration {
	drift := (at - t.from) / clockTolerance
	earliest, latest := t.soonest-drift, t.returned+drift
	if latest-earliest < t.period*3/4 {
		return earliest
	}
	guess, known := t.arrivals()
	if !known {
		guess = t.unfinished
	}
	// Half a period: arrivals that were all late would otherwise deny the next
	// punctual one its number.
	return min(max(guess-t.period/2, earliest), latest)
}

// jumped takes it that the clock jumped ahead before a record arrived, by less
// than a second: it was over then, and for less than half a period.
func (t *timing) jumped(at time.Duration, record int) bool {
	start := at - time.Duration(record)*t.period - t.width
	if t.start(at)-start > time.Second {
		return false
	}
	*t = timing{period: t.period, width: t.width, from: at, soonest: start - t.period/2, returned: start,
		early: start, known: true, windowBegan: at, unfinished: start - t.period/2}
	return true
}

// arrivals returns the earliest start that recent arrivals speak for, if there
// were any. The real one is no later.
func (t *timing) arrivals() (start time.Duration, known bool) {
	switch {
	case t.known && t.knownBefore:
		return min(t.early, t.earlyBefore), true
	case t.known:
		return t.early, true
	}
	return t.earlyBefore, t.knownBefore
}

// placed learns from a record that has been numbered and arrived whole.
func (t *timing) placed(at time.Duration, record int) {
	if at-t.windowBegan > phaseWindow {
		t.earlyBefore, t.knownBefore = t.early, t.known
		t.known, t.windowBegan = false, at
	}
	start := at - time.Duration(record)*t.period - t.width
	if !t.known || start < t.early {
		t.early, t.known = start, true
	}
}

// counted learns from a status asked for at a time: the record after those it
// counts was not over yet, or only just.
func (t *timing) counted(asked time.Duration, records int) {
	t.unfinished = max(t.unfinished, asked-time.Duration(records)*t.period-t.width)
}
