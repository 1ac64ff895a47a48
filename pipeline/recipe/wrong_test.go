package recipe

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

var update = flag.Bool("update", false, "rewrite golden files and generated files")

// golden compares a text with a file, or rewrites the file with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what is made now; if the change is meant, run the test with -update\n%s", path, diff)
	}
}

// testCatalog offers a driver and a sink by their real schemas.
type testCatalog struct{ plugins map[string]sdk.Plugin }

type driverConfig struct {
	Address string        `json:"address" jsonschema:"required,description=where the device is: an address or sim"`
	Timeout quantity.Time `json:"timeout" jsonschema:"description=how long to wait for a reply"`
	Mode    string        `json:"mode" jsonschema:"enum=fast,enum=safe"`
	Inputs  int           `json:"inputs" jsonschema:"description=number of inputs,minimum=1"`
}

// playedConfig is what a recipe may say of the controllers that tc-test simulates.
type playedConfig struct {
	Offset     quantity.Time      `json:"clock_offset"`
	Drift      quantity.Drift     `json:"drift"`
	White      quantity.Drift     `json:"white_fm"`
	Walk       quantity.Drift     `json:"random_walk_fm"`
	Delay      quantity.Time      `json:"start_delay"`
	Efficiency quantity.Share     `json:"efficiency"`
	Dark       quantity.Frequency `json:"dark"`
	DeadTime   quantity.Time      `json:"dead_time"`
	Line       string             `json:"start_line" jsonschema:"title=START line" jsonschema_extras:"shared=true"`
	Replay     *played            `json:"replay"`
	Faults     []string           `json:"faults"`
}

type played struct {
	File     string      `json:"file" jsonschema:"required,title=recording,format=file"`
	Format   string      `json:"format"`
	Channels map[int]int `json:"channels"`
}

// Check knows two faults, and asks for a START line where a pulse starts.
func (c playedConfig) Check(a sdk.Acquisition) (found []*sdk.Failure) {
	if c.White < 0 {
		found = append(found, &sdk.Failure{Field: "white_fm", Message: c.White.String() + " is out of range", Hint: "write 0 ppb or more"})
	}
	for i, fault := range c.Faults {
		if fault == "silent" || fault == "slow-reply=50 ms" {
			continue
		}
		found = append(found, &sdk.Failure{Field: fmt.Sprintf("faults.%d", i), Message: fmt.Sprintf("simulate fault %q: unknown", fault), Hint: "leave it out"})
	}
	if a.Method == sdk.Hardware && c.Line == "" {
		found = append(found, &sdk.Failure{Message: `missing key "start_line": trigger.method: hardware starts simulated controllers by a START line`,
			Hint: "add start_line: 127.0.0.1:7001, the same at each node"})
	}
	return found
}

type sinkConfig struct {
	Format string        `json:"format" jsonschema:"enum=bin,enum=txt,enum=csv"`
	Rotate quantity.Time `json:"rotate"`
}

func newTestCatalog() testCatalog {
	driver := sdk.NewDriver[driverConfig]("tc-test", driverConfig{Timeout: quantity.Second, Mode: "fast", Inputs: 4}, nil,
		sdk.Simulates(playedConfig{}, sdk.When{"address": "sim"}))
	bare := sdk.NewDriver[struct{}]("tc-bare", struct{}{}, nil, sdk.NoThresholds())
	sink := sdk.NewSink[sinkConfig]("sink-test", sinkConfig{Format: "bin"}, nil)
	return testCatalog{map[string]sdk.Plugin{
		"tc-test":     {Name: "tc-test", Drivers: []sdk.DriverType{driver}},
		"tc-bare":     {Name: "tc-bare", Drivers: []sdk.DriverType{bare}},
		"sink-found":  {Name: "sink-found", Sinks: []sdk.SinkType{sdk.TakingResults(sdk.NewSink[sinkConfig]("sink-found", sinkConfig{Format: "bin"}, nil), sinkConfig{Format: "bin"}, nil)}},
		"sink-merged": {Name: "sink-merged", Sinks: []sdk.SinkType{sdk.TakingMerged(sdk.NewSink[sinkConfig]("sink-merged", sinkConfig{Format: "bin"}, nil), sdk.MergedDefaults(), nil)}},
		"sink-test":   {Name: "sink-test", Sinks: []sdk.SinkType{sink.Keeping(sdk.AllTags)}},
		"sink-counts": {Name: "sink-counts", Sinks: []sdk.SinkType{
			sdk.NewSink[struct{}]("sink-counts", struct{}{}, nil).Keeping(sdk.NoTags)}},
	}}
}

func (c testCatalog) Plugin(name string) (Plugin, error) {
	plugin, ok := c.plugins[name]
	if !ok {
		return Plugin{}, fmt.Errorf("find plugin %s: there is none in /opt/plugins; %s", name, didOr(name, []string{"sink-test", "tc-test"}))
	}
	d, err := plugin.Describe()
	if err != nil {
		return Plugin{}, err
	}
	return Plugin{Driver: d.Driver(name), Sink: d.Sink(name), Check: func(r sdk.CheckRequest) ([]sdk.CheckMistake, error) {
		return checkPlayed(r)
	}}, nil
}

// checkPlayed answers as `tc-test --check` would.
func checkPlayed(r sdk.CheckRequest) (mistakes []sdk.CheckMistake, err error) {
	var c playedConfig
	if len(r.Simulation) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(r.Simulation, &c); err != nil {
		return nil, err
	}
	method := sdk.Scheduled
	if r.Hardware {
		method = sdk.Hardware
	}
	for _, f := range c.Check(sdk.Acquisition{Method: method}) {
		mistakes = append(mistakes, sdk.CheckMistake{Field: strings.TrimSuffix("simulate."+f.Field, "."), Message: f.Message, Hint: f.Hint})
	}
	return mistakes, nil
}

// noEnv is an environment without variables.
func noEnv(string) (string, bool) { return "", false }

// Each wrong recipe has exactly the mistakes of its golden file. Lines that
// begin with "#set " are overrides.
func TestWrongRecipes(t *testing.T) {
	paths, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil || len(paths) < 30 {
		t.Fatalf("found %d wrong recipes, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var sets []string
			for line := range strings.Lines(string(text)) {
				if set, ok := strings.CutPrefix(line, "#set "); ok {
					sets = append(sets, strings.TrimSpace(set))
				}
			}
			_, err = Load(path, Options{Stages: kindsOfStages, Set: sets, Env: noEnv, Catalog: newTestCatalog()})
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("error %v; want problems", err)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 || p.Code == "" || p.Message == "" {
					t.Errorf("a problem without place, code or message: %+v", p)
				}
				if p.Hint == "" {
					t.Errorf("no suggestion: %v", p)
				}
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", problems.Error()+"\n")
		})
	}
}
