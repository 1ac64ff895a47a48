package run_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

func readLog(t *testing.T, d *run.Directory) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.Path(), run.LogFile))
	if err != nil {
		t.Fatal(err)
	}
	var lines []map[string]any
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var line map[string]any
		if err := decoder.Decode(&line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("log line %d: %v", len(lines)+1, err)
		}
		lines = append(lines, line)
	}
	if n := bytes.Count(text, []byte("\n")); n != len(lines) {
		t.Errorf("%d objects on %d lines", len(lines), n)
	}
	return lines
}

func TestLogKeepsLinesApart(t *testing.T) {
	d := runtest.NewDirectory(t)
	const writers, each = 8, 50
	var all sync.WaitGroup
	for w := range writers {
		all.Add(1)
		go func() {
			defer all.Done()
			local := slog.New(d.Log().Handler("alice", slog.LevelDebug))
			for i := range each {
				if w%2 == 0 {
					local.Debug("block counted", "seq", i, "text", strings.Repeat("x", i*20))
				} else if err := d.Log().AppendRemote("bob", []byte(`{"time":"t","level":"INFO","msg":"m","seq":1}`)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	lines := readLog(t, d)
	if len(lines) != writers*each {
		t.Errorf("%d lines, want %d", len(lines), writers*each)
	}
	for _, line := range lines {
		if line["node"] != "alice" && line["node"] != "bob" || line["msg"] == "" {
			t.Fatalf("line without node or message: %v", line)
		}
	}
}

func TestAppendRemote(t *testing.T) {
	for _, c := range []struct{ name, line, msg string }{
		{"object", `{"msg":"hello","z":1,"time":"now"}`, "hello"},
		{"claims to be another node", `{"node":"alice","msg":"hello"}`, "hello"},
		{"says node twice", `{"node":"alice","msg":"hello","node":"carol"}`, "hello"},
		{"broken over lines", "{\"msg\":\n\"hello\"}", "hello"},
		{"not JSON", `panic: oh`, "panic: oh"},
		{"not an object", `[1,2]`, "[1,2]"},
		{"null", `null`, "null"},
		{"not UTF-8", "\xff\xfeplain", "\uFFFDplain"},
		{"too long", strings.Repeat("y", run.MaxLogLine+1), strings.Repeat("y", run.MaxLogLine/8)},
		{"too long in JSON", `{"msg":"` + strings.Repeat("\x01", run.MaxLogLine/2) + `"}`, `{"msg":"` + strings.Repeat("\x01", run.MaxLogLine/8-8)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := runtest.NewDirectory(t)
			if err := d.Log().AppendRemote("bob", []byte(c.line)); err != nil {
				t.Fatal(err)
			}
			lines := readLog(t, d)
			if len(lines) != 1 || lines[0]["node"] != "bob" || lines[0]["msg"] != c.msg {
				t.Errorf("logged %.200v", lines)
			}
		})
	}
}

func FuzzAppendRemote(f *testing.F) {
	f.Add([]byte(`{"msg":"x"}`))
	f.Add([]byte("\x00\xff{"))
	f.Add([]byte(`{"a":{"b":[1,2,{"c":null}]},"node":7}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		d := runtest.NewDirectory(t)
		if err := d.Log().AppendRemote("bob", line); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(d.Path(), run.LogFile))
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(line)) == 0 {
			return
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil || got["node"] != "bob" || bytes.Count(text, []byte("\n")) != 1 {
			t.Fatalf("%q became %q (%v)", line, text, err)
		}
	})
}
