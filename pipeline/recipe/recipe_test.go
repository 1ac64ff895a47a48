package recipe

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/sdk/quantity"
)

func load(t *testing.T, path string, sets ...string) *Resolved {
	t.Helper()
	r, err := Load(path, Options{Stages: kindsOfStages, Set: sets, Env: noEnv, Catalog: newTestCatalog()})
	if err != nil {
		t.Fatalf("%s:\n%v", path, err)
	}
	return r
}

// single returns a single value of a resolved recipe.
func single(t *testing.T, r *Resolved, path string) (found *value) {
	t.Helper()
	var find func(v *value)
	find = func(v *value) {
		if v.kind == scalarNode && v.path == path {
			found = v
		}
		for _, below := range slices.Concat(v.keys, v.items) {
			find(below)
		}
	}
	if find(r.root); found == nil {
		t.Fatalf("the recipe has no %s", path)
	}
	return found
}

// The table of fields reaches every field of the types: recipes that say
// everything leave nothing empty.
func TestEveryFieldOfTheTypesHasAKey(t *testing.T) {
	empty := map[string]bool{}
	seen := map[string]bool{}
	for _, path := range []string{"testdata/right/everything.yaml", "testdata/right/hardware.yaml", "testdata/right/broadcast.yaml"} {
		r := load(t, path).Recipe
		findEmpty("", reflect.ValueOf(*r), empty, seen)
		for _, s := range r.Stages {
			findEmpty(".Stages[]."+s.Kind, reflect.ValueOf(configOfStage(t, s)), empty, seen)
		}
	}
	for path := range seen {
		if empty[path] {
			t.Errorf("nothing fills %s", path)
		}
	}
}

// configOfStage returns the config as its kind reads it.
func configOfStage(t *testing.T, s Stage) StageConfig {
	t.Helper()
	i := slices.IndexFunc(kindsOfStages, func(k StageKind) bool { return k.Kind() == s.Kind })
	config, err := kindsOfStages[i].Config(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// findEmpty notes in seen each field of the types, and in empty those that no
// element of a list or map fills.
func findEmpty(path string, v reflect.Value, empty, seen map[string]bool) {
	if !seen[path] {
		seen[path], empty[path] = true, true
	}
	if !v.IsZero() {
		empty[path] = false
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			findEmpty(path, v.Elem(), empty, seen)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			findEmpty(path+"."+v.Type().Field(i).Name, v.Field(i), empty, seen)
		}
	case reflect.Slice:
		if v.Type() != reflect.TypeFor[json.RawMessage]() {
			for i := range v.Len() {
				findEmpty(path+"[]", v.Index(i), empty, seen)
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			findEmpty(path+"{}", v.MapIndex(k), empty, seen)
		}
	}
}

// keyOfStage returns a key of a stage's config as its kind writes it.
func keyOfStage(t *testing.T, s Stage, key string) any {
	t.Helper()
	var keys map[string]any
	if err := json.Unmarshal(s.Config, &keys); err != nil {
		t.Fatal(err)
	}
	return keys[key]
}

// The values arrive as they are written, in their smallest units.
func TestValuesArrive(t *testing.T) {
	r := load(t, "testdata/right/everything.yaml").Recipe
	signal := Channel{Name: "signal", Controller: "tc", Input: 2, Threshold: new(quantity.Voltage(-120000)), Edge: "falling", Delay: -12400}
	if diff := cmp.Diff(signal, r.Nodes[1].Channels[0]); diff != "" {
		t.Errorf("alice.signal:\n%s", diff)
	}
	if got := r.Trigger.Compensation["bob"]; got != (Compensation{Auto: true, Time: -1 * quantity.Microsecond}) {
		t.Errorf("compensation of bob is %v", got)
	}
	if got := r.Simulate.Seed; got != 9223372036854775807 {
		t.Errorf("seed is %d", got)
	}
	if want := `{"clock_offset":"-400 ns","dark":"2 kHz","dead_time":"45 ns","drift":"-12.5 ppb","efficiency":"60 %","faults":["slow-reply=50 ms"],"random_walk_fm":"20 ppt","start_delay":"250 us","white_fm":"0.1 ppb"}`; string(r.Simulate.Nodes["alice"]) != want {
		t.Errorf("simulation of alice is %s", r.Simulate.Nodes["alice"])
	}
	want, err := filepath.Abs("testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(r.Simulate.Nodes["bob"]); got != fmt.Sprintf(`{"replay":{"channels":{"1":4},"file":%q,"format":"bin"}}`, want) {
		t.Errorf("replay of bob is %s", got)
	}
	window, bin := keyOfStage(t, r.Stages[1], "window"), keyOfStage(t, r.Stages[5], "bin")
	if r.Stages[1].Name != "coincidences" || window != "1 ns" || bin != "50 ps" {
		t.Errorf("stages are %+v", r.Stages)
	}
	if r.Expect[0].Channel != "alice.signal" || *r.Expect[0].RateMin != 1e6 || *r.Expect[0].RateMax != 2e9 {
		t.Errorf("expectations are %+v", r.Expect)
	}
}

func TestParentsMergeAndNullDeletes(t *testing.T) {
	r := load(t, "testdata/right/everything.yaml")
	names := []string{"testdata/right/everything.yaml", "testdata/right/lab/parent.yaml", "testdata/right/lab/grandparent.yaml"}
	for i, f := range r.Files {
		text, err := os.ReadFile(names[i])
		if err != nil || f.Name != names[i] || string(f.Bytes) != string(text) || !filepath.IsAbs(f.Path) {
			t.Errorf("file %d is %s at %s, %v; want %s", i, f.Name, f.Path, err, names[i])
		}
	}
	if r.Recipe.Name != "everything" {
		t.Errorf("name is %q, the child's is due", r.Recipe.Name)
	}
	bob := r.Recipe.Nodes[0]
	if want := []Channel{{Name: "idler", Controller: "tc", Input: 1, Threshold: new(quantity.Voltage(80000)), Edge: "falling"}}; cmp.Diff(want, bob.Channels) != "" {
		t.Errorf("channels of bob are %+v, want %+v", bob.Channels, want)
	}
	if got := string(bob.Controllers[0].Config); got != `{"address":"sim"}` {
		t.Errorf("config of bob.tc is %s: null did not delete mode", got)
	}
	for path, want := range map[string]string{
		"nodes.bob.channels.idler.threshold":      "testdata/right/lab/parent.yaml:9",
		"nodes.bob.channels.idler.edge":           "testdata/right/lab/grandparent.yaml:8",
		"nodes.bob.channels.idler.delay":          "default",
		"nodes.bob.controllers.tc.config.address": "testdata/right/lab/parent.yaml:7",
		"transfer.chunk":                          "testdata/right/everything.yaml:36",
		"pipeline.1.name":                         "default",
	} {
		if got := single(t, r, path).origin(); got != want {
			t.Errorf("%s comes from %s, want %s", path, got, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	r := load(t, "testdata/good.yaml").Recipe
	want := Network{Master: "127.0.0.1", Ports: Ports{}, Join: 60 * quantity.Second, TLS: "auto"}
	if r.Network != want || r.Trigger.Method != "scheduled" || r.Trigger.Lead != 500*quantity.Millisecond || r.Acquire.Segment != quantity.Second {
		t.Errorf("defaults are %+v, %+v, %+v", r.Network, r.Trigger, r.Acquire)
	}
	if ports := load(t, "testdata/good.yaml", "nodes.bob.host=remote", "network.master=192.168.1.10").Recipe.Network.Ports; ports != (Ports{5557, 5559, 5560, 5562}) {
		t.Errorf("the ports that another PC dials are %v", ports)
	}
	if r.Simulate != nil {
		t.Errorf("a recipe of real controllers has a simulation: %+v", r.Simulate)
	}
	sim := load(t, "testdata/good.yaml", "nodes.bob.controllers.tc.config.address=sim").Recipe.Simulate
	if sim == nil {
		t.Fatal("a simulated controller has no simulation")
	}
	if _, ok := sim.Nodes["bob"]; !ok || len(sim.Nodes) != 1 || sim.Pairs.Rate == 0 {
		t.Errorf("a simulated controller has the simulation %+v", sim)
	}
	single := load(t, "testdata/good.yaml", "nodes.bob=null", "trigger.master=null").Recipe
	if single.Trigger.Master != "alice" {
		t.Errorf("the master of a single node is %q", single.Trigger.Master)
	}
}

// TestHosts: names and addresses of a master, of one network with its interface.
func TestHosts(t *testing.T) {
	for host, right := range map[string]bool{
		"192.168.0.10": true, "alice.lab": true, "PC-7": true, "fd00::10": true, "::1": true, "::ffff:192.0.2.1": true, "2001:db8:0:1:2:3:4:5": true,
		"fe80::10%eth0": true, "fe80::10%enp3s0.7": true, "": false, "fe80::10%": false, "fe80::10%a]:1": false, "192.168.0.10%eth0": false, "alice:5559": false,
		"[fd00::10]": false, "alice lab": false, "alice_lab": false, "-alice": false, "1:2": false, "::%" + strings.Repeat("x", 16): false,
	} {
		if err := CheckHost(host); (err == nil) != right {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestMetaIsKeptAsItIs(t *testing.T) {
	r := load(t, "testdata/good.yaml", `meta={operator: A. Person, sample: {id: 17, batch: "007"}, tags: [a, b]}`).Recipe
	if want := `{"operator":"A. Person","sample":{"batch":"007","id":17},"tags":["a","b"]}`; string(r.Meta) != want {
		t.Errorf("meta is %s, want %s", r.Meta, want)
	}
	if none := load(t, "testdata/good.yaml").Recipe.Meta; none != nil {
		t.Errorf("meta of a recipe without is %s", none)
	}
}

func TestOverrides(t *testing.T) {
	const stage = `pipeline=[{stage: histogram, name: g2, config: {start: alice.signal, stop: alice.herald, range: 1 ns, bin: 10 ps}}]`
	sets := []string{
		"acquire.duration=2 s",
		"name=no", // a text, whatever YAML thinks of it
		stage,
		"pipeline.g2.config.bin=20 ps",
		"pipeline.0.config.range=2 ns",
		"expect.alice.signal.rate.min=5 kHz",
		"sinks.raw.config.rotate=10 s",
		"nodes.alice.channels.herald.delay=1 ns",
		"sinks.raw.takes=[alice.signal, alice.herald]",
		"nodes.alice.controllers.tc.config.inputs=3",
		"description=a = b",
	}
	r := load(t, "testdata/good.yaml", sets...)
	got := r.Recipe
	reach, bin := keyOfStage(t, got.Stages[0], "range"), keyOfStage(t, got.Stages[0], "bin")
	if got.Acquire.Duration != 2*quantity.Second || got.Name != "no" || bin != "20 ps" || reach != "2 ns" ||
		*got.Expect[0].RateMin != 5e6 || got.Nodes[0].Channels[1].Delay != 1000 || len(got.Sinks[0].Takes) != 2 || got.Description != "a = b" {
		t.Errorf("overridden recipe is %+v", got)
	}
	if config := string(got.Nodes[0].Controllers[0].Config); config != `{"address":"192.0.2.1","inputs":3}` {
		t.Errorf("config is %s", config)
	}
	if !slices.Equal(r.Overrides, sets) {
		t.Errorf("recorded overrides are %q", r.Overrides)
	}
	if v := single(t, r, "acquire.duration"); v.origin() != "--set" || v.text != "2 s" {
		t.Errorf("origin of the duration is %s from %s", v.text, v.origin())
	}
}

func TestVariables(t *testing.T) {
	env := func(name string) (string, bool) {
		value, ok := map[string]string{"TC": "192.0.2.9", "N": "3", "EMPTY": "", "INJECT": "x, mode: safe"}[name]
		return value, ok
	}
	const head = "version: 1\nextends: testdata/good.yaml\n"
	parse := func(text string) (*Resolved, error) {
		return Parse("here.yaml", []byte(head+text), Options{Stages: kindsOfStages, Env: env, Catalog: newTestCatalog()})
	}
	r, err := parse("acquire: {duration: \"${env:LONG:-7 s}\"}\nnodes: {alice: {controllers: {tc: {config: {address: \"${env:TC}\"}}}}}\n" +
		"description: ${env:INJECT} ${env:EMPTY:-unused}!\n")
	if err != nil {
		t.Fatal(err)
	}
	if r.Recipe.Acquire.Duration != 7*quantity.Second || r.Recipe.Description != "x, mode: safe !" {
		t.Errorf("duration %v, description %q", r.Recipe.Acquire.Duration, r.Recipe.Description)
	}
	if v := single(t, r, "nodes.alice.controllers.tc.config.address"); v.text != "192.0.2.9" || v.origin() != "here.yaml:4, env TC" {
		t.Errorf("origin of the address is %s from %s", v.text, v.origin())
	}
	r, err = parse("nodes:\n  alice:\n    controllers:\n      tc:\n        config:\n          inputs: ${env:N}\n")
	if err != nil || !strings.Contains(string(r.Recipe.Nodes[0].Controllers[0].Config), `"inputs":3`) {
		t.Errorf("an unquoted variable is no number: %v", err)
	}
}

// What show prints is a recipe, and the same one.
func TestShowRoundTrip(t *testing.T) {
	for _, path := range []string{"testdata/right/everything.yaml", "testdata/right/hardware.yaml", "testdata/good.yaml"} {
		r := load(t, path)
		text := r.YAML()
		again, err := Parse("shown.yaml", text, Options{Stages: kindsOfStages, Env: noEnv, Catalog: newTestCatalog()})
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if diff := cmp.Diff(r.Recipe, again.Recipe); diff != "" {
			t.Errorf("%s shown and read again:\n%s", path, diff)
		}
	}
	shown := string(load(t, "testdata/good.yaml", "acquire.duration=90 s", `description="a: #1"`).YAML())
	golden(t, "testdata/good.shown", shown)
}

func TestFilesThatAreNoRecipe(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, make([]byte, MaxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: "not a regular file", pipe: "not a regular file", big: "larger than", filepath.Join(dir, "none.yaml"): "no such file",
	} {
		_, err := Load(path, Options{Stages: kindsOfStages})
		var problems Problems
		if err == nil || errors.As(err, &problems) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}

func TestChainOfParentsIsBounded(t *testing.T) {
	dir := t.TempDir()
	name := func(i int) string { return "r" + string(rune('a'+i)) + ".yaml" }
	for i := range maxParents + 2 {
		text := "version: 1\nextends: " + name(i+1) + "\n"
		if err := os.WriteFile(filepath.Join(dir, name(i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Load(filepath.Join(dir, name(0)), Options{Stages: kindsOfStages})
	if err == nil || !strings.Contains(err.Error(), "more than 8 parents") {
		t.Errorf("error %v", err)
	}
}

// An alias is written out where it stands, and an override of one copy leaves
// the other alone.
func TestAliases(t *testing.T) {
	const text = `version: 1
name: aliases
nodes:
  alice:
    controllers: {tc: {driver: tc-test, config: {address: 192.0.2.1}}}
    channels:
      signal: &input {on: tc/1, threshold: 120 mV}
      herald: *input
acquire: {duration: 5 s}
sinks: {raw: {sink: sink-test}}
`
	r, err := Parse("aliases.yaml", []byte(text), Options{Stages: kindsOfStages, Set: []string{"nodes.alice.channels.herald.on=tc/2"}})
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Recipe.Nodes[0].Channels; c[0].Input != 1 || c[1].Input != 2 || c[1].Microvolts() != 120000 {
		t.Errorf("channels are %+v", c)
	}
}

// A plugin of another PC may be unknown here; what is unknown is noted.
func TestRemotePluginsAreNoted(t *testing.T) {
	r := load(t, "testdata/good.yaml", "nodes.bob.host=remote", "network.master=192.0.2.7", "nodes.bob.controllers.tc.driver=tc-other")
	if len(r.Notes) != 1 || r.Notes[0].Path != "nodes.bob.controllers.tc.driver" || !strings.Contains(r.Notes[0].Message, "not on this PC") {
		t.Errorf("notes are %v", r.Notes)
	}
	if _, err := Load("testdata/good.yaml", Options{Stages: kindsOfStages, Set: []string{"nodes.bob.controllers.tc.driver=tc-other"}, Catalog: newTestCatalog()}); err == nil {
		t.Error("an unknown plugin of this PC passes")
	}
}

// The recipes that ship are right, and are what the editors' schema says.
func TestShippedRecipes(t *testing.T) {
	paths, err := filepath.Glob("../../recipes/*.yaml")
	if err != nil || len(paths) < 4 {
		t.Fatalf("found %d recipes, %v", len(paths), err)
	}
	for _, path := range paths {
		if _, err := Load(path, Options{Stages: kindsOfStages, Env: noEnv}); err != nil {
			t.Errorf("%v", err)
		}
		if text, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(text), "# yaml-language-server: $schema=schema.json\n") {
			t.Errorf("%s does not name its schema, %v", path, err)
		}
	}
}

// FuzzParse feeds bytes of strangers. Whatever they are, the answer is a
// recipe or problems with places, and a recipe that is printed is read again.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/wrong/*.yaml", "testdata/*.yaml", "testdata/right/*.yaml", "../../recipes/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text, "acquire.duration=5 s")
		}
	}
	f.Add([]byte("version: 1\nx: &a [*a]\n"), "a.b.c=[1, {d: e}]")
	f.Add([]byte("version: 1\n? {a: b}\n: c\n"), "pipeline.0=null")
	catalog := newTestCatalog()
	f.Fuzz(func(t *testing.T, text []byte, set string) {
		r, err := Parse("testdata/fuzz.yaml", text, Options{Stages: kindsOfStages, Set: []string{set}, Env: noEnv, Catalog: catalog})
		var problems Problems
		switch {
		case errors.As(err, &problems):
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 || p.String() == "" {
					t.Errorf("problem %+v", p)
				}
			}
		case err != nil:
			t.Errorf("error %v", err)
		default:
			again, err := Parse("shown.yaml", r.YAML(), Options{Stages: kindsOfStages, Env: noEnv, Catalog: catalog})
			if err != nil {
				t.Fatalf("%v\nin\n%s", err, r.YAML())
			}
			if diff := cmp.Diff(r.Recipe, again.Recipe); diff != "" {
				t.Errorf("shown and read again:\n%s", diff)
			}
		}
	})
}
