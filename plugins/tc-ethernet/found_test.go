package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tsrun/internal/steady"
	"tsrun/sdk"
)

// leftBehind are states in which other programs leave a controller: what they
// send, and whether that alone spoils a recording.
var leftBehind = []struct {
	name     string
	spoils   bool
	commands []string
}{
	{"as it was switched on", false, nil},
	{"filtered histogram", true, []string{
		"TSCO5:WIND:ENAB ON;:TSCO5:WIND:BEGI:LINK DELA3;DELAY 100000;EDGE RISING;:TSCO5:WIND:END:LINK DELA3;DELAY 600000;EDGE RISING",
		"TSCO5:OPIN ONLYFIR;:TSCO5:OPOUt MUTE",
	}},
	{"demonstration without wires", true, []string{
		"GEN1:ENAB ON;PPER 4000000;PWID 4000;PNUM INF;PLAY", "TSCO1:FIR:LINK GEN1;:OUTP1:ENAB ON;MODE NIM;LINK TSCO1;:OUTP3:ENAB ON;LINK TSCO1",
		"INPU1:SELE OUTP;:INPU3:SELE OUTP",
	}},
	{"muted combiners", true, []string{"TSCO5:OPOUt MUTE;:TSCO7:OPOUt ONLYSEC"}},
	{"coincidence counters", true, []string{"DEVI:CONFI:LOAD COUNT", "DELA6:VALU 10000", "TSCO5:WIND:BEGI:DELA 25000;:TSCO5:WIND:END:DELA 35000"}},
	{"nothing linked", true, []string{"DEVI:CONF:LOAD BLANK"}},
	{"histograms", true, []string{"DEVI:CONF:LOAD HISTO", "RAW1:REF:LINK TSCO6;:RAW1:STOP:LINK TSCO6", "HIST1:BCOU 16;BWID 1000"}},
	{"inputs off", true, []string{"INPU1:ENAB OFF", "INPU3:ENAB OFF"}},
	{"inputs set otherwise", false, []string{"INPU1:COUP AC;EDGE FALL;THRE 1.5V;RESY MANUAL;COUN:MODE ACCUM;INTE 100"}},
	{"delays", true, []string{"DELA1:VALU 5000000;LINK INPU2", "DELA3:VALU 1000"}},
	{"several devices at once", false, []string{
		"DEVI:SYNC EXT", "REC:ENAB OFF;TRIG:DELA 12345;LINK DELA8;ARM:MODE MANU;:REC:NUM 3;PWID 2e11;PPER 3e11",
		"STAR:ENAB OFF;THRE 1V;EDGE RISING;DELA 777;:DELA8:LINK INPU4;VALU 5000", "TSCO1:OPOUt MUTE;FIR:LINK STAR",
		"GEN1:PPER 2e6;PWID 1e6;PNUM INF;TRIG:LINK GEN2;ARM:MODE AUTO", "OUTP1:ENAB ON;MODE TTL;DELA 12;LINK TSCO3;PULS OFF",
	}},
	{"armed by itself", false, []string{"REC:ENAB OFF;TRIG:LINK GEN5;ARM:MODE AUTO"}},
	{"endless records", false, []string{"REC:NUM 0;DUR 1e12;PPER 2e12"}},
	{"sending", false, []string{"RAW1:SEND ON;:RAW2:SEND ON;:RAW3:SEND ON"}},
}

// dirty sends what another program sends; all of it must be taken.
func dirty(t testing.TB, d *driver, commands []string) {
	t.Helper()
	for _, c := range commands {
		if err := d.tc.do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryStateLeftBehind: whatever another program has left, the recording
// has every tag, and afterwards the device is as it was found. Where the state
// comes after the driver has set the device up, as if it did not care, the
// simulator shows what is lost.
func TestEveryStateLeftBehind(t *testing.T) {
	for _, state := range leftBehind {
		for _, method := range []sdk.StartMethod{sdk.Scheduled, sdk.Hardware} {
			t.Run(fmt.Sprint(state.name, " ", method), func(t *testing.T) {
				t.Parallel()
				steady.Try(t, keepUp, func(t *steady.T) {
					d := openSimulated(t, light(t, 31), nil)
					dirty(t, d, state.commands)
					before, err := d.tc.query(t.Context(), "STATe?")
					if err != nil {
						t.Fatal(err)
					}
					a := sdk.Acquisition{Channels: twoChannels(), Duration: 250 * ms, Method: method, Pulse: method == sdk.Hardware}
					out := newSink(a.Channels...)
					r, err := acquire(t, t.Context(), d, a, out)
					if err != nil {
						t.Fatal(err)
					}
					wantTruth(t, r.Simulation, a, out)
					for i, got := range r.Channels {
						if got.Tags < 4_500 || got.Tags > 6_500 { // 22 000 a second, or as many in a longer time
							t.Errorf("channel %d: %d tags", i, got.Tags)
						}
					}
					after, err := d.tc.query(t.Context(), "STATe?")
					if err != nil {
						t.Fatal(err)
					}
					wantStates(t, before, after)
				})
			})
		}
		if !state.spoils {
			continue
		}
		t.Run(state.name+" without care", func(t *testing.T) {
			t.Parallel()
			d := openSimulated(t, light(t, 31), nil)
			a := sdk.Acquisition{Channels: twoChannels(), Duration: 250 * ms}
			out := newSink(a.Channels...)
			if err := d.Arm(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			dirty(t, d, state.commands)
			if err := d.acquire(t.Context(), sdk.NewStart(time.Time{}), out); err != nil {
				t.Fatal(err)
			}
			truth := d.Report().(*report).Simulation
			spoilt := false
			for i, c := range a.Channels {
				got := truth.Channels[i]
				spoilt = spoilt || got.Tags < 4_500 || got.Input != c.Input || got.DelayPs != c.Delay || got.Last < 200e9
			}
			if !spoilt {
				t.Errorf("nothing is lost, so the recording with care shows nothing: %+v", truth.Channels)
			}
		})
	}
}

// wantStates compares all settings of a device; RAW blocks are left silent.
func wantStates(t testing.TB, before, after string) {
	t.Helper()
	before = strings.ReplaceAll(before, ":SEND ON", ":SEND OFF")
	was, is := strings.Split(before, ";"), strings.Split(strings.ReplaceAll(after, ":SEND ON", ":SEND OFF"), ";")
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			t.Errorf("%s was left as %s", was[i], is[i])
		}
	}
	if len(was) != len(is) {
		t.Errorf("%d settings before, %d after", len(was), len(is))
	}
}

// TestReportTellsTheSettings: where the device is, what it was set to, as it
// was found, while it recorded, and as it was left.
func TestReportTellsTheSettings(t *testing.T) {
	d := openSimulated(t, light(t, 32), nil)
	dirty(t, d, []string{"INPU1:THRE 1.5V;:TSCO7:OPOU MUTE;:REC:NUM 0"})
	a := sdk.Acquisition{Channels: twoChannels(), Duration: 250 * ms, Method: sdk.Hardware, Pulse: true}
	out := newSink(a.Channels...)
	r, err := acquire(t, t.Context(), d, a, out)
	if err != nil {
		t.Fatal(err)
	}
	if r.Address != d.endpoint.scpi || r.DLT != d.endpoint.dlt {
		t.Errorf("at %s and %s", r.Address, r.DLT)
	}
	told := map[string]settingReport{}
	for _, s := range r.Settings {
		told[s.Setting] = s
	}
	for header, want := range map[string]settingReport{
		"INPUt1:THREshold":   {Before: "1.5V", During: "0.12V", After: "1.5V"},
		"TSCO7:OPOUt":        {Before: "MUTE", During: "ONLYFIR", After: "MUTE"},
		"DELAy3:VALUe":       {Before: "0TB", During: "12400TB", After: "0TB"},
		"REC:NUMber":         {Before: "0", During: "1", After: "0"},
		"DEVIce:RESolution":  {Before: "HIRES", During: "HIRES", After: "HIRES"},
		"RAW1:NUMErator":     {Before: "1", During: "1", After: "1"},
		"OUTPut4:PULSe":      {Before: "OFF", During: "ON", After: "OFF"},
		"TSCO5:FIRst:LINK":   {Before: "DELA1", During: "DELA1", After: "DELA1"},
		"GENerator1:PNUMber": {Before: "1", During: "1", After: "1"},
	} {
		want.Setting = header
		if told[header] != want {
			t.Errorf("%+v, want %+v", told[header], want)
		}
	}
	if text, err := json.Marshal(r); err != nil || len(text) > 32<<10 {
		t.Errorf("a report of %d bytes, %v", len(text), err)
	}
}

// second opens another driver on a simulated controller, as another program would.
func second(t testing.TB, of *driver, change func(*config)) *driver {
	t.Helper()
	c := defaults()
	c.Address, c.DLT, c.StreamPort, c.Timeout = of.endpoint.scpi, of.endpoint.dlt, 0, patient
	if change != nil {
		change(&c)
	}
	slow(t, &c)
	d, err := newDriver(t.Context(), environment(t, light(t, 36)), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestBusyWithSomebodyElse: a device that another program records with is
// refused, and that program gets every tag; with force it is taken over.
func TestBusyWithSomebodyElse(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) {
		first := openSimulated(t, light(t, 36), nil)
		a := sdk.Acquisition{Channels: twoChannels(), Duration: longer(t, 1500*ms)}
		out := newSink(a.Channels...)
		if err := first.Arm(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		other := second(t, first, nil)
		wantFailure(t, other.Arm(t.Context(), a), "device-busy", "127.0.0.1:5556 is open, with 0 records") // armed, not begun
		done := make(chan error, 1)
		go func() { done <- first.acquire(t.Context(), sdk.NewStart(time.Time{}), out) }()
		time.Sleep(longer(t, 600*ms))
		err := other.Arm(t.Context(), a)
		wantFailure(t, err, "device-busy", "its records are PLAYING (REC:NUMber 7)")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		wantTruth(t, first.Report().(*report).Simulation, a, out)
		if err := other.Arm(t.Context(), a); err != nil { // it is free again
			t.Error(err)
		}
	})
}

func TestForceTakesOver(t *testing.T) {
	t.Parallel()
	steady.Try(t, keepUp, func(t *steady.T) {
		first := openSimulated(t, light(t, 37), nil)
		dirty(t, first, []string{"REC:ENAB ON;NUM INF;DUR 1e12;PLAY"})
		if _, err := first.dlt.startStream(t.Context(), first.rawID(1), first.endpoint.host, 1, mustFreePort(t)); err != nil {
			t.Fatal(err)
		}
		a := sdk.Acquisition{Channels: twoChannels(), Duration: 250 * ms}
		wantFailure(t, second(t, first, nil).Arm(t.Context(), a), "device-busy", "PLAYING (REC:NUMber INF)")
		d := second(t, first, func(c *config) { c.Force = true })
		out := newSink(a.Channels...)
		if err := d.Arm(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if err := d.acquire(t.Context(), sdk.NewStart(time.Time{}), out); err != nil {
			t.Fatal(err)
		}
		truth := first.sim.controller.Truth()
		wantTruth(t, &truth, a, out)
		// One that waits for its trigger is at work too.
		dirty(t, first, []string{"REC:TRIG:LINK DELA8;ARM"})
		wantFailure(t, second(t, first, nil).Arm(t.Context(), a), "device-busy", "ARMED")
	})
}

func mustFreePort(t testing.TB) int {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestSimulatedByItsOwnWord: a simulated controller is one wherever it runs.
func TestSimulatedByItsOwnWord(t *testing.T) {
	d := second(t, openSimulated(t, light(t, 38), nil), nil)
	if device, err := d.Describe(t.Context()); err != nil || !device.Simulated || d.sim != nil {
		t.Errorf("%+v, %v", device, err)
	}
	for identity, want := range map[string]bool{
		"ID Quantique,ID1000,SIM-7,simulated": true, "Simulated Time Controller": true, "ID Quantique,ID1000,1234,1.14.2": false, "": false,
	} {
		if got := saysSimulated(identity); got != want {
			t.Errorf("%q: %v", identity, got)
		}
	}
}
