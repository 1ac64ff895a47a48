package run_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// TestVerifyFilesOfAnySize proves files shorter and longer than those that are
// hashed beside counting, and finds in each what was done to it.
func TestVerifyFilesOfAnySize(t *testing.T) {
	const least = 1 << 17 // tags of the shortest that is
	sizes := []int{least - 1, least, least + 1, 3*least + 7}
	d := runtest.NewDirectory(t)
	m := &run.Manifest{Name: "pairs", Started: runtest.Noon, Ended: runtest.Noon.Add(1), Nodes: map[string]*run.Node{}}
	var segments [][]uint64
	at, all := uint64(0), uint64(0)
	for _, n := range sizes {
		tags := make([]uint64, n)
		for i := range tags {
			at += 1_000_003
			tags[i] = at
		}
		segments, all = append(segments, tags), all+uint64(n)
	}
	runtest.WriteChannel(t, d, m, "alice", "signal", segments)
	if err := d.Seal(m); err != nil {
		t.Fatal(err)
	}
	if v := runtest.MustVerify(t, d.Path()); len(v.Findings) > 0 || v.Tags != all {
		t.Fatalf("%+v", v)
	}
	m, err := run.ReadManifest(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range m.Segments {
		path := filepath.Join(d.Path(), filepath.FromSlash(s.File))
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		finds := func(want ...string) {
			t.Helper()
			v := runtest.MustVerify(t, d.Path())
			if got := codes(v); !slices.Equal(got, want) || v.Findings[0].File != s.File {
				t.Errorf("%d tags: %+v, want %v", sizes[i], v.Findings, want)
			}
		}
		runtest.FlipByte(t, path, int64(len(whole)/2)&^7) // of a time, too little to change the order
		finds("hash", "hash")                             // by the manifest and by SHA256SUMS
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		finds("missing", "missing")
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if v := runtest.MustVerify(t, d.Path()); len(v.Findings) > 0 {
		t.Errorf("%+v", v.Findings)
	}
}
