package recipe

import (
	"errors"
	"strings"
	"testing"

	"tsrun/sdk"
)

// some is a recipe with two nodes, of which the first is remote.
const some = `version: 1
name: some
nodes:
  alice:
    host: remote
    controllers: {tc: {driver: tc-test, config: {address: 192.0.2.1}}}
    channels: {a: {on: tc/1, threshold: 120 mV}}
  bob:
    controllers: {tc: {driver: tc-test, config: {address: 192.0.2.2}}}
    channels: {b: {on: tc/1, threshold: 120 mV}}
network: {master: 192.0.2.9}
trigger: {master: bob}
acquire: {duration: 5 s}
sinks: {raw: {sink: sink-test}}
`

// mistakes returns what is wrong with a recipe, a line each, and the recipe.
func mistakes(t *testing.T, catalog Catalog, text string, sets ...string) (string, *Recipe) {
	t.Helper()
	r, err := Parse("testdata/some.yaml", []byte(text), Options{Stages: kindsOfStages, Set: sets, Env: noEnv, Catalog: catalog})
	var problems Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Path+": "+p.Message+"; "+p.Hint)
	}
	if r == nil {
		return strings.Join(lines, "\n"), nil
	}
	return strings.Join(lines, "\n"), r.Recipe
}

func TestPluginSaysWhatIsSimulated(t *testing.T) {
	const simulateAlice, simulateBob = "nodes.alice.controllers.tc.config.address=sim", "nodes.bob.controllers.tc.config.address=sim"
	for name, c := range map[string]struct {
		catalog Catalog
		sets    []string
		want    string // the mistakes
		nodes   int    // with a simulation; -1: there is none at all
	}{
		"none":                     {newTestCatalog(), nil, "", -1},
		"one":                      {newTestCatalog(), []string{simulateBob}, "", 1},
		"both":                     {newTestCatalog(), []string{simulateBob, simulateAlice}, "", 2},
		"another key of that name": {newTestCatalog(), []string{"nodes.bob.controllers.tc.config.mode=sim"}, "nodes.bob.controllers.tc.config.mode: \"sim\" is not fast or safe; ", -1},
		"settings of none":         {newTestCatalog(), []string{"simulate.bob.dark=1 kHz"}, "simulate.bob: node bob has no simulated controller; write address: sim in the config of one, or remove this section", 0},
		"of a driver that simulates none": {newTestCatalog(), []string{"simulate.bob.dark=1 kHz", "nodes.bob.controllers.tc={driver: tc-bare}", "nodes.bob.channels.b={on: tc/1}"},
			"simulate.bob: node bob has no simulated controller; remove this section: its plugins simulate none", 0},
		"an unknown key":       {newTestCatalog(), []string{simulateBob, "simulate.bob.drak=1 kHz"}, "simulate.bob.drak: unknown key \"drak\"; did you mean \"dark\"?", 0},
		"a quantity":           {newTestCatalog(), []string{simulateBob, "simulate.bob.dark=1 kHzz"}, "simulate.bob.dark: ", 0},
		"no section":           {newTestCatalog(), []string{simulateBob, "simulate.bob=1 kHz"}, "simulate.bob: a section of keys is due here, not a single value", 0},
		"what its plugin says": {newTestCatalog(), []string{simulateBob, "simulate.bob.white_fm=-1 ppb"}, "simulate.bob.white_fm: -1 ppb is out of range; write 0 ppb or more", 0},
		"no such file":         {newTestCatalog(), []string{simulateBob, "simulate.bob.replay={file: none, channels: {1: 1}}"}, "simulate.bob.replay.file: no recording at none; the name is relative", 0},
		"a file of another PC": {newTestCatalog(), []string{simulateAlice, "simulate.alice.replay={file: none, channels: {1: 1}}"}, "", 1},
		"lines that differ": {newTestCatalog(), []string{simulateBob, simulateAlice, "trigger.method=hardware", "simulate.alice.start_line=x:1", "simulate.bob.start_line=x:2"},
			"simulate.bob.start_line: node alice is on another START line, x:1; write the same for both", 0},
		"one line":             {newTestCatalog(), []string{simulateBob, simulateAlice, "trigger.method=hardware", "simulate.alice.start_line=x:1", "simulate.bob.start_line=x:1"}, "", 2},
		"a config with a hole": {newTestCatalog(), []string{"nodes.bob.controllers.tc.config.inputs=null", "simulate.bob.dark=1 kHz", simulateBob}, "nodes.bob.controllers.tc.config.inputs: has no value; ", 0},
		"plugin on another PC": {catalogWithout{newTestCatalog(), "tc-test"}, []string{"nodes.bob=null", "trigger.master=alice", "simulate.alice={any: 1}"}, "", 1},
		"no catalog":           {nil, []string{"simulate.bob={any: 1}"}, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, r := mistakes(t, c.catalog, some, c.sets...)
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if r == nil {
				return
			}
			if n := len(nodesOf(r)); n != max(c.nodes, 0) || (r.Simulate == nil) != (c.nodes < 0) {
				t.Errorf("%d nodes have a simulation, want %d", n, c.nodes)
			}
		})
	}
}

func nodesOf(r *Recipe) (names []string) {
	if r.Simulate != nil {
		for name := range r.Simulate.Nodes {
			names = append(names, name)
		}
	}
	return names
}

// catalogWithout does not have one plugin.
type catalogWithout struct {
	testCatalog
	name string
}

func (c catalogWithout) Plugin(name string) (Plugin, error) {
	if name == c.name {
		return Plugin{}, errors.New("find plugin " + name + ": there is none; build it")
	}
	return c.testCatalog.Plugin(name)
}

// undescribed knows of no plugin more than that it is there.
type undescribed struct{}

func (undescribed) Plugin(string) (Plugin, error) { return Plugin{Undescribed: true}, nil }

// TestTwoDriversOfANode: each sees the section of the node, and a mistake is
// said once.
func TestTwoDriversOfANode(t *testing.T) {
	const two = "nodes.bob.controllers={tc: {driver: tc-test, config: {address: sim}}, other: {driver: tc-test, config: {address: sim}}}"
	const channels = "nodes.bob.channels={b: {on: tc/1, threshold: 1 V}, c: {on: other/1, threshold: 1 V}}"
	if got, _ := mistakes(t, newTestCatalog(), some, two, channels, "simulate.bob={white_fm: -1 ppb, faults: [x]}"); strings.Count(got, "white_fm: ") != 1 || strings.Count(got, "\n") != 1 {
		t.Errorf("found %q", got)
	}
	if got, _ := mistakes(t, newTestCatalog(), some, two, channels, "simulate.bob={drak: 1 kHz}"); strings.Contains(got, "\n") || got == "" {
		t.Errorf("found %q", got)
	}
}

func TestThresholdWhereTheDeviceHasSome(t *testing.T) {
	const bare = "nodes.bob.controllers.tc={driver: tc-bare}"
	for name, c := range map[string]struct {
		catalog Catalog
		sets    []string
		want    string
	}{
		"needed":                        {newTestCatalog(), []string{"nodes.bob.channels.b={on: tc/1}"}, `nodes.bob.channels.b.threshold: missing key "threshold"; voltage at which a pulse counts; like threshold: `},
		"needed as far as is known":     {nil, []string{"nodes.bob.channels.b={on: tc/1}"}, `nodes.bob.channels.b.threshold: missing key "threshold"`},
		"misspelt":                      {newTestCatalog(), []string{"nodes.bob.channels.b={on: tc/1, treshold: 1 V}"}, `nodes.bob.channels.b.treshold: unknown key`},
		"none":                          {newTestCatalog(), []string{bare, "nodes.bob.channels.b={on: tc/1}"}, ""},
		"one where there is none":       {newTestCatalog(), []string{bare}, "nodes.bob.channels.b.threshold: the inputs of controller tc have no thresholds; remove it"},
		"none, of another PC":           {catalogWithout{newTestCatalog(), "tc-test"}, []string{"nodes.bob=null", "trigger.master=alice", "nodes.alice.channels.a={on: tc/1}"}, ""},
		"one, of another PC":            {catalogWithout{newTestCatalog(), "tc-test"}, []string{"nodes.bob=null", "trigger.master=alice"}, ""},
		"none, of a plugin undescribed": {undescribed{}, []string{"nodes.bob.channels.b={on: tc/1}"}, ""},
		"of no controller":              {newTestCatalog(), []string{"nodes.bob.channels.c={on: xy/1, threshold: 1 V}"}, "nodes.bob.channels.c.on: node bob has no controller"},
	} {
		got, r := mistakes(t, c.catalog, some, c.sets...)
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
		if r != nil && name == "none" && (r.Nodes[1].Channels[0].Threshold != nil || r.Nodes[1].Channels[0].Microvolts() != 0) {
			t.Errorf("%s: %v", name, r.Nodes[1].Channels[0])
		}
		if r != nil {
			if err := r.ForNode(r.Trigger.Master).CheckPart(r.Trigger.Master); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestHostileDescriptions: whatever stands in a plugin's description, a recipe is
// checked to the end.
func TestHostileDescriptions(t *testing.T) {
	for _, schema := range []string{``, `[`, `7`, `null`, `{"properties": 5}`, `{"properties": {"dark": []}}`, `{"$ref": "http://192.0.2.7/x"}`,
		`{"properties": {"dark": {"format": "file", "title": 5, "shared": "yes"}}}`, strings.Repeat(`{"properties":{"dark":`, 2000)} {
		catalog := newTestCatalog()
		hostile := hostileCatalog{catalog, &sdk.Offer{Name: "tc-test", Schema: []byte(`{}`), Simulation: &sdk.Simulator{Schema: []byte(schema), When: sdk.When{"address": "sim"}}}}
		if got, r := mistakes(t, hostile, some, "nodes.bob.controllers.tc.config.address=sim", "simulate.bob={dark: x}"); got == "" && r == nil {
			t.Errorf("%.50s: neither a recipe nor a mistake", schema)
		}
	}
}

type hostileCatalog struct {
	testCatalog
	offer *sdk.Offer
}

func (c hostileCatalog) Plugin(name string) (Plugin, error) {
	if name == "tc-test" {
		return Plugin{Driver: c.offer}, nil
	}
	return c.testCatalog.Plugin(name)
}
