package recipe

import (
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

type sinkConfig struct {
	Format string        `json:"format" jsonschema:"enum=bin,enum=txt,enum=csv"`
	Rotate quantity.Time `json:"rotate"`
}

func newTestCatalog() testCatalog {
	driver := sdk.NewDriver[driverConfig]("tc-test", driverConfig{Timeout: quantity.Second, Mode: "fast", Inputs: 4}, nil)
	sink := sdk.NewSink[sinkConfig]("sink-test", sinkConfig{Format: "bin"}, nil)
	return testCatalog{map[string]sdk.Plugin{
		"tc-test":   {Name: "tc-test", Drivers: []sdk.DriverType{driver}},
		"sink-test": {Name: "sink-test", Sinks: []sdk.SinkType{sink.Keeping(sdk.AllTags)}},
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
	var out Plugin
	if len(d.Drivers) > 0 {
		out.Driver = d.Drivers[0].Schema
	}
	if len(d.Sinks) > 0 {
		out.Sink, out.Keeps = d.Sinks[0].Schema, d.Sinks[0].Keeps
	}
	return out, nil
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
			_, err = Load(path, Options{Set: sets, Env: noEnv, Catalog: newTestCatalog()})
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
