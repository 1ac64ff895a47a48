package run

import (
	"os"
	"path/filepath"
	"strings"
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
