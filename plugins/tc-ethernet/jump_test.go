package main

import (
	"fmt"
	"testing"
	"time"

	"tsrun/internal/steady"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
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
			steady.Try(t, 10*ms, func(slower int) error {
				period, at := slower*200, slower*450 // ms
				fault := fmt.Sprintf("%s=%d ms@%d ms", test.fault, slower*int(test.step/ms), at)
				if test.step == 0 {
					fault = fmt.Sprintf("%s=100 ppm@%d ms", test.fault, at)
				}
				s := light(21, fault)
				d := openSimulated(t, s, func(c *config) { c.Record.Period = quantity.Time(period) * quantity.Millisecond })
				a := sdk.Acquisition{Channels: twoChannels(), Duration: 10 * time.Duration(period) * ms}
				out := newSink(a.Channels...)
				r, err := acquire(t, t.Context(), d, a, out)
				if err != nil {
					t.Fatal(err)
				}
				wantPlaces(t, s, r.Simulation, a, out)
				for i, c := range a.Channels {
					got, told, truth := out.lanes[c.Stream], r.Channels[i], r.Simulation.Channels[i]
					t.Logf("%s: %d of %d tags, %d jumps, lost %v", c.Name, got.tags, truth.Tags, told.ClockJumps, got.reasons)
					if got.tags+got.lost != truth.Tags {
						t.Errorf("channel %s: %d tags and %d lost, of %d", c.Name, got.tags, got.lost, truth.Tags)
					}
				}
				for i, c := range a.Channels {
					if n := r.Channels[i].Ambiguous; n > test.most {
						return fmt.Errorf("channel %s: %d messages lost: %v", c.Name, n, out.lanes[c.Stream].reasons)
					}
				}
				return nil
			})
		})
	}
}
