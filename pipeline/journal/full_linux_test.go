package journal_test

import (
	"bytes"
	"context"
	"errors"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/journal"
)

// TestDiskIsFullForAWhile: what a disk does not take is written when it does, whole and
// in order; what is too much to wait in memory ends the journal, and nothing before it
// is lost.
func TestDiskIsFullForAWhile(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var usual syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &usual); err != nil {
		t.Skip(err)
	}
	limit := func(bytes uint64) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: usual.Max}); err != nil {
			t.Skip(err)
		}
	}
	for _, tooMuch := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "journal")
		j, err := journal.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		j.Await(j.Append([]byte("one")), time.Minute)
		func() {
			limit(100) // in the middle of a record
			defer limit(usual.Cur)
			j.Await(j.Append(bytes.Repeat([]byte("two"), 1000)), time.Minute)
			for late := time.Now().Add(time.Minute); j.Err() == nil && time.Now().Before(late); {
				time.Sleep(time.Millisecond)
			}
			over, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := j.Settle(over); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.EFBIG) {
				t.Errorf("it settles on a full disk: %v", err)
			}
			for i := 0; tooMuch && i <= journal.MaxQueued/journal.MaxRecord; i++ {
				j.Append(make([]byte, journal.MaxRecord))
			}
		}()
		if j.Err() == nil {
			t.Fatal("a full disk was not noticed")
		}
		j.Append([]byte("three"))
		if err := j.Settle(t.Context()); (err != nil) != tooMuch {
			t.Errorf("too much %v: it settles with %v", tooMuch, err)
		}
		err = j.Close()
		if (err != nil) != tooMuch {
			t.Errorf("too much %v: it is closed with %v", tooMuch, err)
		}
		var lengths []int
		if err := journal.Read(path, func(record []byte) error { lengths = append(lengths, len(record)); return nil }); err != nil {
			t.Error(err)
		}
		want := []int{3, 3000, 5}
		if tooMuch {
			want = want[:1]
		}
		if !slices.Equal(lengths, want) {
			t.Errorf("too much %v: records of %v bytes, want %v", tooMuch, lengths, want)
		}
	}
}
