package stage_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/sdk/tagfile"
)

// TestSegmentsOfEveryFormat: results do not depend on the format in which a
// sink keeps the tags.
func TestSegmentsOfEveryFormat(t *testing.T) {
	a := pairsOf(1, []int64{0}, []int64{0})[0]
	var want string
	for _, format := range tagfile.Streamed() {
		d := runtest.NewDirectory(t)
		m := &run.Manifest{Ended: runtest.Noon, Nodes: map[string]*run.Node{}}
		runtest.WriteChannel(t, d, m, "alice", "signal", [][]uint64{a[:len(a)/2], {}, a[len(a)/2:]})
		runtest.WriteChannel(t, d, m, "alice", "herald", [][]uint64{a})
		for i := range m.Segments {
			reformat(t, d, &m.Segments[i], format)
		}
		stages := []recipe.Stage{histogramStage("s", "alice.signal", "alice.herald")}
		if err := stage.Analyse(t.Context(), d.Path(), &recipe.Recipe{Stages: stages}, m, event.NewHub()); err != nil {
			t.Fatal(err)
		}
		r := result(t, m, "s")
		if want == "" {
			want = string(r.Summary)
		}
		if diff := cmp.Diff(want, string(r.Summary)); diff != "" || r.Skipped != "" {
			t.Errorf("%s: %s %s", format, r.Skipped, diff)
		}
	}
}

// reformat writes a segment anew in another format.
func reformat(t *testing.T, d *run.Directory, s *run.Segment, format string) {
	t.Helper()
	old := filepath.Join(d.Path(), s.File)
	tags, err := tagfile.ReadAll(old, "", tagfile.OnlyChannel)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	s.File = strings.TrimSuffix(s.File, ".bin") + "." + format
	if err := tagfile.WriteFile(filepath.Join(d.Path(), s.File), format, 1, tags); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(d.Path(), s.File))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	s.Size, s.SHA256 = int64(len(raw)), hex.EncodeToString(sum[:])
	if again, err := tagfile.ReadAll(filepath.Join(d.Path(), s.File), "", tagfile.OnlyChannel); err != nil || !slices.Equal(again, tags) {
		t.Fatal(len(again), err)
	}
}
