package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/run"
)

// TestNatsSink kills the hub in the middle of a run, then the sink, and starts the hub
// again: the run is good, and what follow writes of the hub's stream is its files. What
// the stages found is there, too, and a hub that is away costs a warning.
func TestNatsSink(t *testing.T) {
	t.Parallel()
	plugins, work := ownModule(t, "sink-nats"), t.TempDir()
	url := fmt.Sprintf("127.0.0.1:%d", ownPort(t, "127.0.0.1"))
	write(t, filepath.Join(work, "token"), "secret\n")
	hub := func() *tsrun {
		h := start(t, work, []string{"env", "TSRUN_PLUGINS=" + plugins}, "hub", "--store", "hub", "--listen", url, "--token-file", "token")
		eventually(t, 30*time.Second, "the hub listens", func() bool { return strings.Contains(h.stdout.String(), "listening") })
		return h
	}
	first := hub()
	text, err := os.ReadFile(shipped(t, "single.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	recipe := filepath.Join(work, "nats.yaml")
	live := strings.Replace(string(text), "raw: {sink: sink-file, config: {format: bin}}", `live: {sink: sink-nats, config: {url: "nats://`+url+`", token_file: token, format: tags}}
  found: {sink: sink-nats, takes: results, config: {url: "nats://`+url+`", token_file: token}}
  away: {sink: sink-nats, takes: results, config: {url: "nats://127.0.0.1:1", patience: 1 s}}`, 1)
	if err := os.WriteFile(recipe, []byte(live), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, work, nil, append([]string{recipe, "--plugin-dir", plugins, "--json", "--set", "acquire.duration=4 s", "--set", "acquire.segment=200 ms"}, freePorts...)...)
	here := func(segment string) func() bool {
		return func() bool {
			return strings.Contains(p.stdout.String(), `"file":"raw/here/click-`+segment+`.tags"`)
		}
	}
	eventually(t, 60*time.Second, "a file is here", here("000000"))
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, "a file is here without a hub", here("000003"))
	members := family(t, p.cmd.Process.Pid)
	sink := slices.IndexFunc(members, func(m process) bool { return strings.Contains(m.command, "sink-nats") })
	if err := syscall.Kill(members[sink].pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	hub()
	if code := p.wait(120 * time.Second); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, p.stdout.String(), p.stderr.String())
	}
	dir, m := latest(t, work)
	if !run.IsGood(m.Condition) {
		t.Errorf("condition %v, reasons %v", m.Condition, m.Reasons)
	}
	contains(t, p.stdout.String(), "sink live died and was started anew", "sink away of results")
	if len(m.ResultSinks) != 2 {
		t.Fatalf("%+v", m.ResultSinks)
	}
	for _, s := range m.ResultSinks {
		if found := s.Sink == "found"; found && (s.Messages != 1 || s.Failed != "") || !found && (s.Messages != 0 || !strings.Contains(s.Failed, "has taken nothing for 1 s")) {
			t.Errorf("%+v", s)
		}
	}
	says, err := os.ReadFile(filepath.Join(dir, "raw/here/nats.json"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(says), `"incomplete": false`, `"sync_known_by": "hub"`, `"acknowledged_is_durable": true`)
	sameAgain(t, work, plugins, url, m)
}

// sameAgain follows a run and compares the files that this writes with the run's.
func sameAgain(t *testing.T, work, plugins, url string, m *run.Manifest) {
	t.Helper()
	f := start(t, work, []string{"env", "TSRUN_PLUGINS=" + plugins}, "follow", "nats://"+url, m.Run, "--token-file", "token", "--count", "--out", "copy")
	if code := f.wait(60 * time.Second); code != 0 {
		t.Fatalf("follow: exit code %d\n%s", code, f.stderr.String())
	}
	files := 0
	for _, s := range m.Segments {
		if !s.HoldsTags() {
			continue
		}
		files++
		whole, err := os.ReadFile(filepath.Join(work, "copy/here", filepath.Base(s.File)))
		if got := fmt.Sprintf("%x", sha256.Sum256(whole)); err != nil || got != s.SHA256 {
			t.Errorf("%s was written again with SHA-256 %s, it has %s; %v", s.File, got, s.SHA256, err)
		}
	}
	again, err := filepath.Glob(filepath.Join(work, "copy/here/*"))
	if err != nil || files < 30 || len(again) != files {
		t.Errorf("%d files of %d were written again, %v", len(again), files, err)
	}
}
