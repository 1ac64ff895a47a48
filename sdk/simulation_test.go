package sdk

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"tsrun/sdk/quantity"
)

type playedConfig struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
}

type played struct {
	Dark quantity.Frequency `json:"dark"`
}

// Check finds darkness in a simulation.
func (p played) Check(a Acquisition) []*Failure {
	if p.Dark == 0 {
		return []*Failure{{Field: "dark", Message: "none in " + a.Duration.String()}, {Message: "dark"}}
	}
	return nil
}

func playing(when When) Plugin {
	return Plugin{Name: "tc-played", Version: "1", Drivers: []DriverType{
		NewDriver[playedConfig]("tc-played", playedConfig{Address: "sim", Port: 5}, nil, Simulates(played{}, when), NoThresholds())}}
}

// TestOnlyThePluginKnowsWhatIsSimulated: by the values of its configuration,
// written or not.
func TestOnlyThePluginKnowsWhatIsSimulated(t *testing.T) {
	for _, c := range []struct {
		when   When
		config string
		want   bool
	}{
		{nil, ``, true},
		{nil, `{"address": "192.0.2.1"}`, true},
		{When{"address": "sim"}, ``, true}, // the default
		{When{"address": "sim"}, `{}`, true},
		{When{"address": "sim"}, `{"address": "sim"}`, true},
		{When{"address": "sim"}, `{"address":"simulated"}`, false},
		{When{"address": "sim"}, `{"address": null}`, false},
		{When{"address": "sim"}, `{"address": ["sim"]}`, false},
		{When{"address": "sim"}, `"sim"`, false},
		{When{"address": "sim"}, `{"address": "sim"`, false},
		{When{"address": "sim", "port": 5}, `{"address": "sim"}`, true},
		{When{"address": "sim", "port": 5}, `{"port": 6}`, false},
		{When{"no such key": 1}, ``, false},
	} {
		d, err := playing(c.when).Describe()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(d) // as it is beside the binary
		if err != nil {
			t.Fatal(err)
		}
		var read Description
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		for _, d := range []Description{d, read} {
			if got := d.Driver("tc-played").Simulated(json.RawMessage(c.config)); got != c.want {
				t.Errorf("%s where it is simulated when %v: %v, want %v", c.config, c.when, got, c.want)
			}
			if !d.Drivers[0].NoThresholds || !d.Drivers[0].Checks {
				t.Errorf("described as %+v", d.Drivers[0])
			}
		}
	}
	var none *Offer
	if none.Simulated(nil) || (&Offer{}).Simulated(json.RawMessage(`{}`)) {
		t.Error("a driver that plays no device simulates one")
	}
}

// TestSimulationIsCheckedByThePlugin: its mistakes have the names of a recipe.
func TestSimulationIsCheckedByThePlugin(t *testing.T) {
	for request, want := range map[string]string{
		`{"driver": "tc-played", "config": {}, "duration_ns": 1000000000}`:                                `[]`,
		`{"driver": "tc-played", "config": {}, "simulation": {"dark": "1 Hz"}}`:                           `[]`,
		`{"driver": "tc-played", "config": {}, "simulation": {}, "duration_ns": 1000000000}`:              `[{"field":"simulate.dark","message":"none in 1s"},{"field":"simulate","message":"dark"}]`,
		`{"driver": "tc-played", "config": {}, "simulation": {"bright": 1}, "duration_ns": 1000000000}`:   `unknown field "bright"`,
		`{"driver": "tc-played", "config": {}, "simulation": [1], "duration_ns": 1000000000}`:             `cannot unmarshal`,
		`{"driver": "tc-other", "config": {}, "simulation": {"dark": "1 Hz"}, "duration_ns": 1000000000}`: `has a check`,
	} {
		a, err := playing(nil).check(strings.NewReader(request))
		got, _ := json.Marshal(a.Mistakes)
		if err != nil {
			got = []byte(err.Error())
		}
		if !strings.Contains(string(got), want) {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
}

func TestEnvTellsOfTheSimulation(t *testing.T) {
	sent := Simulation{Light: DefaultLight(), Controller: json.RawMessage(`{"dark": "2 kHz"}`)}
	text, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	var got played
	light, err := Env{Simulation: text}.Simulated(&got)
	if err != nil || light != sent.Light || got.Dark != 2*quantity.Kilohertz {
		t.Errorf("%+v, %+v, %v", light, got, err)
	}
	if light, err := (Env{}).Simulated(&got); err != nil || light != (Light{}) {
		t.Errorf("without a simulation: %+v, %v", light, err)
	}
	if text, err = json.Marshal(Simulation{Light: DefaultLight()}); err != nil {
		t.Fatal(err)
	}
	if light, err := (Env{Simulation: text}).Simulated(&got); err != nil || light != DefaultLight() {
		t.Errorf("without settings: %+v, %v", light, err)
	}
	for _, bad := range []string{`{"sede": 7}`, `{"controller": {"light": 1}}`, `{"controller": 7}`, `[`, `{} {}`} {
		var f *Failure
		if _, err := (Env{Simulation: json.RawMessage(bad)}).Simulated(&got); !errors.As(err, &f) || f.Field != "simulate" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, l := range []Light{{Pairs: Pairs{Rate: -1}}, {Pairs: Pairs{Rate: MaxPairRate + 1}}, {Pairs: Pairs{Jitter: -1}}, {Pairs: Pairs{Jitter: MaxJitter + 1}}} {
		if l.Check() == nil {
			t.Errorf("%+v can be simulated", l)
		}
	}
	if err := (Light{Pairs: Pairs{Rate: MaxPairRate, Jitter: MaxJitter}}).Check(); err != nil {
		t.Error(err)
	}
}
