package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

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
func dirty(t *testing.T, d *driver, commands []string) {
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
				d := openSimulated(t, light(31), nil)
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
					if got.Tags < 4_500 || got.Tags > 6_500 { // 22 000 a second
						t.Errorf("channel %d: %d tags", i, got.Tags)
					}
				}
				after, err := d.tc.query(t.Context(), "STATe?")
				if err != nil {
					t.Fatal(err)
				}
				wantStates(t, before, after)
			})
		}
		if !state.spoils {
			continue
		}
		t.Run(state.name+" without care", func(t *testing.T) {
			t.Parallel()
			d := openSimulated(t, light(31), nil)
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
func wantStates(t *testing.T, before, after string) {
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
	d := openSimulated(t, light(32), nil)
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

// between opens the driver on a controller whose replies pass through change;
// handled false means that the controller itself answers.
func between(t *testing.T, behind *driver, change func(request string) (reply string, handled bool)) (*driver, error) {
	t.Helper()
	to := newRequester("controller behind", behind.endpoint.scpi, 2*time.Second)
	t.Cleanup(to.close)
	front := newReplier(t, func(_ int, request string) [][]byte {
		var lines []string
		for _, command := range strings.Split(request, ";:") {
			reply, handled := change(command)
			if !handled {
				var err error
				if reply, err = to.ask(context.Background(), command); err != nil {
					return nil
				}
			}
			lines = append(lines, reply)
		}
		return text(strings.Join(lines, "\n"))
	})
	c := defaults()
	c.Address, c.DLT, c.StreamPort = front.addr, behind.endpoint.dlt, 0
	d, err := newDriver(t.Context(), environment(t, light(33)), c)
	if err == nil {
		t.Cleanup(func() { d.Close() })
	}
	return d, err
}

// TestRefusedWhateverTheWords: a command that the device does not carry out is
// noticed by what it is set to, and named.
func TestRefusedWhateverTheWords(t *testing.T) {
	for _, header := range []string{"RAW1:STOP:LINK", "TSCO5:FIRst:LINK", "TSCO7:WINDow:ENABle", "INPUt1:SELEct", "REC:PPERiod", "DELAy3:VALUe"} {
		for _, words := range []string{
			"No connection possible between RAW1:STOP and TSCO5", "No", "no such block", "Impossible", "", "Value set to something", "SCPI_ERR_PARAM_TYPE",
			"RAW1: no connection", "the parameter is wrong SCPI_ERR_PARAM_TYPE",
		} {
			t.Run(header+" "+words, func(t *testing.T) {
				t.Parallel()
				behind := openSimulated(t, light(33), nil)
				dirty(t, behind, []string{"RAW1:STOP:LINK TSCO8;:TSCO5:FIR:LINK DELA2;:TSCO7:WIND:ENAB ON;:INPU1:SELE OUTP;:REC:PPER 9e12;:DELA3:VALU 77777"})
				d, err := between(t, behind, func(request string) (string, bool) { return words, strings.HasPrefix(request, header+" ") })
				if err != nil {
					t.Fatal(err)
				}
				a := sdk.Acquisition{Channels: twoChannels(), Duration: 500 * ms}
				wantFailure(t, d.Arm(t.Context(), a), "device-refused", header)
			})
		}
	}
}

// TestOtherWordsForYes: a firmware may acknowledge in words of its own, or with
// nothing, as long as what it is set to is what was asked for.
func TestOtherWordsForYes(t *testing.T) {
	for _, words := range []string{"", "Value set to 5", "OK", "Linked."} {
		known := words == "" || words == "Value set to 5"
		behind := openSimulated(t, light(34), nil)
		d, err := between(t, behind, func(request string) (string, bool) {
			if !strings.HasSuffix(request, "?") {
				behind.tc.do(context.Background(), request)
				return words, true
			}
			if strings.HasPrefix(request, "INPUt1:THREshold") {
				return "119.7mV", true // as near as it can
			}
			return "", known && strings.HasPrefix(request, "INPUt3:RESYnc") // cannot be asked for
		})
		if err != nil {
			t.Fatal(err)
		}
		a := sdk.Acquisition{Channels: twoChannels(), Duration: 250 * ms}
		out := newSink(a.Channels...)
		if err := d.Arm(t.Context(), a); err != nil {
			t.Fatalf("%q: %v", words, err)
		}
		if err := d.acquire(t.Context(), sdk.NewStart(time.Time{}), out); err != nil {
			t.Fatal(err)
		}
		truth := behind.sim.controller.Truth()
		wantTruth(t, &truth, a, out)
	}
}

// TestLinkThatCannotBeRead is refused: nobody would know what is recorded.
func TestLinkThatCannotBeRead(t *testing.T) {
	a := sdk.Acquisition{Channels: twoChannels(), Duration: time.Second}
	behind := openSimulated(t, light(35), nil)
	d, err := between(t, behind, func(request string) (string, bool) {
		return "SCPI_ERR_INVALID_CMD", strings.HasPrefix(request, "RAW3:STOP:LINK?")
	})
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, d.Arm(t.Context(), a), "device-refused", "RAW3:STOP:LINK")
	// Another setting may be unreadable, but then its acknowledgement must be known.
	behind = openSimulated(t, light(35), nil)
	if d, err = between(t, behind, func(request string) (string, bool) { return "Fine.", strings.HasPrefix(request, "TSCO7:OPIN ") }); err != nil {
		t.Fatal(err)
	}
	if err := d.Arm(t.Context(), a); err != nil { // it is what it should be
		t.Fatal(err)
	}
	behind = openSimulated(t, light(35), nil)
	if d, err = between(t, behind, func(request string) (string, bool) {
		return map[bool]string{true: "", false: "Fine."}[strings.Contains(request, "?")], strings.HasPrefix(request, "TSCO7:OPIN")
	}); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, d.Arm(t.Context(), a), "device-refused", "Fine.")
}

// second opens another driver on a simulated controller, as another program would.
func second(t *testing.T, of *driver, change func(*config)) *driver {
	t.Helper()
	c := defaults()
	c.Address, c.DLT, c.StreamPort = of.endpoint.scpi, of.endpoint.dlt, 0
	if change != nil {
		change(&c)
	}
	d, err := newDriver(t.Context(), environment(t, light(36)), c)
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
	first := openSimulated(t, light(36), nil)
	a := sdk.Acquisition{Channels: twoChannels(), Duration: 1500 * ms}
	out := newSink(a.Channels...)
	if err := first.Arm(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	other := second(t, first, nil)
	wantFailure(t, other.Arm(t.Context(), a), "device-busy", "127.0.0.1:5556 is open, with 0 records") // armed, not begun
	done := make(chan error, 1)
	go func() { done <- first.acquire(t.Context(), sdk.NewStart(time.Time{}), out) }()
	time.Sleep(600 * ms)
	err := other.Arm(t.Context(), a)
	wantFailure(t, err, "device-busy", "its records are PLAYING (REC:NUMber 7)")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantTruth(t, first.Report().(*report).Simulation, a, out)
	if err := other.Arm(t.Context(), a); err != nil { // it is free again
		t.Error(err)
	}
}

func TestForceTakesOver(t *testing.T) {
	t.Parallel()
	first := openSimulated(t, light(37), nil)
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
}

func mustFreePort(t *testing.T) int {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestSimulatedByItsOwnWord: a simulated controller is one wherever it runs.
func TestSimulatedByItsOwnWord(t *testing.T) {
	d := second(t, openSimulated(t, light(38), nil), nil)
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

func TestAlike(t *testing.T) {
	for _, pair := range [][2]string{
		{"RISIng", "RISING"}, {"RISIng", "RISI"}, {"INPUt1", "INPU1"}, {"NONE", "none"}, {"RECord", "REC"}, {"ON", " on "}, {"7", "7"}, {"INF", "INFINITY"}, {"ON", "1"}, {"OFF", "0"},
	} {
		if !alikeWords(pair[0], pair[1]) {
			t.Errorf("%q is not like %q", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"INPUt1", "INPU2"}, {"ON", "OFF"}, {"ON", "O"}, {"TSCO1", "TSCO12"}, {"NONE", ""}, {"ON", ""}, {"7", "0"}, {"NONE", "NO"}} {
		if alikeWords(pair[0], pair[1]) {
			t.Errorf("%q is like %q", pair[0], pair[1])
		}
	}
	exact, volt := within(0), within(thresholdTolerance)
	for _, ok := range []bool{
		exact("199999960000", "199999960000TB"), exact("1000", "1 kTB"), exact("10000000000000000", "1e+16TB"), exact("1000", "1000.0"),
		volt("-0.400000V", "-0.4V"), volt("0.120000V", "119mV"), volt("-0.080000V", "-0.0781"), !exact("1000", "1001TB"), !exact("1000", "SCPI_ERR_X"),
		!volt("0.1V", "-0.1V"), !exact("5", ""), !exact("5", "5e999999999"), !exact("1", "1/1"), !exact("1000", "0x3e8"), !exact("5", "5 bananas"),
		exact("9223372036854775807", "9223372036854775807TB"), !exact("9223372036854775807", "9223372036854775806TB"),
		!exact("5", strings.Repeat("5", 100)),
	} {
		if !ok {
			t.Error("compares wrongly")
		}
	}
}
