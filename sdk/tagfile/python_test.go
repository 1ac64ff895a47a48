package tagfile

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/internal/need"
)

// apart are times that try every width of number.
func apart() []uint64 {
	tags := []uint64{0, 0, 1, 1<<25 - 1, 1 << 25, 1<<25 + 1, 1 << 26, 5 << 25}
	for at := 30; at < 63; at += 3 {
		tags = append(tags, 1<<at, 1<<at+1, 1<<at+1<<25)
	}
	return append(tags, 1<<63-1)
}

func python(t *testing.T, interpreter string, args ...string) string {
	t.Helper()
	cmd := exec.Command(interpreter, args...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.String())
	}
	return string(out)
}

// TestPTUByAnotherReader: a program with nothing in common with the writer
// finds the same tags on the same inputs.
func TestPTUByAnotherReader(t *testing.T) {
	interpreter := need.Python(t, "struct", "python3")
	path := filepath.Join(t.TempDir(), "x.ptu")
	var want strings.Builder
	var text strings.Builder
	for i, tag := range apart() {
		channel := []int{1, 0, 64, 2, 33}[i%5]
		fmt.Fprintf(&text, "%d;%d\n", channel, tag)
		fmt.Fprintf(&want, "%d %d\n", channel, tag)
	}
	if _, err := Convert(t.Context(), write(t, "x.txt", []byte(text.String())), path, ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), python(t, interpreter, "testdata/ptu.py", path)); diff != "" {
		t.Error(diff)
	}
}

// TestNPYByNumpy: numpy reads the arrays that are written, and what numpy
// writes is read.
func TestNPYByNumpy(t *testing.T) {
	interpreter := need.Python(t, "numpy", "python3-numpy")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	tags := apart()
	if err := WriteFile(in("one.npy"), NPY, 1, tags); err != nil {
		t.Fatal(err)
	}
	writeChannels(t, in("two.tags"), map[int][]uint64{-3: tags, 70_000: {5}})
	if _, err := Convert(t.Context(), in("two.tags"), in("two.npy"), ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	got := python(t, interpreter, "testdata/npy.py", dir)
	list := strings.Trim(fmt.Sprint(tags), "[]")
	if want := fmt.Sprintf("uint64 (%d,) %s\n[('channel', '<i4'), ('ps', '<u8')] (%d,) %s 70000\n", len(tags), list, len(tags)+1, list); got != want {
		t.Errorf("numpy sees\n%swant\n%s", got, want)
	}
	readNumpys(t, in, tags)
}

// readNumpys reads what testdata/npy.py wrote of the tags.
func readNumpys(t *testing.T, in func(name string) string, tags []uint64) {
	t.Helper()
	for name, want := range map[string][]uint64{
		"one": tags, "i8": tags[:len(tags)-1], "big": tags, "u4": tags[:8], "v2": tags, "v3": tags, "rows": tags, "fields": tags,
	} {
		r, err := ReadRecording(in(name+".npy"), "")
		channel := 1
		if name == "rows" || name == "fields" {
			channel = 7
		}
		if err != nil || !slices.Equal(r.Channels[channel], want) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	for name, want := range map[string]string{
		"double":   `its numbers are of type "<f8", want integers`,
		"negative": "record 0 is at -1 ps, before 0, where tags do not go; raise all times of the recording by the same first: tsrun convert IN OUT --shift",
		"three":    "its shape is [2 3], want (n,), or (n, 2)",
		"fortran":  "its shape is [3 2], want (n,), or (n, 2) in C order",
		"nameless": `its records have fields ["a"]; none is a time`,
		"scalar":   "gives no shape of an array of tags",
	} {
		if _, err := ReadRecording(in(name+".npy"), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	whole, err := os.ReadFile(in("one.npy"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRecording(write(t, "cut.npy", whole[:len(whole)-1]), ""); err == nil || !strings.Contains(err.Error(), "it ends within a record of 8 bytes, 7 bytes after the last whole one; the file is cut off") {
		t.Error(err)
	}
}
