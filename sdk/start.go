package sdk

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"tsrun/sdk/realtime"
)

// Start is when an acquisition begins. A driver calls [Start.Fire] once, with
// the one step that makes its device record.
type Start struct {
	at     time.Time
	shot   Shot
	fired  bool
	within time.Duration // after the step, in which the device begins
	tell   func(Shot)
	asks   realtime.Settings // of the thread that waits

	rehearse func() // a harmless step that goes the way of the one that counts; nil: none
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
	Returned time.Time // when the step had been taken and the device had begun for certain
	Late     bool      // the instant was past when Fire was called, or the step was taken long after it
}

// Within is for a device that does not answer its start command: it begins at most so
// long after the step was taken. Without it the device has begun when the step returns.
// It is called before Fire.
func (s *Start) Within(d time.Duration) { s.within = max(d, 0) }

// Shot returns how the start went, and whether Fire has taken the step.
func (s *Start) Shot() (Shot, bool) { return s.shot, s.fired }

// MissedStart is the code of the failure of an order to start that came to a driver only
// after its instant, where it may not: nothing was started.
const MissedStart = "missed-start"

// lateAfter is how long after the instant a step is late although Fire was
// called in time: the process had stood still. A busy PC delays it by a few ms.
const lateAfter = 100 * time.Millisecond

// Fire waits for the instant and calls fire, once, on a thread of its own. It
// returns the error of fire, or ctx's cause when ctx ended before the instant.
// An instant that is already past is fired at once; the shot says so.
//
// Fire should do nothing but the one step; prepare everything before. The thread
// has the real-time priority that the recipe asks for, where the system grants
// one. While it waits, nothing else in the process should allocate: the garbage
// collector does not begin before the step is taken.
func (s *Start) Fire(ctx context.Context, fire func() error) error {
	if s.fired {
		return errors.New("fire: this start was already fired")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	clock := realtime.ReadClock()
	if s.at.IsZero() {
		s.at = clock.Wall(clock.Mono)
	} else {
		s.shot.Late = clock.Real >= s.at.UnixNano()
	}
	defer realtime.Quieten(time.Duration(s.at.UnixNano() - clock.Real))()
	defer s.asks.Enter()()
	if rehearsal := s.at.UnixNano() - realtime.RehearseAhead.Nanoseconds(); s.rehearse != nil && clock.Real < rehearsal {
		if _, err := realtime.Await(ctx, rehearsal); err == nil {
			s.rehearse()
		}
	}
	clock, err := realtime.Await(ctx, s.at.UnixNano())
	if err != nil {
		return fmt.Errorf("wait for the start at %s: %w", s.at.UTC().Format(time.RFC3339Nano), err)
	}
	called := realtime.Monotonic()
	err = fire()
	returned := realtime.Monotonic()

	s.fired = true
	s.shot.Asked, s.shot.Called, s.shot.Returned = s.at, clock.Wall(called), clock.Wall(returned).Add(s.within)
	s.shot.Late = s.shot.Late || s.shot.Called.Sub(s.at) > lateAfter
	if err != nil {
		return fmt.Errorf("start the device: %w", err)
	}
	if s.tell != nil {
		s.tell(s.shot)
	}
	return nil
}
