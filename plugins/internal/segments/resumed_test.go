package segments

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// resume is begin for a recording of one stream, a, of which another process has told so
// many segments.
func resume(t *testing.T, dir string, segment time.Duration, told int) (*recorder, error) {
	t.Helper()
	r := &recorder{dir: dir, seq: map[uint16]uint64{}}
	r.sink = ofFormat(tagfile.Bin)
	err := r.sink.Begin(t.Context(), sdk.Recording{Dir: dir, Segment: segment, Resumed: true, Closed: func(a sdk.Artifact) { r.closed = append(r.closed, a) },
		Streams: []sdk.RecordedStream{{Stream: 0, Name: "a", Told: told}}})
	if err != nil {
		_ = r.sink.Close()
	}
	return r, err
}

// TestResumed goes on behind the segments that were told of: it replaces what else was
// left, and nothing of these.
func TestResumed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a-000000.bin": "told", "a-000001.bin": "told", "a-000002.bin": "untold",
		".a-000002.bin.part": "part", ".a-000003.bin.part": "part", ".b-000003.bin.part": "another's"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := resume(t, dir, time.Microsecond, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.write(t.Context(), tag.Data, 0, 2_000_007, 0, 2_000_000, 2_000_007); err != nil {
		t.Fatal(err)
	}
	if err := r.write(t.Context(), tag.Data, 0, 3_000_001, 0, 3_000_000); err != nil {
		t.Fatal(err)
	}
	if err := r.write(t.Context(), tag.End, 0, 3_500_000, 0); err != nil {
		t.Fatal(err)
	}
	found := r.finish(t)
	if names := slices.Sorted(maps.Keys(found)); !slices.Equal(names, []string{".b-000003.bin.part", "a-000000.bin", "a-000001.bin", "a-000002.bin", "a-000003.bin"}) {
		t.Errorf("files %v", names)
	}
	if found["a-000000.bin"] != "told" || found["a-000001.bin"] != "told" || len(found["a-000002.bin"]) != 16 || len(found["a-000003.bin"]) != 8 {
		t.Errorf("%q", found)
	}
	if len(r.closed) != 2 || r.closed[0].Segment != 2 || r.closed[1].Segment != 3 || r.closed[0].First != 2_000_000 {
		t.Errorf("told of %+v", r.closed)
	}
}

// TestResumedAtTheEnd: all was told of, and only the end is missing.
func TestResumedAtTheEnd(t *testing.T) {
	r, err := resume(t, t.TempDir(), time.Microsecond, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.write(t.Context(), tag.End, 0, 3_000_000, 0); err != nil {
		t.Fatal(err)
	}
	if found := r.finish(t); len(r.closed) != 0 || len(found) != 0 {
		t.Errorf("told of %+v; files %q", r.closed, found)
	}
}

// TestResumedTooLate refuses more segments than there can be.
func TestResumedTooLate(t *testing.T) {
	for _, c := range []struct {
		segment time.Duration
		told    int
	}{{0, 1}, {time.Microsecond, maxIndex + 1}, {100 * 24 * time.Hour, 1 << 20}} {
		if _, err := resume(t, t.TempDir(), c.segment, c.told); err == nil {
			t.Errorf("%d segments of %v were told of, it says", c.told, c.segment)
		}
	}
}
