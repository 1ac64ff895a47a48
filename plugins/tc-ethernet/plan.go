package main

import (
	"fmt"
	"math"
	"time"

	"tsrun/sdk"
)

const (
	// deadTime is the shortest gap between two records, in ps.
	deadTime = 40_000

	maxDuration = 100 * 24 * time.Hour // in ps, well within 63 bits
)

// plan is how an acquisition is cut into records. Times are in ps.
type plan struct {
	records int    // 0: until stopped
	period  uint64 // from the begin of one record to that of the next
	width   uint64 // of a record; the rest of the period is dead
	single  bool   // one record, set up as a duration
}

// makePlan cuts an acquisition into records of about the configured period: as
// many as fit, made equally long so that together they fill the duration. A
// remainder is never a record of its own, so none is shorter than asked unless
// it is the only one.
func makePlan(r record, a sdk.Acquisition) (plan, error) {
	if a.Duration < 0 || a.Duration > maxDuration {
		return plan{}, &sdk.Failure{Code: "bad-acquisition", Field: "duration",
			Message: fmt.Sprintf("an acquisition of %v is not possible", a.Duration),
			Hint:    fmt.Sprintf("write 0 s to %v", maxDuration)}
	}
	duration := uint64(a.Duration.Nanoseconds()) * 1000
	if r.Single {
		if duration <= deadTime {
			return plan{}, &sdk.Failure{Code: "bad-acquisition", Field: "record",
				Message: "a single record has no end when the acquisition has no duration",
				Hint:    "give the acquisition a duration, or let the records have a period"}
		}
		return plan{records: 1, period: duration, width: duration, single: true}, nil
	}
	period := uint64(r.Period)
	if segment := uint64(max(a.Segment, 0).Nanoseconds()) * 1000; segment > 0 {
		period = min(period, max(segment, uint64(minRecord)))
	}
	if duration == 0 {
		return plan{period: period, width: period - deadTime}, nil
	}
	n := max(1, duration/period)
	if n > math.MaxInt32 {
		return plan{}, &sdk.Failure{Code: "bad-acquisition", Field: "record",
			Message: fmt.Sprintf("%d records are too many", n), Hint: "choose longer records"}
	}
	period = (duration + n - 1) / n
	if period <= deadTime {
		return plan{}, &sdk.Failure{Code: "bad-acquisition", Field: "duration",
			Message: fmt.Sprintf("an acquisition of %v is too short to record anything", a.Duration),
			Hint:    "measure for 1 us or longer"}
	}
	return plan{records: int(n), period: period, width: period - deadTime}, nil
}

// settings set the plan up on the device, which must have its records stopped.
// They must be kept to the picosecond: the time of a tag is its record's number
// times the period.
func (p plan) settings() []setting {
	if p.single {
		return []setting{word("REC:NUMber", "1"), exactly("REC:DURation", p.width)}
	}
	number := "INF"
	if p.records > 0 {
		number = fmt.Sprint(p.records)
	}
	return []setting{word("REC:NUMber", number), exactly("REC:PWIDth", p.width), exactly("REC:PPERiod", p.period)}
}

// picoseconds turns ps into a Duration, rounded down to ns.
func picoseconds(ps uint64) time.Duration { return time.Duration(ps / 1000) }

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

// jumped takes it that the clock jumped before a record arrived, by less than a
// second or two: it was over then, and for less than half a period.
func (t *timing) jumped(at time.Duration, record int) bool {
	start := at - time.Duration(record)*t.period - t.width
	if off := t.start(at) - start; off > time.Second || off < -2*time.Second {
		return false
	}
	*t = timing{period: t.period, width: t.width, from: at, soonest: start - t.period/2, returned: start,
		early: start, known: true, windowBegan: at, unfinished: start - t.period/2}
	return true
}

// offBeat says whether records that began to end as if from another start end at
// times that are clearly not those of the records before, be they of these records
// or of others.
func (t *timing) offBeat(start time.Duration) bool {
	before, known := t.arrivals()
	if !known {
		before = t.returned
	}
	off := (start - before) % t.period
	if off < 0 {
		off += t.period
	}
	return off > t.period/8 && off < t.period*7/8
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
