package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tsrun/pipeline/journal"
)

// TestTail: however a journal grows, each of its records is read once, when it is whole.
func TestTail(t *testing.T) {
	want := history(40)
	whole := recorded(t, want)
	path := filepath.Join(t.TempDir(), "journal")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var tail journal.Tail
	var got []string
	refuse := true
	apply := func(r []byte) error {
		if len(got) == 7 && refuse {
			refuse = false
			return fmt.Errorf("not now")
		}
		got = append(got, string(r))
		return nil
	}
	for i := range whole {
		if _, err := file.Write(whole[i : i+1]); err != nil {
			t.Fatal(err)
		}
		refused := refuse
		if err := tail.Read(path, apply); (err != nil) != (refused && !refuse) {
			t.Fatalf("%d bytes: %v", i+1, err)
		}
		replays, _, err := replayed(whole[:i+1])
		if i >= 8 && (err != nil || len(got) < len(replays)-1 || len(got) > len(replays)) {
			t.Fatalf("%d bytes: %d records, replayed are %d, %v", i+1, len(got), len(replays), err)
		}
	}
	if !slices.Equal(got, want) || tail.Records() != uint64(len(want)) {
		t.Errorf("%d records: %.200q", tail.Records(), got)
	}
	if err := (&journal.Tail{}).Read(filepath.Dir(path), apply); err == nil {
		t.Error("a directory is read")
	}
}
