package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestInterruptedFileLeavesNothing: Ctrl-C while a table is written ends the writing, and
// leaves neither the file nor what was written of it.
func TestInterruptedFileLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	deadline := time.Now().Add(time.Minute)
	err := writeWhole(filepath.Join(dir, "table.csv"), func(out io.Writer) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			return err
		}
		for time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
			if _, err := io.WriteString(out, "1,2\n"); err != nil {
				return err
			}
		}
		return nil
	})
	var code *exitError
	if !errors.As(err, &code) || code.code != exitInterrupted {
		t.Errorf("it ended with %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if err := writeWhole(filepath.Join(dir, "table.csv"), func(out io.Writer) error { _, err := io.WriteString(out, "1\n"); return err }); err != nil {
		t.Error(err)
	}
}
