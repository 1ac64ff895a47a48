package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// ownModule builds a plugin that is a module of its own, and returns its directory.
func ownModule(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, name)
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../plugins/"+name, "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	description, err := exec.Command(program, "--describe").Output()
	if err == nil {
		err = os.WriteFile(program+".json", description, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestParquetSink: a run whose files are Parquet beside those that stages read is good
// and proven, its files say what they are, and one that is changed is found.
func TestParquetSink(t *testing.T) {
	t.Parallel()
	plugins := ownModule(t, "sink-parquet")
	text, err := os.ReadFile(shipped(t, "single.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	recipe := filepath.Join(work, "parquet.yaml")
	both := strings.Replace(string(text), "\nsinks:\n", "\nsinks:\n  columns: {sink: sink-parquet, config: {row_group: 2048}}\n", 1)
	if both == string(text) {
		t.Fatal("single.yaml has no sinks")
	}
	if err := os.WriteFile(recipe, []byte(both), 0o644); err != nil {
		t.Fatal(err)
	}
	r := runTsrun(t, work, append([]string{recipe, "--plugin-dir", plugins, "--set", "acquire.duration=2 s"}, freePorts...)...)
	good(t, r)
	dir, m := latest(t, work)
	files := 0
	for _, s := range m.Segments {
		if s.Sink != "columns" {
			continue
		}
		files++
		whole, err := os.ReadFile(filepath.Join(dir, s.File))
		if err != nil {
			t.Fatal(err)
		}
		for _, says := range []string{m.Run, m.Recipe.SHA256, "SIMULATED", "tsrun.device", "SIMULATED-"} {
			if !strings.Contains(string(whole), says) {
				t.Errorf("%s does not say %q", s.File, says)
			}
		}
	}
	if files == 0 || !m.Has(run.Good) {
		t.Fatalf("%d files; %v", files, m.Condition)
	}
	if p := start(t, work, nil, "verify", dir); p.wait(time.Minute) != 0 {
		t.Errorf("verify: %s", p.stdout.String())
	}
	for _, s := range m.Segments {
		if s.Sink == "columns" {
			runtest.FlipByte(t, filepath.Join(dir, s.File), s.Size/2)
			break
		}
	}
	if p := start(t, work, nil, "verify", dir); p.wait(time.Minute) != 7 {
		t.Errorf("a changed file was proven: %s", p.stdout.String())
	}
}
