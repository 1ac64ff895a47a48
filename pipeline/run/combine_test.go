package run

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestOverlapping: of each node one recording, the longest overlap first, of one recipe,
// and nothing that was combined before.
func TestOverlapping(t *testing.T) {
	root := t.TempDir()
	add := func(name, node, mark string, from, to int64) { // s
		m := &Manifest{Run: name, Name: "x", Started: time.Unix(from, 0), Ended: time.Unix(to, 0), Local: &LocalPart{Node: node, Marks: map[string]string{"acquire": mark}},
			Trigger: Trigger{InstantNs: from * 1e9},
			Nodes:   map[string]*Node{node: {Channels: map[string]*Channel{"c": {LengthPs: uint64(to-from) * 1e12}}}}}
		if err := os.MkdirAll(filepath.Join(root, name, RawDir), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := (&Directory{path: filepath.Join(root, name)}).WriteManifest(m); err != nil {
			t.Fatal(err)
		}
	}
	marks := map[string]string{"acquire": "a"}
	add("alice-1", "alice", "a", 100, 110)
	add("bob-1", "bob", "a", 109, 119)     // 1 s of alice-1
	add("bob-2", "bob", "a", 102, 112)     // 8 s of it
	add("bob-3", "bob", "other", 100, 110) // another recipe
	add("alice-2", "alice", "a", 200, 210)
	add("carol-1", "carol", "a", 105, 115)
	groups := Overlapping(root, marks, []string{"alice", "bob", "carol"})
	if len(groups) != 1 || len(groups[0]) != 3 {
		t.Fatalf("%d groups: %+v", len(groups), groups)
	}
	for i, want := range []string{"alice-1", "bob-2", "carol-1"} {
		if got := groups[0][i].Manifest.Run; got != want {
			t.Errorf("%d: %s, want %s", i, got, want)
		}
	}
	m := &Manifest{Run: "all", Nodes: map[string]*Node{}, Ended: time.Unix(300, 0), Parts: []Part{{Run: "alice-1", Received: true}, {Run: "bob-2"}, {Run: "carol-1"}}}
	if err := os.Mkdir(filepath.Join(root, "all"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := (&Directory{path: filepath.Join(root, "all")}).WriteManifest(m); err != nil {
		t.Fatal(err)
	}
	if groups := Overlapping(root, marks, []string{"alice", "bob", "carol"}); len(groups) != 0 {
		t.Errorf("combined again: %+v", groups)
	}
	for id, received := range map[string]bool{"alice-1": true, "bob-2": false, "nobody": false} {
		if _, got := FindRecording(root, id); got != received {
			t.Errorf("%s: received %v", id, got)
		}
	}
}
