package main

import (
	"testing"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// TestClockThatJumps records while the controller's clock jumps, ahead and
// back: what follows the jump has its place.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault string
		sure  bool // that nothing is lost, if this PC is not held up
	}{
		{"clock-step=30 ms@450 ms", true},
		{"clock-step=1 ms@450 ms", true},
		{"clock-step=-30 ms@450 ms", true},
		{"clock-step=150 ms@450 ms", false},
		{"clock-step=-150 ms@450 ms", false},
		{"frequency-jump=100 ppm@450 ms", true},
	} {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			const period = 200 * quantity.Millisecond
			d := openSimulated(t, light(21, test.fault), func(c *config) { c.Record.Period = period })
			a := sdk.Acquisition{Channels: twoChannels(), Duration: 2 * time.Second}
			out := newSink(a.Channels...)
			r, err := acquire(t, t.Context(), d, a, out)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range a.Channels {
				got, told, truth := out.lanes[c.Stream], r.Channels[i], r.Simulation.Channels[i]
				t.Logf("%s: %d of %d tags, %d jumps, lost %v", c.Name, got.tags, truth.Tags, told.ClockJumps, got.reasons)
				if got.tags+got.lost != truth.Tags {
					t.Errorf("channel %s: %d tags and %d lost, of %d", c.Name, got.tags, got.lost, truth.Tags)
				}
				if !test.sure && told.Ambiguous > 3 || test.sure && told.Ambiguous > 1 {
					t.Errorf("channel %s: %d messages lost: %v", c.Name, told.Ambiguous, got.reasons)
				}
				if test.sure && got.lost == 0 {
					wantTruth(t, r.Simulation, a, out)
				}
			}
		})
	}
}
