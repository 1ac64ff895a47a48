package main

import (
	"context"
	"testing"
	"time"

	"tsrun/internal/steady"
	"tsrun/sdk"
)

// TestShotsFollowEachOther: acquisitions on one open controller, also after one
// that was stopped and one that nobody started; each begins at 0 ps and has
// nothing of those before.
func TestShotsFollowEachOther(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) {
		d := openSimulated(t, light(t, 31), nil)
		shot := func(a sdk.Acquisition, stopAfter time.Duration) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if stopAfter > 0 {
				time.AfterFunc(longer(t, stopAfter), cancel)
			}
			out := newSink(a.Channels...)
			r, err := acquire(t, ctx, d, a, out)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Channels) != len(a.Channels) || r.Stopped != (stopAfter > 0) || len(r.Settings) == 0 {
				t.Errorf("report %+v", r)
			}
			wantTruth(t, r.Simulation, a, out)
		}
		both := sdk.Acquisition{Channels: twoChannels(), Duration: 400 * ms}
		shot(both, 0)
		if err := d.Arm(t.Context(), both); err != nil { // nobody starts it
			t.Fatal(err)
		}
		shot(sdk.Acquisition{Channels: twoChannels()[:1], Duration: 400 * ms}, 0)
		shot(sdk.Acquisition{Channels: twoChannels()}, 500*ms)
		shot(both, 0)
	})
}
