package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/journal"
)

// history is what a recorded journal holds: records of all kinds of lengths.
func history(n int) (records []string) {
	for i := range n {
		records = append(records, fmt.Sprintf("%d:%s", i, strings.Repeat("x", i*i%97)))
	}
	return records
}

// recorded writes a journal and returns its bytes.
func recorded(t *testing.T, records []string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		if n := j.Append([]byte(r)); n != uint64(i+1) {
			t.Fatalf("record %d has number %d", i+1, n)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func replayed(b []byte) (records []string, size int64, err error) {
	_, size, err = journal.Replay(bytes.NewReader(b), func(r []byte) error {
		records = append(records, string(r))
		return nil
	})
	return records, size, err
}

// TestCutAnywhere is a crash: wherever a journal ends, it gives the records that
// were whole, and all of them.
func TestCutAnywhere(t *testing.T) {
	want := history(60)
	b := recorded(t, want)
	for n := 8; n <= len(b); n++ {
		got, size, err := replayed(b[:n])
		if err != nil || size > int64(n) || !same(got, want[:len(got)]) {
			t.Fatalf("cut to %d bytes: %d records, %d bytes, %v", n, len(got), size, err)
		}
		if _, whole, _ := replayed(b[:size]); whole != size {
			t.Fatalf("cut to %d bytes: %d are whole, and then %d", n, size, whole)
		}
		if n == len(b) && len(got) != len(want) {
			t.Fatalf("%d of %d records", len(got), len(want))
		}
	}
}

func same(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }

// TestChangedAnywhere flips bits, moves records and writes zeros: what comes before is
// given, nothing else.
func TestChangedAnywhere(t *testing.T) {
	want := history(25)
	b := recorded(t, want)
	for n := range b {
		for _, flip := range []byte{1, 0x80, 0xff} {
			changed := bytes.Clone(b)
			changed[n] ^= flip
			got, _, err := replayed(changed)
			if err != nil && n >= 8 || len(got) >= len(want) || !same(got, want[:len(got)]) {
				t.Fatalf("byte %d changed: %d records, %v", n, len(got), err)
			}
		}
	}
	zeros := append(bytes.Clone(b), make([]byte, 4096)...) // a file that grew before its bytes were written
	if got, size, err := replayed(zeros); err != nil || size != int64(len(b)) || !same(got, want) {
		t.Errorf("zeros at the end: %d records, %d bytes, %v", len(got), size, err)
	}
	twice := append(bytes.Clone(b), b[8:]...) // records that are another's
	if got, _, err := replayed(twice); err != nil || !same(got, want) {
		t.Errorf("records again: %d, %v", len(got), err)
	}
}

// TestOpenGoesOn: a torn journal is cut to what is whole and appended to.
func TestOpenGoesOn(t *testing.T) {
	want := history(10)
	b := recorded(t, want)
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, append(b[:len(b)-1:len(b)-1], "torn"...), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	keep := func(r []byte) error { got = append(got, string(r)); return nil }
	j, err := journal.Open(path, keep)
	if err != nil || !same(got, want[:9]) {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if _, err := journal.Open(path, keep); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	j.Hold()
	if n := j.Append([]byte("more")); n != 10 || !j.Await(n, time.Minute) || !j.Written(n) {
		t.Errorf("record %d is not written", n)
	}
	j.Release()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	got = nil
	if err := journal.Read(path, keep); err != nil || !same(got, append(want[:9:9], "more")) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestWhatIsNoJournal is refused.
func TestWhatIsNoJournal(t *testing.T) {
	dir := t.TempDir()
	none := func([]byte) error { return nil }
	for name, b := range map[string]string{"empty": "", "short": "TSRUN", "other": "{\"some\": \"json\"}"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := journal.Open(path, none); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "absent"), "/dev/null"} {
		if err := journal.Read(path, none); err == nil {
			t.Errorf("%s: read", path)
		}
	}
	if _, err := journal.Create(filepath.Join(dir, "other")); err == nil {
		t.Error("a file that is there was made anew")
	}
}

// TestRecordsThatCannotBe: a journal that fails says so, waits for nobody, and keeps
// what came before.
func TestRecordsThatCannotBe(t *testing.T) {
	for _, bad := range [][]byte{nil, make([]byte, journal.MaxRecord+1)} {
		path := filepath.Join(t.TempDir(), "journal")
		j, err := journal.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		j.Await(j.Append([]byte("one")), time.Minute)
		if n := j.Append(bad); !j.Await(n, time.Minute) || j.Err() == nil {
			t.Errorf("a record of %d bytes: %v", len(bad), j.Err())
		}
		if err := j.Close(); err == nil {
			t.Error("closed without an error")
		}
		var got []string
		if err := journal.Read(path, func(r []byte) error { got = append(got, string(r)); return nil }); err != nil || !same(got, []string{"one"}) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte("TSRUNJ1\n"))
	f.Add([]byte("TSRUNJ1\n\x01\x00\x00\x00\x00\x00\x00\x00x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, size, err := journal.Replay(bytes.NewReader(b), func(r []byte) error {
			if len(r) == 0 {
				t.Error("an empty record")
			}
			return nil
		})
		if err != nil && (n != 0 || size != 0) || size > int64(len(b)) {
			t.Errorf("%d records, %d of %d bytes, %v", n, size, len(b), err)
		}
	})
}

// BenchmarkAppend is what a fact costs the goroutine that keeps it.
func BenchmarkAppend(b *testing.B) {
	j, err := journal.Create(filepath.Join(b.TempDir(), "journal"))
	if err != nil {
		b.Fatal(err)
	}
	record := bytes.Repeat([]byte("x"), 600)
	for b.Loop() {
		j.Append(record)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/record")
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}
