package run_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// refusedThere expects that no run directory can be made in a place, that the hint
// says why, and that nothing is left there.
func refusedThere(t *testing.T, root, hint string) {
	t.Helper()
	d, err := run.Create(root, "full", time.Now())
	if err == nil {
		d.Close()
		t.Fatal("it was made")
	}
	var failure *sdk.Failure
	if !errors.As(err, &failure) || !strings.Contains(failure.Hint, hint) {
		t.Errorf("%v, want a hint with %q", err, hint)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestCreateLeavesNothingOnAFullDisk(t *testing.T) {
	refusedThere(t, need.Disk(t, "512k"), "free some space")
}

func TestDiskWithoutFiles(t *testing.T) {
	root := need.Disk(t, "8m,nr_inodes=40")
	free, known := run.FreeFiles(root)
	if !known || free <= 0 || free > 40 {
		t.Fatalf("%d files can be made, %v", free, known)
	}
	if err := run.CheckFiles(root, free); err != nil {
		t.Error(err)
	}
	var failure *sdk.Failure
	if err := run.CheckFiles(root, free+1); !errors.As(err, &failure) || !strings.Contains(err.Error(), fmt.Sprint(free)) || failure.Hint == "" {
		t.Errorf("%d files are said to fit: %v", free+1, err)
	}
	full := filepath.Join(root, "full")
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range free - 1 {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refusedThere(t, full, "no more files")
}

// TestFilesHonourTheUmask: who lets nobody read is not read. No test of this package
// runs beside this one, because a umask is of the whole process.
func TestFilesHonourTheUmask(t *testing.T) {
	for umask, want := range map[int]os.FileMode{0o022: 0o644, 0o077: 0o600, 0: 0o644} {
		path := filepath.Join(t.TempDir(), "answer.csv")
		before := unix.Umask(umask)
		err := run.Atomically(path, func(out io.Writer) error { _, err := io.WriteString(out, "1\n"); return err })
		unix.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("umask %03o gives %v, %v; want %v", umask, info.Mode(), err, want)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("beside it are %v", left)
		}
	}
}
