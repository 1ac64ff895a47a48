package segments

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// TestCloseWithoutFinish: what was not finished does not look whole.
func TestCloseWithoutFinish(t *testing.T) {
	r := begin(t, t.TempDir(), tagfile.Bin, time.Nanosecond, "a", "quiet")
	if err := r.write(t.Context(), tag.Data, 0, 0, 0, 1, 1001); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.sink.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"a-000000.bin": bin(1), ".a-000001.bin.part": bin(1001)}
	if diff := cmp.Diff(want, files(t, r.dir)); diff != "" {
		t.Error(diff)
	}
	if len(r.closed) != 1 || r.closed[0].Path != "a-000000.bin" {
		t.Errorf("%+v", r.closed)
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	taken := t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, partName("a-000000.bin")), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		rec  sdk.Recording
		want string
	}{
		{"path", sdk.Recording{Dir: dir, Streams: []sdk.RecordedStream{{Name: "../a"}}}, `"../a" cannot be the name`},
		{"hidden", sdk.Recording{Dir: dir, Streams: []sdk.RecordedStream{{Name: ".a"}}}, "cannot be the name"},
		{"empty", sdk.Recording{Dir: dir, Streams: []sdk.RecordedStream{{Name: ""}}}, "cannot be the name"},
		{"same name", sdk.Recording{Dir: dir, Streams: []sdk.RecordedStream{{Stream: 1, Name: "a"}, {Stream: 2, Name: "a"}}}, `"a" is there twice`},
		{"same stream", sdk.Recording{Dir: dir, Streams: []sdk.RecordedStream{{Stream: 1, Name: "a"}, {Stream: 1, Name: "b"}}}, `"b" is there twice`},
		{"negative", sdk.Recording{Dir: dir, Segment: -1}, "between 0 and 213 days"},
		{"too long", sdk.Recording{Dir: dir, Segment: math.MaxInt64}, "between 0 and 213 days"},
		{"no directory", sdk.Recording{Dir: filepath.Join(dir, "absent")}, "absent: no such file"},
		{"file there", sdk.Recording{Dir: taken, Streams: []sdk.RecordedStream{{Name: "a"}}}, "file exists"},
	} {
		s := ofFormat(tagfile.Bin)
		if err := s.Begin(t.Context(), tt.rec); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", tt.name, err)
		}
	}
	if err := (&sink{}).Finish(t.Context()); err == nil {
		t.Error("finished without having begun")
	}
}

// TestDamagedTimes: a tag or a promise from the far future is refused before
// it fills the directory.
func TestDamagedTimes(t *testing.T) {
	r := begin(t, t.TempDir(), tagfile.Bin, time.Nanosecond, "a")
	st := r.sink.streams[0]
	st.index, st.start, st.last = maxIndex-1, 0, 999
	err := r.write(t.Context(), tag.Mark, 0, math.MaxUint64, 0)
	var f *sdk.Failure
	if !errors.As(err, &f) || f.Code != "too-many-segments" {
		t.Fatal(err)
	}
	if err := r.sink.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPublishedFileIsNeverReplaced: a file of that name that turned up meanwhile
// stays, and after it nothing more is published.
func TestPublishedFileIsNeverReplaced(t *testing.T) {
	r := begin(t, t.TempDir(), tagfile.Bin, time.Nanosecond, "a")
	if err := os.WriteFile(filepath.Join(r.dir, "a-000000.bin"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.write(t.Context(), tag.Data, 0, 0, 0, 1, 1001); err != nil {
		t.Fatal(err)
	}
	if err := r.sink.Finish(t.Context()); err == nil || !strings.Contains(err.Error(), "a-000000.bin: file already exists") {
		t.Error(err)
	}
	if err := r.sink.Close(); err != nil {
		t.Error(err)
	}
	want := map[string]string{"a-000000.bin": "precious", ".a-000000.bin.part": bin(1), ".a-000001.bin.part": bin(1001)}
	if diff := cmp.Diff(want, files(t, r.dir)); diff != "" || len(r.closed) != 0 {
		t.Error(diff, r.closed)
	}
}

// TestReplacedDirectory: a copy that stands where the recording began takes no name of a
// segment, and what has happened is said.
func TestReplacedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := begin(t, dir, tagfile.Bin, time.Nanosecond, "a")
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(dir+"-moved")); err != nil {
		t.Fatal(err)
	}
	if err := r.write(t.Context(), tag.Data, 0, 0, 0, 1, 1001); err != nil {
		t.Fatal(err)
	}
	var f *sdk.Failure
	if err := r.sink.Finish(t.Context()); !errors.As(err, &f) || f.Code != "directory-replaced" || !strings.Contains(f.Message, dir) {
		t.Errorf("%v", err)
	}
	if err := r.sink.Close(); err != nil {
		t.Error(err)
	}
	for name := range files(t, dir) {
		if !strings.HasSuffix(name, ".part") {
			t.Errorf("%s has its name, and is a copy", name)
		}
	}
	if len(r.closed) != 0 {
		t.Error(r.closed)
	}
	denied := &os.PathError{Op: "rename", Path: dir, Err: os.ErrPermission}
	open, err := openPlace(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := open.failure(denied); !errors.As(err, &f) || f.Code != "not-writable" {
		t.Errorf("a directory that is in its place: %v", err)
	}
	if err := os.Rename(dir, dir+"-again"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := open.failure(denied); !errors.As(err, &f) || f.Code != "directory-replaced" || !strings.Contains(f.Message, "rename") {
		t.Errorf("one that a sink may not write to: %v", err)
	}
}

func TestFailure(t *testing.T) {
	for err, code := range map[error]string{
		fmt.Errorf("write segment: %w", &os.PathError{Op: "write", Path: "x", Err: errNoSpace}): "disk-full",
		&os.PathError{Op: "write", Path: "x", Err: syscall.EFBIG}:                               "file-too-large",
		&os.PathError{Op: "open", Path: "x", Err: os.ErrPermission}:                             "not-writable",
		errors.New("input/output error"):                                                        "write-failed",
	} {
		var f *sdk.Failure
		if !errors.As(failure(t.TempDir(), err), &f) || f.Code != code || f.Hint == "" || !strings.Contains(f.Message, err.Error()) {
			t.Errorf("%v: %+v", err, f)
		}
	}
}
