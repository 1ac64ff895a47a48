package scaffold

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "taken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		plugin Plugin
		says   string
	}{
		{Plugin{Name: "", SDK: "../.."}, "not a plugin name"},
		{Plugin{Name: "../tc-foo", SDK: "../.."}, "not a plugin name"},
		{Plugin{Name: "-foo", SDK: "../.."}, "not a plugin name"},
		{Plugin{Name: strings.Repeat("a", 64), SDK: "../.."}, "not a plugin name"},
		{Plugin{Name: "taken", SDK: "../.."}, "already"},
		{Plugin{Name: "tc-foo", SDK: dir}, "--sdk"},
		{Plugin{Name: "tc-foo"}, "--sdk"}, // a test is no program in a checkout
	} {
		c.plugin.Dir = dir
		if at, err := New(c.plugin); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %s, %v; want %q", c.plugin, at, err, c.says)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("what was refused has left %v", left)
	}
}

// TestNewSaysNothingOfItsTemplates: no mark of a template is left in a file.
func TestNewSaysNothingOfItsTemplates(t *testing.T) {
	for _, p := range []Plugin{{Name: "tc-x"}, {Name: "sink-x", Sink: true}, {Name: "tc-y", Python: true}, {Name: "sink-y", Sink: true, Python: true}} {
		p.Dir, p.SDK = t.TempDir(), "../.."
		dir, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() || strings.HasSuffix(path, "go.sum") {
				return err
			}
			text, err := os.ReadFile(path)
			count++
			if s := string(text); strings.Contains(s, "{"+"{") || strings.Contains(s, "-py-py") || len(text) == 0 {
				t.Errorf("%s: %s", path, s)
			}
			return err
		})
		if err != nil || count < 6 {
			t.Errorf("%s has %d files: %v", p.Name, count, err)
		}
	}
}
