package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tsrun/internal/steady"
	"tsrun/sdk"
	"tsrun/sdk/fifteen"
	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
)

const ms = time.Millisecond

// TestTDC1EveryTagArrives over three rollovers, through a real pty.
func TestTDC1EveryTagArrives(t *testing.T) {
	for name, rate := range map[string]quantity.Frequency{"dark": 0, "bright": 300 * quantity.Kilohertz} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openModel(t, modelTDC1, light(5, rate), nil)
			a := sdk.Acquisition{Channels: channelsOf(500_000, 1, 2, 4), Duration: 1200 * ms}
			out, err := record(t, t.Context(), d, a)
			if err != nil {
				t.Fatal(err)
			}
			r := d.Report().(*tdc1Report)
			wantTruth(t, r.Simulation, a, out)
			for _, c := range a.Channels {
				if got := out.lanes[c.Stream]; got.until != 1_200_000_000_000 {
					t.Errorf("channel %s: the last mark is at %d ps", c.Name, got.until)
				}
			}
			if r.Stopped || r.GateMs != 1200 || r.Stream.Cuts > 0 {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// TestTDC1AtFullRate takes five million words a second, however long it takes.
func TestTDC1AtFullRate(t *testing.T) {
	s := light(2, 0)
	s.Controller = json.RawMessage(`{"dark": "1250 kHz", "drift": "-3 ppm"}`)
	d := openModel(t, modelTDC1, s, nil)
	a := sdk.Acquisition{Channels: channelsOf(500_000, 1, 2, 3, 4), Duration: 900 * ms}
	began := time.Now()
	out, err := record(t, t.Context(), d, a)
	if err != nil {
		t.Fatal(err)
	}
	r := d.Report().(*tdc1Report)
	t.Logf("%d words in %v", r.Stream.Words, time.Since(began))
	if r.Stream.Words < 4_400_000 {
		t.Errorf("%d words are not 5 million a second", r.Stream.Words)
	}
	wantTruth(t, r.Simulation, a, out)
}

// TestTDC1Stops: what came until the end of ctx is kept, and the next
// acquisition begins anew.
func TestTDC1Stops(t *testing.T) {
	t.Parallel()
	d := openModel(t, modelTDC1, light(3, 20*quantity.Kilohertz), nil)
	for _, duration := range []time.Duration{0, 100 * time.Second, 30 * time.Second} {
		a := sdk.Acquisition{Channels: channelsOf(-500_000, 2, 3), Duration: duration}
		out, err := recordFor(t, 300*ms, d, a)
		if err != nil {
			t.Fatal(err)
		}
		r := d.Report().(*tdc1Report)
		wantTruth(t, r.Simulation, a, out)
		if !r.Stopped {
			t.Errorf("report %+v", r)
		}
	}
}

// TestTDC1LosesBytes: the loss is counted on each channel, no tag is at another
// time than its own.
func TestTDC1LosesBytes(t *testing.T) {
	t.Parallel()
	d := openModel(t, modelTDC1, light(4, 100*quantity.Kilohertz, "lost-bytes=3@200 ms", "lost-bytes=1@500 ms", "lost-bytes=4097@700 ms"), nil)
	a := sdk.Acquisition{Channels: channelsOf(500_000, 1, 2), Duration: 900 * ms}
	out, err := record(t, t.Context(), d, a)
	if err != nil {
		t.Fatal(err)
	}
	r := d.Report().(*tdc1Report)
	for _, c := range a.Channels {
		got, want := out.lanes[c.Stream], r.Simulation.Channels[c.Input-1]
		if got.lost < 3 || got.tags > want.Tags || want.Tags-got.tags > got.lost || got.last != want.Last {
			t.Errorf("channel %s: %d tags to %d ps and %d lost, the device sent %d to %d ps", c.Name, got.tags, got.last, got.lost, want.Tags, want.Last)
		}
	}
	if r.Stream.Cuts != 3 {
		t.Errorf("%+v", r.Stream)
	}
}

// darkly is a TDC1 that sees nothing but dark counts.
func darkly(rate string, faults ...string) sdk.Simulation {
	text, _ := json.Marshal(faults)
	return sdk.Simulation{Light: sdk.Light{Seed: 9}, Controller: json.RawMessage(`{"dark": "` + rate + `", "drift": "3 ppm", "faults": ` + string(text) + `}`)}
}

// wantSome checks that no tag is at another time than one that the unit saw, and
// that those that it delivered and that are not here are counted.
func wantSome(t testing.TB, s sdk.Simulation, truth *sky.Truth, a sdk.Acquisition, out *sink) {
	t.Helper()
	var settings simulation
	if err := json.Unmarshal(s.Controller, &settings); err != nil {
		t.Fatal(err)
	}
	eye, err := sky.NewEye(sky.Settings(s.Light), settings.Controller, truth.Serial)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]map[uint64]bool{}
	eye.Detections(fifteen.Detectors, sky.Unix(truth.StartUnixNs, truth.StartPs), false).Until(int64(truth.Channels[0].Last)+1e12, func(at int64, input int) {
		if seen[input] == nil {
			seen[input] = map[uint64]bool{}
		}
		seen[input][uint64(at+fifteen.ShortTick/2)/fifteen.ShortTick*fifteen.ShortTick] = true
	})
	for _, c := range a.Channels {
		got, want := out.lanes[c.Stream], truth.Channels[c.Input-1]
		wrong := slices.DeleteFunc(slices.Clone(got.all), func(at uint64) bool { return seen[c.Input][at] })
		if len(wrong) > 0 {
			t.Errorf("channel %s: %d tags of %d are none of the unit's: %v", c.Name, len(wrong), got.tags, wrong[:min(len(wrong), 5)])
		}
		if got.lost == 0 || got.tags == 0 || got.tags > want.Tags || got.tags+got.lost < want.Tags {
			t.Errorf("channel %s: %d tags, %d lost; the unit delivered %d and lost %d", c.Name, got.tags, got.lost, want.Tags, want.LostToFault)
		}
	}
}

// TestTDC1SlowLink: bytes that trickle are words as good as any; what finds no
// room in the unit while they do is counted as lost.
func TestTDC1SlowLink(t *testing.T) {
	t.Parallel()
	slow := func(t testing.TB, slower int, faults ...string) (sdk.Simulation, sdk.Acquisition, *tdc1Report, *sink) {
		s := darkly(fmt.Sprintf("%d Hz", 1000/slower), faults...)
		a := sdk.Acquisition{Channels: channelsOf(500_000, 1, 2), Duration: time.Duration(slower) * 900 * ms}
		d := openModel(t, modelTDC1, s, nil)
		out, err := record(t, t.Context(), d, a)
		if err != nil {
			t.Fatal(err)
		}
		return s, a, d.Report().(*tdc1Report), out
	}
	_, a, r, out := slow(t, 1, "slow-link=30000")
	wantTruth(t, r.Simulation, a, out)
	// Where the PC is held up, the unit loses words so often that none can be told from
	// what is left of others.
	steady.Try(t, 20*time.Millisecond, func(t *steady.T) {
		s, a, r, out := slow(t, t.Slower, fmt.Sprintf("slow-link=%d", 8000/t.Slower), "small-buffer=2050")
		wantSome(t, s, r.Simulation, a, out)
	})
}

// TestTDC1HeldUp: tsrun takes nothing for a while at five million words a second,
// and what the unit could not keep meanwhile is counted.
func TestTDC1HeldUp(t *testing.T) {
	d := openModel(t, modelTDC1, darkly("1250 kHz", "small-buffer=65533"), nil)
	a := sdk.Acquisition{Channels: channelsOf(500_000, 1, 2, 3, 4), Duration: 900 * ms}
	out := newSink(a.Channels)
	out.began = func() { time.Sleep(1200 * ms) }
	if err := out.record(t, t.Context(), d, a); err != nil {
		wantCode(t, err, "time-lost") // of more than a round
	}
	r := d.Report().(*tdc1Report)
	for _, c := range a.Channels {
		got, want := out.lanes[c.Stream], r.Simulation.Channels[c.Input-1]
		if got.lost == 0 || got.tags > want.Tags || got.tags+got.lost < want.Tags || want.LostToFault == 0 {
			t.Errorf("channel %s: %d tags, %d lost; the unit delivered %d and lost %d; %+v", c.Name, got.tags, got.lost, want.Tags, want.LostToFault, r.Stream)
		}
	}
}

// TestTDC1LosesRounds: whole rounds of the time are missing, which the end of the
// gate tells, or the clock of the PC.
func TestTDC1LosesRounds(t *testing.T) {
	for _, c := range []struct {
		fault string
		gate  time.Duration
	}{{"lost-bytes=2400@500 ms", 1500 * ms}, {"lost-bytes=2400@3 s", 0}} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			steady.Try(t, 50*time.Millisecond, func(t *steady.T) {
				d := openModel(t, modelTDC1, darkly("250 Hz", c.fault), nil)
				out, err := recordFor(t, 8*time.Second, d, sdk.Acquisition{Channels: channelsOf(500_000, 1, 2), Duration: c.gate})
				if wantCode(t, err, "time-lost"); out.lanes[0].lost == 0 || out.lanes[0].tags == 0 || !strings.Contains(fmt.Sprint(err), "words of 2 rounds") {
					t.Errorf("%d tags, %d lost: %v", out.lanes[0].tags, out.lanes[0].lost, err)
				}
			})
		})
	}
}

// TestTDC1Reference: an external reference that was asked for must be there,
// and must still be there in the end.
func TestTDC1Reference(t *testing.T) {
	t.Parallel()
	a := sdk.Acquisition{Channels: channelsOf(500_000, 1), Duration: 100 * ms}
	with := func(s sdk.Simulation, reference bool) sdk.Simulation {
		if reference {
			s.Controller = []byte(strings.Replace(string(s.Controller), "{", `{"reference":true,`, 1))
		}
		return s
	}
	outer := func(c *config) { c.Reference = external }
	d := openModel(t, modelTDC1, light(1, 1000*quantity.Hertz), outer)
	wantCode(t, d.Arm(t.Context(), a), "no-reference")

	d = openModel(t, modelTDC1, with(light(1, 1000*quantity.Hertz), true), outer)
	out, err := record(t, t.Context(), d, a)
	if err != nil {
		t.Fatal(err)
	}
	if r := d.Report().(*tdc1Report); r.Simulation.DriftE15 != 0 {
		t.Errorf("a clock with a reference drifts: %+v", r.Simulation)
	} else {
		wantTruth(t, r.Simulation, a, out)
	}

	steady.Try(t, 100*ms, func(t *steady.T) { // it is lost a while after it was switched on, and not before it is armed
		a := sdk.Acquisition{Channels: a.Channels, Duration: time.Duration(t.Slower) * 1500 * ms}
		d := openModel(t, modelTDC1, with(light(1, 1000*quantity.Hertz, fmt.Sprintf("reference-lost=%d s", t.Slower)), true), outer)
		out, err := record(t, t.Context(), d, a)
		wantCode(t, err, "no-reference")
		if out.lanes[0].tags == 0 {
			t.Error("the tags are gone")
		}
	})
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var f *sdk.Failure
	if !errors.As(err, &f) || f.Code != code || f.Hint == "" {
		t.Errorf("error %v, want code %s and a hint", err, code)
	}
}

// TestTDC1Fails: a device that is gone, dumb or another is said to be.
func TestTDC1Fails(t *testing.T) {
	t.Parallel()
	a := sdk.Acquisition{Channels: channelsOf(500_000, 1), Duration: 30 * time.Second}
	steady.Try(t, 5*time.Millisecond, func(t *steady.T) { // what was not read of a line is gone with it
		d := openModel(t, modelTDC1, light(1, 1000*quantity.Hertz, "unplugged=1500 ms"), nil)
		out, err := record(t, t.Context(), d, a)
		wantCode(steady.Always(t), err, "device-gone")
		kept, seen := out.lanes[0].tags, d.Report().(*tdc1Report).Simulation.Channels[0].Tags
		if kept == 0 || kept > seen {
			steady.Always(t).Errorf("%d tags are kept of %d", kept, seen)
		} else if kept < seen {
			t.Errorf("%d tags are kept of %d", kept, seen)
		}
	})
	for fault, code := range map[string]string{"silent": "device-timeout", "wrong-device": "wrong-device", "slow-reply=5 s": "device-timeout"} {
		c := defaults()
		c.Model, c.Port, c.Timeout = modelTDC1, simulated, 500*quantity.Millisecond
		_, err := open(t.Context(), environment(t, light(1, 0, fault)), c)
		wantCode(t, err, code)
	}
}
