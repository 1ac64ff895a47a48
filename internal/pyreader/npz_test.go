package pyreader

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// TestArchives: what convert writes for numpy is read without the program, says where
// its tags are from, and is refused where it was changed or cut off.
func TestArchives(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	tags := steps(1000, 5, 1, 1e7)
	about := tagfile.Provenance{Run: "0123", Channel: "alice.signal", Simulated: true}
	if _, err := tagfile.ConvertTags(t.Context(), tag.NewReader(slices.Clone(tags)), "alice.signal", in("a.npz"), tagfile.ConvertOptions{About: about}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(in("a.npz"))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(whole)
	changed[len(whole)/2]++
	paths := []string{in("a.npz")}
	for name, b := range map[string][]byte{"changed.npz": changed, "cut.npz": whole[:len(whole)-30], "short.npz": whole[:3], "none.npz": {}} {
		if err := os.WriteFile(in(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, in(name))
	}
	for i, r := range readAll(t, paths...) {
		if i == 0 && (r.Error != "" || !slices.Equal(r.Channels["1"], texts(tags))) {
			t.Errorf("%+v", r)
		} else if i > 0 && !strings.Contains(r.Error, "Damaged") {
			t.Errorf("%s: %.300q, %d channels", filepath.Base(paths[i]), r.Error, len(r.Channels))
		}
	}
	if err := os.WriteFile(in("b.csv"), []byte("channel,ps\n1,5\n1,6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tagfile.Convert(t.Context(), in("b.csv"), in("b.npz"), tagfile.ConvertOptions{Shift: -6}); err != nil {
		t.Fatal(err)
	}
	if r := readAll(t, in("b.npz"))[0]; !slices.Equal(r.Channels["1"], []string{"-1", "0"}) {
		t.Errorf("below 0: %+v", r)
	}
	said := string(python(t, "about.py", in("a.npz")))
	if want := "{'run': '0123', 'channel': 'alice.signal', 'SIMULATED': True, 'unit': 'ps'}\n"; said != want {
		t.Errorf("about: %s", said)
	}
}
