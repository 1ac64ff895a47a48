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
