package realtime

import (
	"context"
	"runtime"
	"slices"
	"time"
)

// Late says how long after their instants threads came to fire, in ns.
type Late struct {
	P50, P99, Max int64
	Shots         int
}

// LateOf sums up how late shots were, in ns.
func LateOf(shots []int64) (l Late) {
	if len(shots) == 0 {
		return l
	}
	sorted := slices.Sorted(slices.Values(shots))
	at := func(percent int) int64 { return sorted[(len(sorted)-1)*percent/100] }
	return Late{P50: at(50), P99: at(99), Max: sorted[len(sorted)-1], Shots: len(sorted)}
}

// Measure waits for n instants, each a time after the one before, as a driver does
// that fires, and says how late it was. It ends early with ctx.
func (s Settings) Measure(ctx context.Context, n int, every time.Duration) Late {
	shots := make([]int64, 0, n)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer Quieten(time.Second)()
	defer s.Enter()()
	for range n {
		clock := ReadClock()
		instant := clock.Real + every.Nanoseconds()
		clock, err := Await(ctx, instant)
		if err != nil {
			break
		}
		shots = append(shots, Monotonic()-(clock.Mono+instant-clock.Real))
	}
	return LateOf(shots)
}
