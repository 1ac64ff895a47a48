package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"tsrun/internal/replier"
	"tsrun/sdk"
	"tsrun/sdk/instrument"
)

// between opens the driver on a controller whose replies pass through change;
// handled false means that the controller itself answers.
func between(t testing.TB, behind *driver, change func(request string) (reply string, handled bool)) (*driver, error) {
	t.Helper()
	to := &instrument.Client{Name: "controller behind", Addr: behind.endpoint.scpi, Timeout: patient.Duration()}
	t.Cleanup(to.Close)
	front := replier.New(t, func(_ int, request string) [][]byte {
		var lines []string
		for _, command := range strings.Split(request, ";:") {
			reply, handled := change(command)
			if !handled {
				var err error
				if reply, err = to.Ask(context.Background(), command); err != nil {
					return nil
				}
			}
			lines = append(lines, reply)
		}
		return replier.Text(strings.Join(lines, "\n"))
	})
	c := defaults()
	c.Address, c.DLT, c.StreamPort, c.Timeout = front.Addr, behind.endpoint.dlt, 0, patient
	d, err := newDriver(t.Context(), environment(t, light(t, 33)), c)
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
				behind := openSimulated(t, light(t, 33), nil)
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
		behind := openSimulated(t, light(t, 34), nil)
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

// TestOtherNamesOfStages: firmwares call what the records do by other names, in
// other letters.
func TestOtherNamesOfStages(t *testing.T) {
	for _, names := range [][3]string{{"STOPPED", "ARMED", "PLAYING"}, {"idle", "waiting", "playing"}, {"Idle", "Ready for START", "PLAYing"}} {
		behind := openSimulated(t, light(t, 39), nil)
		d, err := between(t, behind, func(request string) (string, bool) {
			if request != "REC:STAGe?" {
				return "", false
			}
			stage, err := behind.stage(context.Background())
			return map[string]string{"IDLE": names[0], "ARMED": names[1], "WAITING": names[1], "PLAYING": names[2]}[stage], err == nil
		})
		if err != nil {
			t.Fatal(err)
		}
		a := sdk.Acquisition{Channels: twoChannels(), Duration: 250 * ms, Method: sdk.Hardware, Pulse: true}
		out := newSink(a.Channels...)
		if err := d.Arm(t.Context(), a); err != nil {
			t.Fatalf("%q: %v", names, err)
		}
		if err := d.acquire(t.Context(), sdk.NewStart(time.Time{}), out); err != nil {
			t.Fatalf("%q: %v", names, err)
		}
		truth := behind.sim.controller.Truth()
		wantTruth(t, &truth, a, out)
	}
}

// TestLinkThatCannotBeRead is refused: nobody would know what is recorded.
func TestLinkThatCannotBeRead(t *testing.T) {
	a := sdk.Acquisition{Channels: twoChannels(), Duration: time.Second}
	behind := openSimulated(t, light(t, 35), nil)
	d, err := between(t, behind, func(request string) (string, bool) {
		return "SCPI_ERR_INVALID_CMD", strings.HasPrefix(request, "RAW3:STOP:LINK?")
	})
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, d.Arm(t.Context(), a), "device-refused", "RAW3:STOP:LINK")
	// Another setting may be unreadable, but then its acknowledgement must be known.
	behind = openSimulated(t, light(t, 35), nil)
	if d, err = between(t, behind, func(request string) (string, bool) { return "Fine.", strings.HasPrefix(request, "TSCO7:OPIN ") }); err != nil {
		t.Fatal(err)
	}
	if err := d.Arm(t.Context(), a); err != nil { // it is what it should be
		t.Fatal(err)
	}
	behind = openSimulated(t, light(t, 35), nil)
	if d, err = between(t, behind, func(request string) (string, bool) {
		return map[bool]string{true: "", false: "Fine."}[strings.Contains(request, "?")], strings.HasPrefix(request, "TSCO7:OPIN")
	}); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, d.Arm(t.Context(), a), "device-refused", "Fine.")
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
