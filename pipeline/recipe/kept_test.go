package recipe

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a run keeps of its recipe is told apart from a recipe, wherever it lies,
// and the one that can be run again is named where it is there.
func TestKeptRecipesAreToldApart(t *testing.T) {
	resolved := load(t, "testdata/good.yaml")
	machine, err := json.MarshalIndent(resolved.Recipe, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(t.TempDir(), "run")
	kept, alone := filepath.Join(run, KeptDir), t.TempDir()
	for _, dir := range []string{kept, alone} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{
			ResolvedFile: string(machine), "child.yaml": "version: 1\nextends: ../base.yaml\n", "of-it.yaml": "version: 1\nextends: " + ResolvedFile + "\n",
			"list.yaml": "version: 1\nnodes:\n  - name: alice\n    controllers: []\n", "empty.json": `{"version": 1, "nodes": []}`, "scalars.json": `{"version": 1, "nodes": [1, null]}`,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	again := filepath.Join(kept, RepeatsFile)
	if err := os.WriteFile(again, resolved.YAML(), 0o600); err != nil {
		t.Fatal(err)
	}
	const form = "form for programs"
	for _, c := range []struct{ file, message, hint string }{
		{filepath.Join(kept, ResolvedFile), form, "give " + again},
		{filepath.Join(kept, "of-it.yaml"), form, "give " + again},
		{filepath.Join(alone, ResolvedFile), form, "give resolved.yaml, which lies beside it in the directory of its run"},
		{filepath.Join(kept, "child.yaml"), "no such file", "give " + again},
		{filepath.Join(alone, "child.yaml"), "no such file", "relative to the file"},
		{filepath.Join(alone, "list.yaml"), "not a list", ""},
		{filepath.Join(alone, "empty.json"), "not a list", ""},
		{filepath.Join(alone, "scalars.json"), "not a list", ""},
	} {
		_, err := Load(c.file, Options{Stages: kindsOfStages, Env: noEnv})
		var problems Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.message) || !strings.Contains(err.Error(), c.hint) {
			t.Errorf("%s: %v", c.file, err)
		}
		if c.message == form && len(problems) != 1 {
			t.Errorf("%s has %d mistakes", c.file, len(problems))
		}
	}
	if _, err := Load(again, Options{Stages: kindsOfStages, Env: noEnv}); err != nil {
		t.Error(err)
	}
	if _, err := Load(run, Options{Stages: kindsOfStages}); err == nil || !strings.Contains(err.Error(), again+" repeats the run, and tsrun report "+run) {
		t.Error(err)
	}
}
