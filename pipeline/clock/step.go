package clock

import (
	"context"
	"fmt"
	"time"

	"tsrun/sdk/realtime"
)

// Step is a moment at which a PC's clock was set, rather than turned faster or slower.
type Step struct {
	At int64 `json:"at_ns"` // by the clock as it was set, ns since 1970
	By int64 `json:"by_ns"` // how far it was set forward; negative: back
}

func (s Step) String() string {
	direction, by := "forward", time.Duration(s.By)
	if by < 0 {
		direction, by = "back", by.Abs()
	}
	return fmt.Sprintf("was set %s by %v, at %s", direction, by, time.Unix(0, s.At).UTC().Format("15:04:05.000000 UTC"))
}

// SetHint is what to do about clocks that are set while a run goes on.
const SetHint = "look for what sets it: chronyd's makestep, ntpdate, timedatectl, a PC that slept; let the services settle before a run"

// lookEvery is how often the clock is looked at where the system does not tell that it was set.
const lookEvery = 100 * time.Millisecond

// Watch tells of each time that this PC's clock is set, until ctx ends.
//
// Services that turn the clock faster or slower turn CLOCK_MONOTONIC with it. What lies
// between the two changes when the clock is set, and when the PC has slept.
func Watch(ctx context.Context, tell func(Step)) {
	ctx, stop := context.WithCancel(ctx)
	set := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		listen(ctx, func() {
			select {
			case set <- struct{}{}:
			default: // one look shows both
			}
		})
	}()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	watch(ctx, set, look.C, realtime.ReadClock, tell)
	stop()
	<-ended
}

// watch looks when the system says that the clock was set, and now and then.
func watch(ctx context.Context, set <-chan struct{}, look <-chan time.Time, read func() realtime.Clock, tell func(Step)) {
	first := read()
	before := first.Real - first.Mono
	for {
		least := int64(stepLimit)
		select {
		case <-ctx.Done():
			return
		case <-set:
			least = 0
		case <-look:
		}
		now := read()
		by := now.Real - now.Mono - before
		if by > least || by < -least {
			tell(Step{At: now.Real, By: by})
			before += by
		}
	}
}
