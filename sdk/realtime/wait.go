package realtime

import (
	"context"
	"time"
)

const (
	// spin is how long before the instant Await stops sleeping and watches the
	// clock: longer than a sleep overruns, short enough not to be throttled.
	spin = time.Millisecond
	// slice is the longest sleep between two looks at ctx and at whether the
	// clock was set.
	slice = 20 * time.Millisecond
)

// RehearseAhead is how long before its instant a step is rehearsed whose way was timed. What
// was not used for some time is not at hand, in the process, the kernel and the caches of
// the processor: of questions that follow each other the way is shorter than that of an order after a
// long wait.
const RehearseAhead = 10 * time.Millisecond

// Clock is one instant on two clocks, in ns.
type Clock struct {
	Mono int64 // CLOCK_MONOTONIC
	Real int64 // CLOCK_REALTIME, since 1970
}

// Wall returns CLOCK_REALTIME at a CLOCK_MONOTONIC time near the instant.
func (c Clock) Wall(mono int64) time.Time { return time.Unix(0, c.Real+mono-c.Mono) }

// Monotonic returns CLOCK_MONOTONIC in ns.
func Monotonic() int64 { return monotonic() }

// ReadClock reads both clocks between two reads of CLOCK_MONOTONIC, several
// times, and returns the reading with the least time in between.
func ReadClock() Clock {
	const readings = 5
	var best Clock
	narrowest := int64(1) << 62
	for range readings {
		before := monotonic()
		wall := realtime()
		after := monotonic()
		if width := after - before; width < narrowest {
			narrowest = width
			best = Clock{Mono: before + width/2, Real: wall}
		}
	}
	return best
}

// Await returns when CLOCK_REALTIME has reached an instant, in ns since 1970, with
// the reading of the clocks that said so; or with ctx's cause, when that ended
// before. It allocates nothing. The caller's goroutine is locked to its thread.
//
// It waits on CLOCK_MONOTONIC, where a clock that is set cannot make it
// oversleep, and reads the clocks anew after each slice, so that a clock that is
// set during a long wait is followed.
func Await(ctx context.Context, instant int64) (Clock, error) {
	for {
		if ctx.Err() != nil {
			return Clock{}, context.Cause(ctx)
		}
		clock := ReadClock()
		left := time.Duration(instant - clock.Real)
		if left <= spin {
			for target := clock.Mono + int64(left); monotonic() < target; {
			}
			return clock, nil
		}
		sleepUntil(clock.Mono + int64(min(left-spin, slice)))
	}
}
