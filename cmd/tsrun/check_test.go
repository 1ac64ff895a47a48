package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// No wrong recipe starts a process: the plugins here leave a trace when they
// are started, and none does.
func TestWrongRecipesStartNothing(t *testing.T) {
	dir := t.TempDir()
	trace := filepath.Join(dir, "started")
	for name, role := range map[string]string{"tc-test": "drivers", "sink-test": "sinks"} {
		write(t, filepath.Join(dir, name), "#!/bin/sh\necho \"$0\" >> "+trace+"\n", 0o755)
		write(t, filepath.Join(dir, name+".json"), `{"name": "`+name+`", "protocol": 1, "`+role+`": [{"name": "`+name+`", "schema": {"type": "object"}}]}`, 0o644)
	}
	if err := exec.Command(filepath.Join(dir, "tc-test")).Run(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(trace); err != nil {
		t.Fatalf("a plugin that is started leaves no trace: %v", err)
	}

	recipes, err := filepath.Glob("../../pipeline/recipe/testdata/wrong/*.yaml")
	if err != nil || len(recipes) < 30 {
		t.Fatalf("found %d wrong recipes, %v", len(recipes), err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, path := range recipes {
		c := exec.Command(self, "check", "--plugin-dir", dir, path)
		c.Args[0] = "tsrun" // what TestMain looks at
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if errors.As(err, &exit) && (exit.ExitCode() == exitRecipe || exit.ExitCode() == exitPlugin && strings.Contains(path, "unknown-plugin")) {
			refused++
		} else if err != nil {
			t.Errorf("check %s: %v\n%s", path, err, out)
		}
		if text, err := os.ReadFile(trace); err == nil {
			t.Fatalf("check %s started %s", path, text)
		}
	}
	if refused < 30 {
		t.Errorf("%d recipes were refused; the others are wrong only by --set or by a plugin's schema", refused)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
