package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func FuzzParseSums(f *testing.F) {
	f.Add([]byte(strings.Repeat("a", 64) + "  raw/x\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		sums, err := parseSums(text)
		if err == nil && len(sums) != strings.Count(string(text), "\n") {
			t.Errorf("%d sums of %q", len(sums), text)
		}
	})
}

// TestLackOf: what this user may not read, or its disk does not give, is not missing.
func TestLackOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "unreadable"},
		{fmt.Errorf("x: %w", &fs.PathError{Op: "read", Path: "x", Err: syscall.EIO}), "unreadable"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, "missing"},
		{errors.New("not a regular file"), "missing"},
	} {
		if got := lackOf(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}

func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), LogFile)
	log, err := newLog(path)
	if err != nil {
		t.Fatal(err)
	}
	log.written = MaxLog - 100
	for range 3 {
		if err := log.AppendRemote("bob", []byte(`{"msg":"a line of some fifty bytes or more","level":"INFO"}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, last, ok := strings.Cut(string(text), "\n"); !ok || strings.Count(last, "\n") != 1 || !strings.Contains(last, `"lines_dropped":2`) {
		t.Errorf("a full log ends with %q", last)
	}
	if err := log.AppendRemote("bob", []byte(`{}`)); err == nil {
		t.Error("a closed log took a line")
	}
}
