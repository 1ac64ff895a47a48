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

	"tsrun/sdk"
)

func TestOpenFiles(t *testing.T) {
	if err := errors.Join(checkOpenFiles(64, 64), checkOpenFiles(1<<40, 0), CheckOpenFiles(1)); err != nil {
		t.Error(err)
	}
	var f *sdk.Failure
	if err := checkOpenFiles(2000, 1024); !errors.As(err, &f) || f.Code != "open-files" || !strings.Contains(f.Message, "1024") || !strings.Contains(f.Hint, "ulimit -n 2000") {
		t.Error(err)
	}
	for err, says := range map[error]string{
		fmt.Errorf("start: %w", &os.PathError{Op: "fork/exec", Path: "x", Err: syscall.EMFILE}): "ulimit -n",
		fmt.Errorf("start: %w", syscall.ENFILE):                                                 "fs.file-max",
		fs.ErrNotExist:                                                                          "",
	} {
		if got := Circumstances(err); !strings.Contains(got, says) || (got == "") != (says == "") {
			t.Errorf("%v: %q", err, got)
		}
	}
}

// TestDeletedCurrentDirectory: a path that is not absolute leads nowhere, and that is said.
func TestDeletedCurrentDirectory(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(gone)
	if err := os.Remove(gone); err != nil {
		t.Skip(err) // some systems keep a directory that somebody is in
	}
	var f *sdk.Failure
	if err := CheckPath("runs"); !errors.As(err, &f) || f.Code != "no-directory" || !strings.Contains(f.Error(), "was deleted") {
		t.Errorf("%v", err)
	}
	if err := CheckPath(os.TempDir()); err != nil {
		t.Error(err)
	}
	if got := Circumstances(fs.ErrNotExist); !strings.Contains(got, "was deleted") {
		t.Error(got)
	}
}
