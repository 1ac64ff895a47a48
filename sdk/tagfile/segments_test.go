package tagfile

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSegments(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i, tags := range [][]uint64{{1, 5}, {}, {5, 6, 7}, {}, {1 << 63}} {
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("s-%06d.bin", i)))
		if err := WriteFile(paths[i], Bin, 0, tags); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n < 8; n++ {
		r := OpenSegments(paths, "", OnlyChannel)
		got, err := drain(r, n)
		if err != nil || r.Close() != nil || !slices.Equal(got, []uint64{1, 5, 5, 6, 7, 1 << 63}) {
			t.Errorf("by %d: %v, %v", n, got, err)
		}
	}
	r := OpenSegments([]string{paths[2], paths[0]}, "", OnlyChannel)
	if _, err := drain(r, 10); err == nil || !strings.Contains(err.Error(), "s-000000.bin: it begins at 1 ps, before the end of the segment before it at 7 ps") {
		t.Error(err)
	}
	r.Close()
	backwards := filepath.Join(dir, "b-000000.bin")
	if err := WriteFile(backwards, Bin, 0, []uint64{1, 5, 4}); err != nil {
		t.Fatal(err)
	}
	r = OpenSegments([]string{backwards}, "", OnlyChannel)
	if got, err := drain(r, 10); err == nil || len(got) != 0 || !strings.Contains(err.Error(), "it goes back in time: 1 tag, the farthest by 1 ps") {
		t.Error(got, err)
	}
	r.Close()
	r = OpenSegments([]string{paths[0], filepath.Join(dir, "absent.bin")}, "", OnlyChannel)
	if got, err := drain(r, 10); err == nil || len(got) != 2 {
		t.Error(got, err)
	}
	r = OpenSegments(paths, "", OnlyChannel)
	if _, err := r.Next(make([]uint64, 1)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := r.Next(make([]uint64, 1)); err == nil {
		t.Error("read after Close")
	}
}
