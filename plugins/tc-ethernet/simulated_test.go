package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"tsrun/sdk"
)

// TestSimulationIsChecked: what a recipe says of a simulated controller is found
// wrong before anything starts, key by key.
func TestSimulationIsChecked(t *testing.T) {
	for text, want := range map[string][]string{
		`{}`: nil,
		`{"clock_offset": "-1 h", "drift": "1000 ppm", "white_fm": "1 ppm", "random_walk_fm": "100 ppb", "start_delay": "10 s", "efficiency": "100 %", "dark": "100 MHz", "dead_time": "1 ms", "faults": ["silent", "clock-step=5 ns@30 s"]}`: nil,
		`{"white_fm": "-0.1 ppb", "random_walk_fm": "1 ppm", "faults": ["silent", "clock-step=5 ns"]}`: {
			"white_fm: -100 ppt is out of range; write 0 ppb to 1 ppm",
			"random_walk_fm: 1 ppm is out of range; write 0 ppb to 100 ppb",
			`faults.1: simulate fault "clock-step=5 ns": read BY@AT: "5 ns" has no @: write it like 5 ns@30 s; leave it out to simulate a controller that behaves`},
		`{"clock_offset": "2 h", "start_delay": "-1 ps", "dead_time": "1 s"}`: {"clock_offset: 2 h is", "start_delay: -1 ps is", "dead_time: 1 s is"},
		`{"replay": {"file": "x", "channels": {"1": 65536, "2": 65535}}}`:     {"replay.channels.1: 65536 is out of range; write 0 to 65535"},
		`{"start_line": "127.0.0.1:7001"}`:                                    {"start_line: nothing uses a START line with trigger.method: scheduled; write method: hardware, or remove it"},
		`{"start_line": "7001"}`:                                              {`start_line: "7001" is not host:port; write it like 127.0.0.1:7001`},
		`{"start_line": "a b:7001"}`:                                          {"start_line: "},
		`{"start_line": "localhost:70000"}`:                                   {"start_line: "},
	} {
		var s simulation
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		checkMistakes(t, text, s.Check(sdk.Acquisition{}), want)
	}
	var none simulation
	checkMistakes(t, "hardware", none.Check(sdk.Acquisition{Method: sdk.Hardware}), []string{`: missing key "start_line"`})
	none.StartLine = "127.0.0.1:7001"
	checkMistakes(t, "hardware with a line", none.Check(sdk.Acquisition{Method: sdk.Hardware}), nil)
}

func checkMistakes(t *testing.T, what string, found []*sdk.Failure, want []string) {
	t.Helper()
	if len(found) != len(want) {
		t.Errorf("%s: found %v, want %q", what, found, want)
		return
	}
	for i, f := range found {
		if got := f.Field + ": " + f.Error(); !strings.HasPrefix(got, want[i]) || f.Hint == "" {
			t.Errorf("%s: found %q, want %q", what, got, want[i])
		}
	}
}

// TestSimulationIsDescribed: the plugin says which configurations mean a
// simulated controller, and docs/simulation.md has each key of its schema.
func TestSimulationIsDescribed(t *testing.T) {
	d, err := plugin().Describe()
	if err != nil {
		t.Fatal(err)
	}
	offer := d.Driver("tc-ethernet")
	for config, want := range map[string]bool{
		`{"address": "sim"}`: true, `{"address": "sim", "record": "single"}`: true,
		`{"address": "sim.lab"}`: false, `{"address": "192.0.2.1"}`: false, `{}`: false, ``: false,
	} {
		if got := offer.Simulated(json.RawMessage(config)); got != want {
			t.Errorf("%s means simulated: %v", config, got)
		}
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	text, err := os.ReadFile("../../docs/simulation.md")
	if err != nil || json.Unmarshal(offer.Simulation.Schema, &schema) != nil || len(schema.Properties) < 11 {
		t.Fatalf("%v, schema %s", err, offer.Simulation.Schema)
	}
	for key := range schema.Properties {
		if !strings.Contains(string(text), "| `simulate.NODE."+key+"` |") {
			t.Errorf("docs/simulation.md does not have %s", key)
		}
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "| `simulate.NODE."); ok {
			key, _, _ := strings.Cut(rest, "`")
			if top, _, _ := strings.Cut(key, "."); schema.Properties[top] == nil {
				t.Errorf("docs/simulation.md has %s, which there is not", key)
			}
		}
	}
}
