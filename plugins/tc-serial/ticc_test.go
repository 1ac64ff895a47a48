package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tsrun/internal/steady"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sim/pty"
	"tsrun/sim/sky"
	"tsrun/sim/ticc"
)

// slow is a light that a TICC can follow.
func slow(seed uint64, more string, faults ...string) sdk.Simulation {
	text, _ := json.Marshal(faults)
	controller := fmt.Sprintf(`{"drift": "3 ppm", "clock_offset": "7 us", "dark": "20 Hz", "faults": %s, %s}`, text, more)
	return sdk.Simulation{Light: sdk.Light{Seed: seed, Pairs: sdk.Pairs{Rate: 40 * quantity.Hertz, Jitter: 80}}, Controller: json.RawMessage(controller)}
}

// wantStamps checks that every line of the simulator within the acquisition has
// arrived, at its own time.
func wantStamps(t testing.TB, d driver, a sdk.Acquisition, out *sink, until uint64) {
	t.Helper()
	r := d.Report().(*ticcReport)
	for _, c := range a.Channels {
		var want []uint64
		for _, at := range d.(*ticcDriver).sim.stamps(c.Input) {
			if at := uint64(at); at >= r.OriginPs && at-r.OriginPs < until {
				want = append(want, at-r.OriginPs)
			}
		}
		if got := out.lanes[c.Stream].all; !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("channel %s: %d tags, want %d at their times: %v, %v", c.Name, len(got), len(want), got, want)
		}
	}
}

// TestTICCEveryLineArrives, of each firmware, of one that was not reset too.
func TestTICCEveryLineArrives(t *testing.T) {
	for _, more := range []string{`"firmware": "2017"`, `"firmware": "2020"`, `"firmware": "2025"`, `"jumper": true, "boot": "50 ms"`} {
		t.Run(more, func(t *testing.T) {
			t.Parallel()
			steady.Try(t, 20*ms, func(t *steady.T) { everyLine(t, more) })
		})
	}
}

// everyLine records twice with a simulator that is at work already.
func everyLine(t *steady.T, more string) {
	d := openModel(t, modelTICC, slow(3, more), nil)
	for range 2 {
		a := sdk.Acquisition{Channels: channelsOf(1_700_000, 1, 2), Duration: 900 * ms}
		out, err := record(t, t.Context(), d, a)
		if err != nil {
			t.Fatal(err)
		}
		wantStamps(t, d, a, out, 900_000_000_000)
		for _, l := range out.lanes {
			if l.lost > 0 || l.until != 900_000_000_000 {
				t.Errorf("%d lost %v, to %d ps", l.lost, l.reasons, l.until)
			}
		}
	}
	about, err := d.Describe(t.Context())
	if err != nil || !about.Simulated || about.ResolutionPs != 10 && !strings.Contains(more, "2017") {
		t.Errorf("%+v, %v", about, err)
	}
}

func TestTICCStops(t *testing.T) {
	t.Parallel()
	d := openModel(t, modelTICC, slow(4, `"boot": "100 ms"`), nil)
	a := sdk.Acquisition{Channels: channelsOf(1_700_000, 2)}
	out, err := recordFor(t, 300*ms, d, a)
	if err != nil {
		t.Fatal(err)
	}
	if r := d.Report().(*ticcReport); !r.Stopped || out.lanes[0].tags == 0 || out.lanes[0].until < out.lanes[0].last {
		t.Errorf("%+v, %+v", r, out.lanes[0])
	}
}

// TestTICCFails: each fault has its code, what came is kept, and a loss is said.
func TestTICCFails(t *testing.T) {
	t.Parallel()
	a := sdk.Acquisition{Channels: channelsOf(1_700_000, 1), Duration: 20 * time.Second}
	for fault, code := range map[string]string{"reference-lost": "no-reference", "unplugged": "device-gone"} {
		steady.Try(t, 20*ms, func(t *steady.T) { // it records before it fails
			d := openModel(t, modelTICC, slow(4, `"boot": "100 ms"`, fmt.Sprintf("%s=%d s", fault, t.Slower)), nil)
			out, err := record(t, t.Context(), d, a)
			wantCode(t, err, code)
			if got := out.lanes[0]; got.tags == 0 || got.lost == 0 {
				t.Errorf("%s: %d tags, %d lost", fault, got.tags, got.lost)
			}
		})
	}
	for _, year := range []string{"2017", "2020"} { // their menu is left alone
		d := openModel(t, modelTICC, slow(1, `"boot": "100 ms", "firmware": "`+year+`"`, "wrong-mode"), nil)
		wantCode(t, d.Arm(t.Context(), a), "wrong-mode")
	}
}

// TestTICCIsSetUp: one of 2025 that measures something else, or is in its menu,
// is made to write time stamps; one that restarts when it is asked is waited for.
// Each has been at work for a while when it is opened, and is not reset by that.
func TestTICCIsSetUp(t *testing.T) {
	for _, c := range []struct{ firmware, faults, code string }{
		{"2025", "in-menu", ""},
		{"2025", "wrong-mode", ""},
		{"2025", "in-menu,wrong-mode", ""},
		{"2025", "reference-lost=100 ms", ""},
		{"2025", "", ""},
		{"2020", "reference-lost=100 ms", ""},
		{"2020", "wrong-mode", "wrong-mode"},
		{"2020", "in-menu", "device-timeout"},
	} {
		t.Run(c.firmware+" "+c.faults, func(t *testing.T) {
			t.Parallel()
			steady.Try(t, 20*ms, func(t *steady.T) { // what comes late from this PC has come late from the device
				setUp(t, t.Slower, c.firmware, c.faults, c.code)
			})
		})
	}
}

// setUp opens a TICC that has been at work for a while, arms it, and records with it where
// no code says how that fails. Everything takes so many times as long as the first time.
func setUp(t testing.TB, slower int, firmware, faults, code string) {
	t.Helper()
	line := pty.Config{Light: sky.Settings{Seed: 5, Pairs: sdk.Pairs{Rate: 40 * quantity.Hertz}}}
	if faults != "" {
		line.Controller.Faults = strings.Split(faults, ",")
	}
	times := time.Duration(slower)
	d, err := ticc.New(ticc.Config{Config: line, Firmware: firmware, Boot: times * 100 * ms, Jumper: true})
	if err != nil {
		t.Fatal(err)
	}
	sim := startSimulator(d.Path(), d.Truth, d.Run)
	defer sim.stop()
	time.Sleep(times * 500 * ms)
	o := defaults()
	o.Model, o.Port, o.Timeout = modelTICC, d.Path(), 500*quantity.Millisecond*quantity.Time(slower)
	a := sdk.Acquisition{Channels: channelsOf(1_700_000, 1, 2), Duration: 900 * ms}
	opened, err := open(t.Context(), environment(t, sdk.Simulation{}), o)
	if err == nil {
		defer opened.Close()
		err = opened.Arm(t.Context(), a)
	}
	if code != "" {
		wantCode(t, err, code)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	driver := opened.(*ticcDriver)
	driver.sim = &simulator{stamps: d.Stamps, truth: sim.truth}
	out, err := record(t, t.Context(), driver, a)
	if err != nil {
		t.Fatal(err)
	}
	wantStamps(t, driver, a, out, 900_000_000_000)
	if r := driver.Report().(*ticcReport); r.Damaged > 0 || out.lanes[0].until != 900_000_000_000 {
		t.Errorf("%+v", r)
	}
}

// TestTICCLosesReferenceEarly: what it said before the acquisition counts.
func TestTICCLosesReferenceEarly(t *testing.T) {
	t.Parallel()
	steady.Try(t, 20*ms, func(t *steady.T) { // it is open before it has booted
		d := openModel(t, modelTICC, slow(4, fmt.Sprintf(`"boot": "%d ms"`, 100*t.Slower), "reference-lost=1 ns"), nil)
		time.Sleep(time.Duration(t.Slower) * 100 * ms)
		wantCode(t, d.Arm(t.Context(), sdk.Acquisition{Channels: channelsOf(1_700_000, 1), Duration: ms}), "no-reference")
	})
}

// TestTICCTruncatedLine: a line that was cut is counted and is no time stamp.
func TestTICCTruncatedLine(t *testing.T) {
	t.Parallel()
	for line := 30; ; line *= 2 {
		d := openModel(t, modelTICC, slow(4, `"boot": "100 ms"`, fmt.Sprintf("truncated-line=%d", line)), nil)
		a := sdk.Acquisition{Channels: channelsOf(1_700_000, 1, 2), Duration: time.Duration(line) * 30 * ms}
		out, err := record(t, t.Context(), d, a)
		if err != nil {
			t.Fatal(err)
		}
		wantStamps(t, d, a, out, uint64(a.Duration.Nanoseconds())*1000)
		r := d.Report().(*ticcReport)
		if r.Damaged == 0 && line < 1000 && before(d.(*ticcDriver), r.OriginPs) >= line-3 { // a PC that was held up began behind it
			t.Logf("line %d was before the acquisition", line)
			continue
		}
		if r.Damaged != 1 || out.lanes[0].lost != 1 || out.lanes[1].lost != 1 {
			t.Errorf("%+v, %+v", r, out.lanes[0])
		}
		return
	}
}

// before is how many lines of whole time stamps a simulated TICC wrote before a time, in ps.
func before(d *ticcDriver, at uint64) (lines int) {
	for input := 1; input <= ticcInputs; input++ {
		for _, stamp := range d.sim.stamps(input) {
			if uint64(stamp) < at {
				lines++
			}
		}
	}
	return lines
}

func TestTICCLines(t *testing.T) {
	text := ticcText{Names: "AB"}
	for _, line := range []string{"# ", "# TAPR TICC Timestamping Counter", "# Software Version: 20250916.1 (BETA)", "# Channel Names: C/D", "# Trigger Edge: R (ch0), R (ch1)", "# .......", "# Timestamp Wrap: 2"} {
		if text.comment(line) {
			t.Errorf("%q is no header", line)
		}
	}
	if !text.comment("# timestamp (seconds with 11 decimal places)") || text.Names != "CD" || text.Decimals != 11 || text.Wrap != 2 || !text.timestamps() {
		t.Errorf("%+v", text)
	}
	for line, want := range map[string]uint64{"07.00000000001 chC": 7_000_000_000_010, "99.99999999999 chD": 99_999_999_999_990, "00.00000000000 chD": 0} {
		if got, _, ok := text.stamp(line); !ok || got != want {
			t.Errorf("%q: %d, %v", line, got, ok)
		}
	}
	for _, line := range []string{"7.00000000001 chC", "07.0000000001 chC", "07.00000000001 chA", "07.00000000001", "07.0000007.00000000001 chC", "-7.00000000001 chC", "", "07.00000000001 chC x"} {
		if got, _, ok := text.stamp(line); ok {
			t.Errorf("%q: %d, want none", line, got)
		}
	}
	for header, fits := range map[string]bool{"# timestamp (seconds)": true, "# timestamp chA, chB; interval chA->B (seconds with 11 decimal places)": false,
		"# period (seconds with 12 decimal places)": false, "# null output mode - no data": false, "# time1 time2 clock1 cal1 cal2 PICstop tof timestamp": false} {
		text := ticcText{Names: "AB"}
		if !text.comment(header) || text.timestamps() != fits {
			t.Errorf("%q: %+v", header, text)
		}
	}
}

// TestTICCLineNotRead: a hole in the time behind a line that was full is a loss on each channel;
// one without, or far behind, or of few lines is none. Lines that nobody took are counted.
func TestTICCLineNotRead(t *testing.T) {
	const step = 5_000_000_000 // ps
	channels := channelsOf(1_700_000_000, 1, 2)
	for name, c := range map[string]struct {
		lines, full, hole int // how many, behind which the line was full and the time has a hole
		missed, want      uint64
	}{
		"behind a full line":      {400, 200, 250, 0, 1},
		"directly behind it":      {400, 200, 201, 0, 1},
		"before it":               {400, 200, 150, 0, 0},
		"in the line that is due": {400, 200, 200, 0, 0},
		"of a line that was read": {400, 1000, 250, 0, 0},
		"among few":               {200, 50, 100, 0, 0},
		"none":                    {400, 200, 1000, 0, 0},
		"that nobody took":        {400, 1000, 1000, 7, 7},
	} {
		t.Run(name, func(t *testing.T) {
			out := newSink(channels)
			s := &ticcStream{text: ticcText{Names: "AB", Decimals: 11}, outlet: newOutlet(out, sdk.Acquisition{Channels: channels}), known: true}
			ps := uint64(0)
			for k := range c.lines {
				if ps += step; k == c.hole {
					ps += 300 * step
				}
				l := ticcLine{text: fmt.Sprintf("%d.%011d ch%c", ps/1e12, ps%1e12/10, "AB"[k%2]), filled: k == c.full}
				if k == 100 {
					l.missed = c.missed
				}
				if err := s.take(l); err != nil {
					t.Fatal(err)
				}
			}
			if s.damaged > 0 || s.count != uint64(c.lines) || s.missed != c.missed || s.holes+s.missed != c.want {
				t.Fatalf("%d lines, %d damaged, %d missed, %d holes", s.count, s.damaged, s.missed, s.holes)
			}
			for _, l := range s.outlet.lanes {
				if l.Lost != c.want || l.Tags != uint64(c.lines/2) {
					t.Errorf("input %d: %d tags, %d lost", l.channel.Input, l.Tags, l.Lost)
				}
			}
		})
	}
}

// TestTICCWrap: times that begin again come out as they were.
func TestTICCWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := ticcText{Names: "AB", Decimals: 12, Wrap: rapid.IntRange(1, 6).Draw(t, "wrap")}
		period := uint64(psPerSecond)
		for range text.Wrap {
			period *= 10
		}
		at := rapid.Uint64Range(0, min(10*period, 1<<62)).Draw(t, "at")
		before := uint64(max(0, int64(at)-rapid.Int64Range(-int64(period/2-1), int64(period/2-1)).Draw(t, "since")))
		if got := text.unwrapped(at%period, before); got != at && before >= at%period {
			t.Fatalf("%d behind %d is %d", at, before, got)
		}
	})
}

func FuzzTICC(f *testing.F) {
	f.Add("# timestamp (seconds with 11 decimal places)\n1.00000000001 chA\n")
	f.Add("# Timestamp Wrap: 10\n0000000001.000000000001 chB\n# Channel Names: /\n")
	f.Fuzz(func(t *testing.T, lines string) {
		text, last := ticcText{Names: "AB"}, uint64(0)
		for line := range strings.Lines(lines) {
			line = strings.TrimSpace(line)
			text.comment(line)
			if ps, input, ok := text.stamp(line); ok {
				last = text.unwrapped(ps, last)
				if input < 1 || input > ticcInputs || ps > (ticcMostSeconds+1)*psPerSecond {
					t.Fatalf("%q: %d on input %d", line, ps, input)
				}
			}
		}
	})
}
