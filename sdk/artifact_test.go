package sdk

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"tsrun/sdk/internal/serve"
	"tsrun/sdk/pluginpb"
)

func TestPublish(t *testing.T) {
	var told []Artifact
	r := Recording{Dir: t.TempDir(), Closed: func(a Artifact) { told = append(told, a) }}
	for path, data := range map[string][]byte{"x/counts.csv": []byte("bin,counts\n0,5\n"), "x/none.csv": nil} {
		if err := r.Publish(Table, path, data); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(r.Dir, path))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("the file holds %q (%v), want %q", got, err, data)
		}
		a := told[len(told)-1]
		if a.Kind != Table || a.Path != path || a.Size != int64(len(data)) || a.SHA256 != sha256.Sum256(data) {
			t.Errorf("told %+v", a)
		}
	}
	for _, path := range []string{"", ".", "../a", "/a", "x/../../a", "x", "x/counts.csv"} {
		if err := r.Publish(Other, path, []byte("again")); err == nil || len(told) != 2 {
			t.Errorf("%q was published", path)
		}
	}
	if got, err := os.ReadFile(filepath.Join(r.Dir, "x", "counts.csv")); err != nil || string(got) != "bin,counts\n0,5\n" {
		t.Errorf("the first file holds %q (%v) after it was published again", got, err)
	}
	if entries, err := os.ReadDir(filepath.Join(r.Dir, "x")); err != nil || len(entries) != 2 {
		t.Errorf("the directory holds %v (%v)", entries, err)
	}
}

// TestKeptIsToldShortly: a sink may say after each block how many tags it has
// kept; of what the host has not taken yet, the last number of a stream is left.
func TestKeptIsToldShortly(t *testing.T) {
	events := serve.NewFeed(mergeKept)
	own := 0
	for n := range uint64(1000) {
		for stream := range uint16(3) {
			if events.Put(keptOut(stream, n)) {
				own++
			}
		}
		if n%100 == 0 {
			events.Put(artifactOut(Artifact{Kind: Table}))
		}
	}
	var kept []*pluginpb.Kept
	events.Close()
	for {
		e, more := events.Next(t.Context())
		if !more {
			break
		}
		if e.GetKept() != nil {
			kept = append(kept, e.GetKept())
		}
	}
	if own != 3 || len(kept) != 3 || kept[2].Stream != 2 || kept[2].Tags != 999 {
		t.Errorf("%d events of their own, told %v", own, kept)
	}
}
