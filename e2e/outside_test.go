package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tsrun/pipeline/run"
)

// TestPluginsOutside does what docs/plugins.md says, word by word and without a
// network: a driver and a sink in a module of their own, from nothing to a run.
func TestPluginsOutside(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language, with string) string {
		for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(doc), -1) {
			if strings.Contains(m[1], with) {
				return m[1]
			}
		}
		t.Fatalf("docs/plugins.md has no block of %s with %q", language, with)
		return ""
	}
	work := t.TempDir()
	lab := filepath.Join(work, "lab")
	checkout, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(checkout, filepath.Join(work, "tsrun")); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"tc-noise/main.go": block("go", `Name: "tc-noise"`), "sink-counts/main.go": block("go", `Name: "sink-counts"`),
		"noise.yaml": block("yaml", "name: noise"),
	} {
		path := filepath.Join(lab, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, text)
	}
	steps := strings.ReplaceAll(block("sh", "go mod edit"), "../tsrun/bin/tsrun", "'"+filepath.Join(bin, "tsrun")+"'")
	shell := exec.Command("sh", "-ex", "-c", steps)
	shell.Dir = lab
	shell.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=", "GOWORK=off", "TSRUN_PLUGINS=")
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("the steps of docs/plugins.md: %v\n%s", err, out)
	}
	dir, m := latest(t, lab)
	if !run.IsGood(m.Condition) || m.Nodes["lab"].Channels["x"].ReadFrom != "raw" || m.Results[0].Skipped != "" {
		t.Errorf("condition %v, read from %q\n%s", m.Condition, m.Nodes["lab"].Channels["x"].ReadFrom, reasons(m))
	}
	table, err := os.ReadFile(filepath.Join(dir, "raw", "lab", "counts", "counts.csv"))
	if lines := strings.Split(string(table), "\n"); err != nil || len(lines) != 1+2*20+1 || lines[0] != "channel,start_ps,counts" {
		t.Errorf("the table has %d lines (%v), want a head and 20 bins of each channel:\n%s", len(lines)-1, err, table)
	}
	contains(t, string(doc), "threshold: 120 mV")
}
