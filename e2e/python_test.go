package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"tsrun/internal/need"
)

// TestPythonOfTheDocs runs every snippet of docs/python.md in the directory of
// a run of the recipe that it names.
func TestPythonOfTheDocs(t *testing.T) {
	t.Parallel()
	python := need.Python(t, "pandas", "python3-pandas")
	text, err := os.ReadFile("../docs/python.md")
	if err != nil {
		t.Fatal(err)
	}
	snippets := regexp.MustCompile("(?ms)^```python\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	reader, err := filepath.Abs("../python")
	if err != nil {
		t.Fatal(err)
	}
	if len(snippets) < 6 {
		t.Fatalf("%d snippets", len(snippets))
	}
	r, dir, _ := runIn(t, append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=2 s"}, freePorts...)...)
	good(t, r)
	for _, snippet := range snippets {
		cmd := exec.Command(python, "-W", "error", "-c", snippet[1])
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+reader)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) == 0 {
			t.Errorf("%v\n%s\n%s", err, snippet[1], out)
		}
	}
}
