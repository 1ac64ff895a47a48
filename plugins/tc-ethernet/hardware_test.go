package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"tsrun/internal/steady"
	"tsrun/sdk"
)

// TestHardwareStart: two controllers on one START line begin at the very same
// true instant, though only one is told when.
func TestHardwareStart(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("127.0.0.1:%d", port)
		var drivers [2]*driver
		var out [2]*sink
		a := sdk.Acquisition{Channels: twoChannels(), Duration: longer(t, 650*ms), Method: sdk.Hardware}
		for i := range drivers {
			s := light(t, uint64(i))
			s.Controller.StartLine = line
			drivers[i], out[i] = openSimulated(t, s, nil), newSink(a.Channels...)
		}
		var errs [2]error
		for i, d := range drivers {
			a.Pulse = i == 0
			if err := d.Arm(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		var running sync.WaitGroup
		at := time.Now().Add(50 * ms)
		for i, d := range drivers {
			running.Go(func() { errs[i] = d.acquire(t.Context(), sdk.NewStart(at), out[i]) })
		}
		running.Wait()
		for i, d := range drivers {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			wantTruth(t, d.Report().(*report).Simulation, a, out[i])
		}
		one, other := drivers[0].report.Simulation, drivers[1].report.Simulation
		if one.StartUnixNs != other.StartUnixNs || one.StartPs != other.StartPs || one.StartUnixNs < at.UnixNano() {
			t.Errorf("started at %d ns and %d ns, asked for %d", one.StartUnixNs, other.StartUnixNs, at.UnixNano())
		}
	})
}

// TestHardwareStopWhileWaiting: a controller that waits for an edge that never
// comes can be stopped.
func TestHardwareStopWhileWaiting(t *testing.T) {
	t.Parallel()
	d := openSimulated(t, light(t, 1), nil)
	a := sdk.Acquisition{Channels: twoChannels(), Duration: time.Second, Method: sdk.Hardware}
	if err := d.Arm(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 300*ms)
	defer stop()
	if err := d.acquire(ctx, sdk.NewStart(time.Now()), newSink(a.Channels...)); err != nil {
		t.Error(err)
	}
	if stage, err := d.stage(t.Context()); err != nil || stage != "IDLE" {
		t.Errorf("afterwards %s, %v", stage, err)
	}
}
