package calibrate

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tsrun/pipeline/align"
	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

const epoch = int64(1_800_000_000_000_000_000)

// world is what a run of alice and bob would be like: all in ns.
type world struct {
	latency, fired, compensation map[string]int64
	measured                     map[string]int64 // nil: it was not
	clocks                       int64            // bob's is so far ahead of what it is thought to be
	bound                        int64            // of bob's clock; 0: he is on the master's PC
}

// begins is when a controller begins by the master's clock, after the instant.
func (w world) begins(node string) int64 {
	at := w.fired[node] + w.latency[node] - w.compensation[node] - w.measured[node]
	if node == "bob" {
		at -= w.clocks
	}
	return at
}

func (w world) run(t interface{ Fatal(...any) }) (*run.Manifest, *recipe.Recipe) {
	m := &run.Manifest{Nodes: map[string]*run.Node{}, Trigger: run.Trigger{Method: "scheduled", Master: "alice", InstantNs: epoch}}
	r := &recipe.Recipe{Trigger: recipe.Trigger{Compensation: map[string]recipe.Compensation{}}}
	for _, name := range []string{"alice", "bob"} {
		used := w.compensation[name] + w.measured[name]
		asked := epoch - used
		shot := fact.Shot{Asked: asked, Called: asked + w.fired[name], Returned: asked + w.fired[name] + 400_000}
		n := &run.Node{Host: "local", Channels: map[string]*run.Channel{"c": {Controller: "tc"}}, Controllers: map[string]*run.Controller{"tc": {Shot: &shot}}}
		if w.measured != nil {
			measured := w.measured[name]
			shot.CompensationNs = &used
			n.Controllers["tc"].Compensation = &fact.Compensation{UsedNs: used, MeasuredNs: &measured}
		}
		if name == "bob" && w.bound > 0 {
			n.Host, n.Clock = "remote", &run.NodeClock{Start: &clock.Reading{At: epoch, Bound: w.bound}}
		}
		start, _ := run.NodeStart([]fact.Shot{shot}, epoch, used, nil)
		n.Start = &start
		m.Nodes[name] = n
		r.Trigger.Compensation[name] = recipe.Compensation{Auto: w.measured != nil, Time: quantity.Time(w.compensation[name]) * quantity.Nanosecond}
	}
	offset := (w.begins("alice") - w.begins("bob")) * 1000
	s := stage.AlignSummary{Reference: "alice.c", Target: "bob.c", Alignment: &align.Alignment{StartOffset: quantity.NewFine(offset, 0), StartSD: 10}}
	m.Results = []run.Result{result(t, s)}
	return m, r
}

func result(t interface{ Fatal(...any) }, s stage.AlignSummary) run.Result {
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return run.Result{Stage: "align", Kind: "align", Summary: text}
}

// A proposal makes the next start simultaneous, whatever the latencies, the values that
// the recipe had, and when the commands were given in the run; alice keeps her value.
func TestOneStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string, from, to int64) map[string]int64 {
			return map[string]int64{"alice": rapid.Int64Range(from, to).Draw(t, what), "bob": rapid.Int64Range(from, to).Draw(t, what)}
		}
		w := world{latency: draw("latency", 0, 5_000_000), fired: draw("fired", 0, 3_000_000), compensation: draw("compensation", -5_000_000, 5_000_000)}
		if rapid.Bool().Draw(t, "auto") {
			w.measured = draw("measured", 0, 1_000_000)
		}
		m, r := w.run(t)
		p := propose(m, r)
		if p.Refused != "" || p.Pairs[0].Refused != "" {
			t.Fatal(p.Refused)
		}
		if math.Abs(*p.Pairs[0].Later-float64(w.begins("bob")-w.begins("alice"))) > 1 || *p.Pairs[0].Fired != w.fired["bob"]-w.fired["alice"] {
			t.Fatalf("%+v of %+v", p.Pairs[0], w)
		}
		for _, c := range p.Compensation {
			if c.Node != "bob" || c.Was != w.compensation["bob"] {
				t.Fatalf("%+v of %+v", c, w)
			}
			var written recipe.Compensation
			if err := written.UnmarshalText([]byte(c.Text)); err != nil || written.Time.Duration().Nanoseconds() != c.Is || written.Auto != (w.measured != nil) {
				t.Fatalf("%q is %d ns: %v", c.Text, c.Is, err)
			}
			w.compensation["bob"] = c.Is
		}
		w.fired = nil
		if apart := w.begins("bob") - w.begins("alice"); apart < -step || apart > step {
			t.Fatalf("%d ns apart: %+v", apart, p)
		}
	})
}

func TestRefusals(t *testing.T) {
	late := map[string]int64{"bob": 250_000}
	for name, c := range map[string]struct {
		world  world
		change func(*run.Manifest)
		want   string // "": bob: 250 us
	}{
		"a latency":          {world{latency: late}, nil, ""},
		"clocks known well":  {world{latency: late, bound: 1000}, nil, ""},
		"clocks known badly": {world{latency: late, bound: 260_000}, nil, "it may be theirs"},
		"clocks not compared": {world{latency: late, bound: 1000}, func(m *run.Manifest) { m.Nodes["bob"].Clock = nil },
			"nothing compared the clock of bob"},
		"one node": {world{latency: late}, func(m *run.Manifest) { delete(m.Nodes, "bob") }, "one node"},
		"a pulse":  {world{latency: late}, func(m *run.Manifest) { m.Trigger.Method = "hardware" }, "START pulse"},
		"no stage": {world{latency: late}, func(m *run.Manifest) { m.Results = nil }, "no align stage"},
		"skipped":  {world{latency: late}, func(m *run.Manifest) { m.Results = []run.Result{{Stage: "a", Kind: "align", Skipped: "no tags"}} }, `"a" was skipped: no tags`},
		"no offset": {world{latency: late}, func(m *run.Manifest) {
			m.Results[0].Summary = []byte(`{"reference":"alice.c","target":"bob.c","refused":true,"reason":"too dark"}`)
		}, "too dark"},
		"bad summary": {world{latency: late}, func(m *run.Manifest) {
			m.Results[0].Summary = []byte(`{"reference":"x","target":"y.z","alignment":{}}`)
		}, "no channel x"},
		"nothing fired":           {world{latency: late}, func(m *run.Manifest) { m.Nodes["bob"].Start = nil }, "bob.tc was not started"},
		"no shot":                 {world{latency: late}, func(m *run.Manifest) { m.Nodes["alice"].Controllers["tc"].Shot = nil }, "alice.tc was not started"},
		"started anew":            {world{latency: late}, func(m *run.Manifest) { m.Nodes["bob"].Restarts = make([]run.Restart, 1) }, "started anew"},
		"recorded apart":          {world{latency: late}, func(m *run.Manifest) { m.Parts = make([]run.Part, 2) }, "apart"},
		"too much":                {world{latency: map[string]int64{"bob": 60_000_000}}, nil, "the greatest is 50 ms"},
		"far too much":            {world{latency: map[string]int64{"bob": 200_000_000}}, nil, "no compensation is for"},
		"far apart by the recipe": {world{latency: late, compensation: map[string]int64{"alice": 50_000_000, "bob": -50_000_000}}, nil, "the greatest is 50 ms"},
		"a shot that has no take": {world{latency: late}, func(m *run.Manifest) { m.Trigger.Shots = make([]run.TriggerShot, 1) },
			"was not started"},
	} {
		m, r := c.world.run(t)
		if c.change != nil {
			c.change(m)
		}
		p := propose(m, r)
		if c.want == "" {
			if lines := strings.Join(p.Lines, "\n"); p.Refused != "" || lines != "trigger:\n  compensation:\n    bob: 250 us" {
				t.Errorf("%s: %s %s", name, p.Refused, lines)
			}
			continue
		}
		if !strings.Contains(p.Refused, c.want) || len(p.Lines)+len(p.Compensation) > 0 {
			t.Errorf("%s: %q, %v", name, p.Refused, p.Lines)
		}
	}
	m, r := world{latency: map[string]int64{"alice": 7000, "bob": 7000}}.run(t)
	if p := propose(m, r); p.Refused != "" || len(p.Lines) > 0 {
		t.Errorf("started together: %+v", p)
	}
}

// Of three nodes in a chain, whichever way the stages look, each comes to the master.
func TestChain(t *testing.T) {
	m, r := world{latency: map[string]int64{"bob": 250_000}}.run(t)
	carol := *m.Nodes["bob"]
	m.Nodes["carol"] = &carol
	s := stage.AlignSummary{Reference: "carol.c", Target: "bob.c", Alignment: &align.Alignment{StartOffset: quantity.NewFine(100_000_000, 0)}}
	m.Results = append([]run.Result{result(t, s)}, m.Results...)
	if p := propose(m, r); fmt.Sprint(p.Lines) != "[trigger:   compensation:     bob: 250 us     carol: 350 us]" {
		t.Errorf("%q, %s", p.Lines, p.Refused)
	}
}

// writable is a run of a recipe that stands in a file.
func writable(t *testing.T, text, parent string) (p *Proposal, m *run.Manifest, path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "r.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := run.Create(dir, "runs", time.Unix(0, epoch))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	sources := []run.RecipeSource{{Path: path, Bytes: []byte(text)}}
	if parent != "" {
		sources = append(sources, run.RecipeSource{Path: filepath.Join(dir, "lab.yaml"), Bytes: []byte(parent)})
		if err := os.WriteFile(sources[1].Path, []byte(parent), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, r := world{latency: map[string]int64{"bob": 250_000}}.run(t)
	if m.Recipe, err = d.KeepRecipe(sources, r, nil, nil); err != nil {
		t.Fatal(err)
	}
	p = propose(m, r)
	p.Run = d.Path()
	return p, m, path
}

const written = "version: 1\ntrigger:\n  master: alice # decides\n"

func TestWrite(t *testing.T) {
	p, m, path := writable(t, written, "")
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	m.Recipe.Files[0].Path = link
	for again := range 2 {
		p.Written = nil
		if err := p.Write(m); err != nil {
			t.Fatal(err)
		}
		if len(p.Written) != 1 || p.Written[0].Already != (again > 0) {
			t.Errorf("%+v", p.Written)
		}
		info, err := os.Lstat(link)
		text, _ := os.ReadFile(path)
		if string(text) != written+"  compensation: {bob: 250 us}\n" || err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%v %q", err, text)
		}
		if info, err = os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("rights %v: %v", info.Mode(), err)
		}
	}
}

func TestWriteIntoTheParent(t *testing.T) {
	p, m, path := writable(t, "version: 1\nextends: lab.yaml\ntrigger: {lead: 1 s}\n", written+"  compensation: {alice: 0 s}\n")
	if err := p.Write(m); err != nil {
		t.Fatal(err)
	}
	child, _ := os.ReadFile(path)
	parent, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "lab.yaml"))
	if strings.Contains(string(child), "bob") || string(parent) != written+"  compensation: {bob: 250 us, alice: 0 s}\n" {
		t.Errorf("%s\n%s", child, parent)
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *run.Manifest, path string) error
		want   string
	}{
		"another recipe": {func(_ *run.Manifest, path string) error {
			return os.WriteFile(path, []byte(written+"# later\n"), 0o600)
		}, "is not as the run has read it"},
		"no recipe":   {func(_ *run.Manifest, path string) error { return os.Remove(path) }, "is not there"},
		"from a pipe": {func(m *run.Manifest, _ string) error { m.Recipe.Files[0].Path = "-"; return nil }, "no file"},
		"an override": {func(m *run.Manifest, _ string) error {
			m.Recipe.Overrides = []string{"trigger.compensation.bob=1 us"}
			return nil
		}, "--set"},
		"a copy that is not it": {func(m *run.Manifest, _ string) error { m.Recipe.Files[0].SHA256 = "0"; return nil }, "tsrun verify"},
		"a copy elsewhere":      {func(m *run.Manifest, path string) error { m.Recipe.Files[0].File = "../../r.yaml"; return nil }, "copy of its recipe"},
		"no copies":             {func(m *run.Manifest, _ string) error { m.Recipe.Files = nil; return nil }, "no copy"},
	} {
		p, m, path := writable(t, written, "")
		if err := c.change(m, path); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(path)
		err := p.Write(m)
		if after, _ := os.ReadFile(path); err == nil || !strings.Contains(err.Error(), c.want) || string(after) != string(before) || len(p.Written) > 0 {
			t.Errorf("%s: %v\n%s", name, err, after)
		}
	}
}
