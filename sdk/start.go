package sdk

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Start is when an acquisition begins. A driver calls [Start.Fire] once, with
// the one step that makes its device record.
type Start struct {
	at    time.Time
	shot  Shot
	fired bool
	tell  func(Shot)
}

// NewStart returns the start at an instant of the node's clock; the zero time
// means at once. The SDK makes the start of a driver that it serves; this is
// for tests of drivers.
func NewStart(at time.Time) *Start { return &Start{at: at} }

// At returns the instant, by the node's CLOCK_REALTIME; zero when there is none.
func (s *Start) At() time.Time { return s.at }

// Shot is how a start went. The device began somewhere between Called and
// Returned.
type Shot struct {
	Asked    time.Time // the instant asked for; Called when there was none
	Called   time.Time // just before the step was taken, never before Asked
	Returned time.Time // when the step had been taken
	Late     bool      // the instant was past when Fire was called, or the step was taken long after it
}

// Shot returns how the start went, and whether Fire has taken the step.
func (s *Start) Shot() (Shot, bool) { return s.shot, s.fired }

const (
	// spin is how long before the instant Fire stops sleeping and watches the
	// clock: longer than a sleep overruns, short enough not to be throttled.
	spin = time.Millisecond
	// lateAfter is how long after the instant a step is late although Fire was
	// called in time: the process had stood still. A busy PC delays it by a few ms.
	lateAfter = 100 * time.Millisecond
	// slice is the longest sleep between two looks at ctx and at whether the
	// clock was set.
	slice = 20 * time.Millisecond
)

// Fire waits for the instant and calls fire, once, on a thread of its own. It
// returns the error of fire, or ctx's cause when ctx ended before the instant.
// An instant that is already past is fired at once; the shot says so.
//
// Fire should do nothing but the one step; prepare everything before. While it
// waits, nothing else in the process should allocate: the garbage collector
// does not know what is urgent.
func (s *Start) Fire(ctx context.Context, fire func() error) error {
	if s.fired {
		return errors.New("fire: this start was already fired")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer tightenSlack()()

	clock := readClock()
	if s.at.IsZero() {
		s.at = clock.wall(clock.mono)
	} else {
		s.shot.Late = clock.real >= s.at.UnixNano()
	}
	clock, err := waitFor(ctx, s.at.UnixNano())
	if err != nil {
		return fmt.Errorf("wait for the start at %s: %w", s.at.UTC().Format(time.RFC3339Nano), err)
	}
	called := monotonic()
	err = fire()
	returned := monotonic()

	s.fired = true
	s.shot.Asked, s.shot.Called, s.shot.Returned = s.at, clock.wall(called), clock.wall(returned)
	s.shot.Late = s.shot.Late || s.shot.Called.Sub(s.at) > lateAfter
	if err != nil {
		return fmt.Errorf("start the device: %w", err)
	}
	if s.tell != nil {
		s.tell(s.shot)
	}
	return nil
}

// waitFor returns when CLOCK_REALTIME has reached the instant (Unix time in
// ns), with the pair of clocks that said so.
//
// It waits on CLOCK_MONOTONIC, where a clock that is set cannot make it
// oversleep, and reads the pair anew after each slice, so that a clock that is
// set during a long wait is followed.
func waitFor(ctx context.Context, instant int64) (pair, error) {
	for {
		if ctx.Err() != nil {
			return pair{}, context.Cause(ctx)
		}
		clock := readClock()
		left := time.Duration(instant - clock.real)
		if left <= spin {
			for target := clock.mono + int64(left); monotonic() < target; {
			}
			return clock, nil
		}
		sleepUntil(clock.mono + int64(min(left-spin, slice)))
	}
}

// pair is one instant on two clocks, in ns.
type pair struct{ mono, real int64 }

// wall returns CLOCK_REALTIME at a CLOCK_MONOTONIC time near the pair.
func (p pair) wall(mono int64) time.Time { return time.Unix(0, p.real+mono-p.mono) }

// readClock reads both clocks between two reads of CLOCK_MONOTONIC, several
// times, and returns the reading with the least time in between.
func readClock() pair {
	const readings = 5
	var best pair
	narrowest := int64(1) << 62
	for range readings {
		before := monotonic()
		wall := realtime()
		after := monotonic()
		if width := after - before; width < narrowest {
			narrowest = width
			best = pair{mono: before + width/2, real: wall}
		}
	}
	return best
}
