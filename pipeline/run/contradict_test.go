package run_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// evident is a run whose recipe, results and log say what its manifest says.
func evident(t *testing.T) string {
	t.Helper()
	dir := runtest.WriteRun(t)
	put := func(name string, value any) {
		text, err := json.Marshal(value)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	rewrite(t, dir, func(m *run.Manifest) {
		m.Run, m.Tsrun = "00112233445566778899aabbccddeeff", "1.0"
		m.Nodes["alice"].Start, m.Nodes["bob"].Start = &run.Start{EstimateNs: 5, UncertaintyNs: 2}, &run.Start{EstimateNs: 9, UncertaintyNs: 3}
		m.Trigger.Master, m.Trigger.Skew = "alice", []run.SkewRecord{{Node: "bob", Against: "alice", SkewNs: 4, UncertaintyNs: 5}}
		m.Nodes["alice"].Channels["signal"].Controller, m.Nodes["alice"].Channels["signal"].Input = "tc", 1
		m.Results[0].Files = append(m.Results[0].Files, "results/g2.json")
		m.Results[0].Summary = json.RawMessage(`{"pairs": 12345678901234567890, "list": [1, {"a": 2.5}]}`)
		r := recipe.Recipe{Name: m.Name, Nodes: []recipe.Node{{Name: "alice", Channels: []recipe.Channel{{Name: "signal", Controller: "tc", Input: 1}}}, {Name: "bob"}}}
		r.Trigger.Master = "alice"
		put(m.Recipe.Resolved, r)
		put(run.LogFile, map[string]string{"msg": "run begins", "run": m.Run, "recipe": m.Name, "version": m.Tsrun})
	})
	put("results/g2.json", map[string]any{"pairs": json.Number("12345678901234567890"), "list": []any{1, map[string]any{"a": json.Number("2.50"), "b": 1}}, "knots": 1})
	resum(t, dir)
	return dir
}

// edit changes the manifest and concludes nothing from it.
func edit(t *testing.T, dir string, change func(*run.Manifest)) {
	t.Helper()
	m, err := run.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	text, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, run.ManifestFile), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// resum writes the sums anew, as somebody would who has edited the manifest.
func resum(t *testing.T, dir string) {
	t.Helper()
	sums, err := os.ReadFile(filepath.Join(dir, run.SumsFile))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	named := "  results/g2.json\n" + string(sums)
	for line := range strings.Lines(named) {
		_, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "  "+name+"\n") {
			fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(text), name)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, run.SumsFile), []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A manifest that somebody has edited, and its sums with it, is found by what else the
// directory says of the run.
func TestVerifyFindsEdits(t *testing.T) {
	if v := runtest.MustVerify(t, evident(t)); len(v.Findings) > 0 {
		t.Fatalf("nobody has edited it: %+v", v.Findings)
	}
	for _, c := range []struct {
		name   string
		edit   func(*run.Manifest)
		file   string
		saying string
	}{
		{"a condition", func(m *run.Manifest) { m.Condition = []run.Condition{run.Incomplete} }, run.ManifestFile, "the condition is [INCOMPLETE], the reasons make it [GOOD]"},
		{"reasons", func(m *run.Manifest) { m.Reasons = []run.Reason{{Condition: run.Tainted}} }, run.ManifestFile, "the reasons make it [TAINTED]"},
		{"a loss", func(m *run.Manifest) { m.Nodes["bob"].Channels["idler"].Lost = 7 }, run.ManifestFile, "bob.idler has lost 7 tags"},
		{"a simulated device", func(m *run.Manifest) {
			m.Nodes["bob"].Controllers = map[string]*run.Controller{"tc": {Device: fact.Device{Simulated: true}}}
		}, run.ManifestFile, "simulated: true"},
		{"what is not proven", func(m *run.Manifest) { m.Segments[0].Verified = false }, run.ManifestFile, "has not been proven"},
		{"the last tag", func(m *run.Manifest) { m.Nodes["alice"].Channels["signal"].LastPs++ }, "raw/alice", "alice.signal is said to have recorded from 1000 ps to 2000001 ps"},
		{"the first tag", func(m *run.Manifest) { m.Nodes["bob"].Channels["idler"].FirstPs = 0 }, "raw/bob", "its files hold 1400 ps to 3400 ps"},
		{"a skew", func(m *run.Manifest) { m.Trigger.Skew[0].SkewNs = 1 }, run.ManifestFile, "the skew of bob is 1 ± 5 ns, its nodes' starts give 4 ± 5 ns"},
		{"a result", func(m *run.Manifest) { m.Results[0].Summary = json.RawMessage(`{"pairs": 12345678901234567891}`) }, "results/g2.json", `another pairs of stage "g2"`},
		{"a result within", func(m *run.Manifest) { m.Results[0].Summary = json.RawMessage(`{"list": [1, {"a": 2.51}]}`) }, "results/g2.json", "another list.1.a"},
		{"a result that is not there", func(m *run.Manifest) { m.Results[0].Summary = json.RawMessage(`{"car": 5}`) }, "results/g2.json", "another car"},
		{"a device that is not simulated", func(m *run.Manifest) { m.Results[0].Summary = json.RawMessage(`{"simulated": true}`) }, run.ManifestFile, "read simulated tags"},
		{"the duration", func(m *run.Manifest) { m.DurationPs = 1 }, "recipe/resolved.json", "acquire in ps is 0, the manifest says 1"},
		{"the name", func(m *run.Manifest) { m.Name = "better" }, run.LogFile, "it began with recipe pairs, the manifest says better"},
		{"the input", func(m *run.Manifest) { m.Nodes["alice"].Channels["signal"].Input = 2 }, "recipe/resolved.json", "the input of alice.signal is tc/1, the manifest says tc/2"},
		{"the run", func(m *run.Manifest) { m.Run = strings.Repeat("0", 32) }, run.LogFile, "it began with run 00112233445566778899aabbccddeeff"},
		{"the program", func(m *run.Manifest) { m.Tsrun = "2.0" }, run.LogFile, "version of tsrun 1.0, the manifest says 2.0"},
		{"the recipe's sum", func(m *run.Manifest) { m.Recipe.SHA256 = strings.Repeat("1", 64) }, "recipe/pairs.yaml", "the manifest says 1111"},
	} {
		dir := evident(t)
		edit(t, dir, c.edit)
		resum(t, dir)
		found := false
		v := runtest.MustVerify(t, dir)
		for _, f := range v.Findings {
			found = found || f.File == c.file && f.Code == "contradiction" && strings.Contains(f.Message, c.saying)
		}
		if !found {
			t.Errorf("%s was edited: %+v", c.name, v.Findings)
		}
	}
}

// What the directory does not keep contradicts nothing, and nonsense in it is no panic.
func TestVerifyWithoutEvidence(t *testing.T) {
	for _, name := range []string{run.LogFile, "recipe/resolved.json", "results/g2.json"} {
		for _, text := range []string{"", "{", "[]", "null", `{"nodes": [{}], "msg": "run begins", "pairs": null}`, strings.Repeat(`{"list":[`, 2000)} {
			dir := evident(t)
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			resum(t, dir)
			v := runtest.MustVerify(t, dir)
			for _, f := range v.Findings {
				if f.Code == "contradiction" && f.File == run.LogFile {
					t.Errorf("%s is %.20q: %+v", name, text, f)
				}
			}
		}
	}
}
