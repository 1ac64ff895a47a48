package slave

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestGrowth: a sink that takes tags and writes none is told, once, and then given
// up; whatever grows gives it its whole time again.
func TestGrowth(t *testing.T) {
	const (
		few  = stillTags / 1000
		many = stillTags / 4
	)
	type step struct {
		bytes, files int64
		tags         uint64 // that come in this second
	}
	still := func(seconds int, tags uint64) (steps []step) {
		return slices.Repeat([]step{{100, 1, tags}}, seconds)
	}
	for _, c := range []struct {
		name    string
		segment time.Duration
		steps   []step
		stands  int // seconds until each, 0: not
		ends    int
	}{
		{"at once", time.Second, still(40, many), 10, 30},
		{"few tags say nothing", time.Second, still(40, few), 0, 0},
		{"long segments", time.Minute, still(130, many), 90, 120},
		{"bytes", time.Second, append(still(20, many), append([]step{{101, 1, many}}, slices.Repeat([]step{{101, 1, many}}, 29)...)...), 10, 0},
		{"files", time.Second, append(still(20, many), append([]step{{100, 2, many}}, slices.Repeat([]step{{100, 2, many}}, 29)...)...), 10, 0},
		{"and stands again", time.Second, append(still(20, many), append([]step{{0, 2, many}}, slices.Repeat([]step{{0, 2, many}}, 31)...)...), 10, 50},
	} {
		g := newGrowth(c.segment)
		now, tags, told, ended := time.Unix(0, 0), uint64(0), 0, 0
		for i, s := range c.steps {
			tags += s.tags
			switch g.note(now.Add(time.Duration(i)*time.Second), s.bytes, s.files, tags) {
			case stands:
				if told == 0 {
					told = i
				}
			case standsTooLong:
				if ended == 0 {
					ended = i
				}
			}
		}
		if told != c.stands || ended != c.ends {
			t.Errorf("%s: told after %d s and given up after %d s, want %d and %d", c.name, told, ended, c.stands, c.ends)
		}
	}
}

func TestSizeOf(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"x": 3, "a/.y.part": 4} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if n := sizeOf(dir); n != 7 {
		t.Errorf("%d bytes, want 7", n)
	}
	if n := sizeOf(filepath.Join(dir, "nowhere")); n != 0 {
		t.Errorf("%d bytes where nothing is", n)
	}
}
