package main

import (
	"fmt"
	"testing"
	"time"

	"tsrun/internal/steady"
	"tsrun/sdk"
)

// TestClockThatJumps records while the controller's clock jumps, ahead and
// back: what follows the jump has its place, and on a PC that keeps up nearly
// nothing is lost.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault string // at 450 ms
		step  time.Duration
		most  uint64 // messages of a channel that are ambiguous
	}{
		{"clock-step", 30 * ms, 1},
		{"clock-step", ms, 1},
		{"clock-step", -30 * ms, 1},
		{"clock-step", 150 * ms, 3},
		{"clock-step", -150 * ms, 3},
		{"frequency-jump", 0, 1},
	} {
		t.Run(fmt.Sprintf("%s %v", test.fault, test.step), func(t *testing.T) {
			t.Parallel()
			steady.Try(t, keepUp, func(t *steady.T) {
				at := t.Slower * 450 // ms
				fault := fmt.Sprintf("%s=%d ms@%d ms", test.fault, t.Slower*int(test.step/ms), at)
				if test.step == 0 {
					fault = fmt.Sprintf("%s=100 ppm@%d ms", test.fault, at)
				}
				s := light(t, 21, fault)
				d := openSimulated(t, s, nil)
				a := sdk.Acquisition{Channels: twoChannels(), Duration: 2 * time.Second}
				out := newSink(a.Channels...)
				r, err := acquire(t, t.Context(), d, a, out)
				if err != nil {
					t.Fatal(err)
				}
				wantPlaces(steady.Always(t), s, r.Simulation, a, out)
				for i, c := range a.Channels {
					got, told, truth := out.lanes[c.Stream], r.Channels[i], r.Simulation.Channels[i]
					if got.tags+got.lost != truth.Tags {
						steady.Always(t).Errorf("channel %s: %d tags and %d lost, of %d", c.Name, got.tags, got.lost, truth.Tags)
					}
					if told.Ambiguous > test.most {
						t.Errorf("channel %s: %d messages lost: %v", c.Name, told.Ambiguous, got.reasons)
					}
				}
			})
		})
	}
}
