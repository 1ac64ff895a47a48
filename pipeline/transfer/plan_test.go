package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/internal/need"
)

// planned is what a run of two channels of bob plans: three segments of each by one
// sink, and anything by another.
func planned() Plan {
	names := []string{"{channel}-{segment}.bin", "{channel}-{segment}.tags"}
	return Plan{Bytes: 1 << 20, Places: []Place{
		{Folder: "raw/bob/files", Names: names, Channels: []string{"signal", "a-1"}, Segments: 3, Files: 6},
		{Folder: "raw/bob/pictures", Channels: []string{"signal"}, Segments: 3, Files: 2},
	}}
}

func TestNamesOfThePlan(t *testing.T) {
	for name, want := range map[string]string{
		"raw/bob/files/signal-000000.bin":               "",
		"raw/bob/files/signal-000002.tags":              "",
		"raw/bob/files/a-1-000001.bin":                  "",
		"raw/bob/pictures/deep/er/x.png":                "",
		"raw/bob/files/signal-000003.bin":               "at most 3",
		"raw/bob/files/signal-999999.bin":               "at most 3",
		"raw/bob/files/signal-9223372036854775807.bin":  "at most 3",
		"raw/bob/files/signal-18446744073709551615.bin": "no file of this name",
		"raw/bob/files/signal-0000001.bin":              "no file of this name",
		"raw/bob/files/signal-00001.bin":                "no file of this name",
		"raw/bob/files/signal--00001.bin":               "no file of this name",
		"raw/bob/files/signal-+00001.bin":               "no file of this name",
		"raw/bob/files/signal-000001.exe":               "no file of this name",
		"raw/bob/files/idler-000001.bin":                "no file of this name",
		"raw/bob/files/deep/signal-000001.bin":          "no file of this name",
		"raw/bob/files/{channel}-{segment}.bin":         "no file of this name",
		"raw/bob/signal-000000.bin":                     "nothing of this node belongs into raw/bob",
		"raw/alice/files/signal-000000.bin":             "belongs into raw/alice",
		"raw/bob/files":                                 "belongs into raw/bob",
		"manifest.json":                                 "belongs into .",
		"":                                              "no path below the run directory",
		"raw/bob/pictures/../../../x":                   "no path below the run directory",
		"raw/bob/pictures//x":                           "no path below the run directory",
		"raw/bob/pictures/x.part":                       "kept for files under way",
		"raw/bob/pictures/.x":                           "kept for files under way",
	} {
		err := NewBudget(planned()).Take(name, 1)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

// Sizes of all kinds, alone and together, never take more than the plan has.
func TestSizesOfThePlan(t *testing.T) {
	for _, most := range []int64{0, 1, 1 << 20, 1 << 32, 1 << 62, math.MaxInt64} {
		p := planned()
		p.Bytes = most
		b := NewBudget(p)
		total := int64(0)
		for i, size := range []int64{math.MaxInt64, 1 << 53, 1 << 43, 1 << 32, 1<<32 - 1, 1 << 31, 1 << 20, 1, 0, -1, math.MinInt64} {
			name := fmt.Sprintf("raw/bob/files/signal-%06d.bin", i%3)
			if err := b.Take(name, size); err != nil {
				continue
			}
			if total += size; size < 0 || size > maxSize || total < 0 || total > most {
				t.Errorf("%d bytes were taken for files of %d bytes at most", total, most)
			}
		}
		if b.bytes != total {
			t.Errorf("%d bytes are taken, %d were", b.bytes, total)
		}
	}
	b := NewBudget(planned())
	for i := range 3 { // a folder has its number of files, and what is given back is there again
		if err := b.Take("raw/bob/pictures/x", 1<<18); (err != nil) != (i == 2) {
			t.Errorf("file %d: %v", i, err)
		}
	}
	b.Give("raw/bob/pictures/x", 1<<18)
	if err := b.Take("raw/bob/pictures/y", 1<<18); err != nil {
		t.Error(err)
	}
	if b.Bound(1); b.Take("raw/bob/files/signal-000000.bin", 1) == nil {
		t.Error("a bound that is lower than what was taken lets more be taken")
	}
}

// Announcements of a hostile node, however many, take no memory, no file and no name; what
// it may send it still can, and a finished file stays what it is.
func TestAnnouncementsBeyondThePlan(t *testing.T) {
	b := newBench(t)
	token := [16]byte{1}
	b.receiver.Admit(Admission{Token: token, Node: "bob", Dir: b.dir, Plan: planned()})
	for i := range 20_000 {
		f := File{ID: uint32(i), Name: fmt.Sprintf("raw/bob/files/x-%06d.bin", i), Size: int64(i)}
		if a := b.receiver.Ask(token, f); !strings.Contains(a.Refused, "not in the plan of this run") {
			t.Fatalf("%s: %+v", f.Name, a)
		}
	}
	s := b.receiver.session(token)
	if len(s.files) > 0 || len(s.names) > 0 || s.budget.bytes > 0 {
		t.Errorf("%d files, %d names and %d bytes are kept of what was refused", len(s.files), len(s.names), s.budget.bytes)
	}
	good := b.source("bob", 1, 1000)
	good.Name = "raw/bob/files/signal-000001.bin"
	if err := send(t, b.node("bob", 1, ""), good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(f *File){
		"larger":          func(f *File) { f.Size++ },
		"under a number":  func(f *File) { f.ID = 77 },
		"and other bytes": func(f *File) { f.ID, f.SHA256[0] = 78, f.SHA256[0]^1 },
	} {
		f := good
		f.Path = ""
		change(&f)
		if a := b.receiver.Ask(token, f); a.Refused == "" {
			t.Errorf("a finished file %s: %+v", what, a)
		}
	}
	b.arrived(good)
}

// What makes and opens files can do so in the node's folder alone, on each of its
// threads; the rest of the process is as free as before.
func TestClerkIsConfined(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "raw", "alice"), 0o755); err != nil {
		t.Fatal(err)
	}
	k := newClerk(dir, "bob")
	defer k.dismiss()
	<-k.ready
	if k.err != nil {
		t.Fatal(k.err)
	}
	if strings.Contains(k.outcome.Why, "no Landlock") {
		need.Kernel(t, k.outcome.Why)
	}
	if !k.outcome.Confined {
		t.Fatal("not confined: ", k.outcome.Why)
	}
	attempt := func(root *os.Root) error {
		for _, name := range []string{"manifest.json", "raw/alice/signal-000000.bin", "raw/x", "x"} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); !os.IsPermission(err) {
				t.Errorf("%s could be written: %v", name, err)
			}
		}
		if err := os.Symlink(dir, filepath.Join(dir, "raw", "bob", "link")); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "raw", "bob", "link", "x"), nil, 0o600); !os.IsPermission(err) {
			t.Errorf("a link leads out: %v", err)
		}
		if _, err := os.ReadDir(dir); !os.IsPermission(err) {
			t.Errorf("the run directory can be read: %v", err)
		}
		return errors.Join(root.Remove("link"), root.WriteFile("x", nil, 0o600), root.Rename("x", "y"), root.Remove("y"))
	}
	if err := k.do(attempt); err != nil {
		t.Error(err)
	}
	busy, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		_ = k.do(func(*os.Root) error { <-busy; return nil })
	}()
	if err := k.do(attempt); err != nil { // perhaps before the other, else on a second thread
		t.Error(err)
	}
	close(busy)
	<-done
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Errorf("the rest of this process is confined: %v", err)
	}
	left := 0
	filepath.WalkDir(filepath.Join(dir, "raw"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left++
		}
		return nil
	})
	if left > 0 {
		t.Errorf("%d files are left of the trials", left)
	}
}
