package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tsrun/internal/steady"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// TestEveryTagArrives over several seeds, each a new device.
func TestEveryTagArrives(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			steady.Try(t, keepUp, func(t *steady.T) {
				d := openSimulated(t, light(t, seed), nil)
				a := sdk.Acquisition{Channels: twoChannels(), Duration: 900 * ms}
				out := newSink(a.Channels...)
				r, err := acquire(t, t.Context(), d, a, out)
				if err != nil {
					t.Fatal(err)
				}
				wantTruth(t, r.Simulation, a, out)
				if r.Records != 4 || r.Stopped || r.Stage == playing {
					t.Errorf("report %+v", r)
				}
				for _, c := range a.Channels {
					if got := out.lanes[c.Stream]; got.until < uint64(a.Duration)*1000 || got.marks == 0 {
						t.Errorf("channel %s: %d marks, the last at %d ps", c.Name, got.marks, got.until)
					}
				}
			})
		})
	}
}

// TestAcquireAgain: a driver records as often as asked, in every mode.
func TestAcquireAgain(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) {
		d := openSimulated(t, light(t, 3), nil)
		for _, a := range []sdk.Acquisition{
			{Channels: twoChannels(), Duration: 450 * ms},
			{Channels: twoChannels()[1:], Duration: 100 * ms},
			{Channels: twoChannels(), Duration: 450 * ms, Method: sdk.Hardware, Pulse: true},
			{Channels: twoChannels(), Duration: 250 * ms},
		} {
			out := newSink(a.Channels...)
			r, err := acquire(t, t.Context(), d, a, out)
			if err != nil {
				t.Fatal(err)
			}
			wantTruth(t, r.Simulation, a, out)
		}
	})
}

func TestSingleRecord(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) {
		d := openSimulated(t, light(t, 4), func(c *config) { c.Record = record{Single: true} })
		a := sdk.Acquisition{Channels: twoChannels(), Duration: 700 * ms}
		out := newSink(a.Channels...)
		r, err := acquire(t, t.Context(), d, a, out)
		if err != nil {
			t.Fatal(err)
		}
		wantTruth(t, r.Simulation, a, out)
		if r.Records != 1 || r.Channels[0].Messages != 1 {
			t.Errorf("report %+v", r)
		}
	})
}

// TestStop: the end of the context ends the records, and what the device still
// holds is delivered. The acquisition has no end of its own, or a late one.
func TestStop(t *testing.T) {
	for _, duration := range []time.Duration{0, time.Hour} {
		t.Run(duration.String(), func(t *testing.T) {
			t.Parallel()
			steady.Try(t, keepUp, func(t *steady.T) {
				d := openSimulated(t, light(t, 5), nil)
				a := sdk.Acquisition{Channels: twoChannels(), Duration: duration}
				out := newSink(a.Channels...)
				ctx, stop := context.WithTimeout(t.Context(), longer(t, 730*ms))
				defer stop()
				r, err := acquire(t, ctx, d, a, out)
				if err != nil {
					t.Fatal(err)
				}
				wantTruth(t, r.Simulation, a, out)
				if !r.Stopped || r.Channels[0].Records == 0 {
					t.Errorf("report %+v", r)
				}
				if got := out.lanes[0]; got.until > r.Simulation.Records*r.Simulation.PeriodPs || got.until == 0 {
					t.Errorf("marked up to %d ps", got.until)
				}
			})
		})
	}
}

// TestStopBeforeStart: an end before the instant is no failure.
func TestStopBeforeStart(t *testing.T) {
	d := openSimulated(t, light(t, 6), nil)
	a := sdk.Acquisition{Channels: twoChannels(), Duration: time.Second}
	if err := d.Arm(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*ms)
	defer stop()
	if err := d.acquire(ctx, sdk.NewStart(time.Now().Add(time.Hour)), newSink(a.Channels...)); err != nil {
		t.Error(err)
	}
	if stage, err := d.stage(t.Context()); err != nil || stage == playing {
		t.Errorf("afterwards %s, %v", stage, err)
	}
}

// TestSparse: few tags, and most records empty.
func TestSparse(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) {
		s := light(t, 7)
		s.Pairs.Rate = 2 * quantity.Hertz / quantity.Frequency(t.Slower)
		s.Controller.Dark = 0
		d := openSimulated(t, s, func(c *config) { c.Record.Period = 400 * quantity.Millisecond })
		a := sdk.Acquisition{Channels: twoChannels(), Duration: 4 * time.Second}
		out := newSink(a.Channels...)
		r, err := acquire(t, t.Context(), d, a, out)
		if err != nil {
			t.Fatal(err)
		}
		wantTruth(t, r.Simulation, a, out)
		if n := r.Channels[0].Messages; n >= uint64(r.Records) {
			t.Errorf("%d messages of %d records: none was empty, so this shows nothing", n, r.Records)
		}
	})
}

// TestSlowConsumer: who takes tags slowly loses none.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) {
		d := openSimulated(t, light(t, 8), nil)
		a := sdk.Acquisition{Channels: twoChannels(), Duration: time.Second}
		out := newSink(a.Channels...)
		out.slow = 700 * ms
		r, err := acquire(t, t.Context(), d, a, out)
		if err != nil {
			t.Fatal(err)
		}
		wantTruth(t, r.Simulation, a, out)
	})
}
