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
	var files []Segment
	for i, tags := range [][]uint64{{1, 5}, {}, {5, 6, 7}, {}, {1 << 63}} {
		files = append(files, segmentOf(t, filepath.Join(dir, fmt.Sprintf("s-%06d.bin", i)), tags...))
	}
	for n := 1; n < 8; n++ {
		r := OpenSegments(files, "", OnlyChannel)
		got, err := drain(r, n)
		if err != nil || r.Close() != nil || !slices.Equal(got, []uint64{1, 5, 5, 6, 7, 1 << 63}) {
			t.Errorf("by %d: %v, %v", n, got, err)
		}
	}
	r := OpenSegments([]Segment{files[2], files[0]}, "", OnlyChannel)
	if _, err := drain(r, 10); err == nil || !strings.Contains(err.Error(), "s-000000.bin: it begins at 1 ps, before the end of the segment before it at 7 ps") {
		t.Error(err)
	}
	r.Close()
	r = OpenSegments([]Segment{segmentOf(t, filepath.Join(dir, "b-000000.bin"), 1, 5, 4)}, "", OnlyChannel)
	if got, err := drain(r, 10); err == nil || len(got) != 0 || !strings.Contains(err.Error(), "it goes back in time: 1 tag, the farthest by 1 ps") {
		t.Error(got, err)
	}
	r.Close()
	r = OpenSegments([]Segment{files[0], {Path: filepath.Join(dir, "absent.bin")}}, "", OnlyChannel)
	if got, err := drain(r, 10); err == nil || len(got) != 2 {
		t.Error(got, err)
	}
	r = OpenSegments(files, "", OnlyChannel)
	if _, err := r.Next(make([]uint64, 1)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := r.Next(make([]uint64, 1)); err == nil {
		t.Error("read after Close")
	}
}

// segmentOf writes a segment, and says what it holds.
func segmentOf(t *testing.T, path string, tags ...uint64) Segment {
	t.Helper()
	if err := WriteFile(path, Bin, 0, tags); err != nil {
		t.Fatal(err)
	}
	s := Segment{Path: path, Tags: uint64(len(tags))}
	if len(tags) > 0 {
		s.First, s.Last = tags[0], tags[len(tags)-1]
	}
	return s
}

// TestSegmentsThatWereChanged: other tags than were written are an error of their file,
// whichever they are.
func TestSegmentsThatWereChanged(t *testing.T) {
	for name, now := range map[string][]uint64{
		"cut": {5, 6}, "empty": nil, "longer": {5, 6, 7, 8}, "begins later": {6, 7, 8}, "ends earlier": {5, 5, 6}, "one more within": {5, 6, 6, 7},
	} {
		dir := t.TempDir()
		before := segmentOf(t, filepath.Join(dir, "a.bin"), 1, 2)
		was := segmentOf(t, filepath.Join(dir, "b.bin"), 5, 6, 7)
		was.Path = segmentOf(t, filepath.Join(dir, "c.bin"), now...).Path
		for n := 1; n < 5; n++ {
			r := OpenSegments([]Segment{before, was}, "", OnlyChannel)
			_, err := drain(r, n)
			if err == nil || !strings.Contains(err.Error(), "c.bin: it holds ") || !strings.Contains(err.Error(), "3 tags from 5 ps to 7 ps were written; the file was changed") {
				t.Errorf("%s, by %d: %v", name, n, err)
			}
			r.Close()
		}
	}
	r := OpenSegments([]Segment{segmentOf(t, filepath.Join(t.TempDir(), "none.bin"))}, "", OnlyChannel)
	if got, err := drain(r, 3); err != nil || len(got) > 0 {
		t.Errorf("a segment without tags: %v, %v", got, err)
	}
}
