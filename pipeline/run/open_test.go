package run_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tsrun/pipeline/run"
)

// TestOpenSweeps: what a process that was killed was writing is gone when its run is
// finished, and nothing else is.
func TestOpenSweeps(t *testing.T) {
	d, err := run.Create(t.TempDir(), "swept", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{".manifest.json.ABC.tmp": false, "results/.g2.csv.123.tmp": false, "recipe/.a.yaml.X.tmp": false,
		"results/g2.csv": true, "results/notes.tmp": true, ".hidden": true, "raw/.a.tmp": true}
	for name := range files {
		if err := os.WriteFile(filepath.Join(d.Path(), name), []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if d, err = run.Open(d.Path(), nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	for name, stays := range files {
		if _, err := os.Stat(filepath.Join(d.Path(), name)); (err == nil) != stays {
			t.Errorf("%s: %v, want that it stays: %v", name, err, stays)
		}
	}
}
