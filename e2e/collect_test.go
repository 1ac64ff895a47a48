package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// TestCollectFromDamagedAndInterrupted: a node holds three recordings, of which one is
// damaged since. Over TLS a collect is killed while files come, and the next has all that
// is whole, the oldest first, and once; the damaged one stays where it is, and both ends
// say so. What no recipe allows is not recorded at all.
func TestCollectFromDamagedAndInterrupted(t *testing.T) {
	t.Parallel()
	own := need.Address(t)
	work, recipe := t.TempDir(), hurried(t, "pace: 10 ms", "pace: 10 ms", "acquire: {duration: 300 ms, segment: 100 ms}\nnetwork: {join: 2 min}\n")
	here := filepath.Join(t.TempDir(), "keys")
	tsrunKeys(t, here, "keys", "init")
	out := filepath.Join(t.TempDir(), "out")
	tsrunKeys(t, here, "keys", "issue", "bob", out)

	refused := start(t, work, nil, "--mode", "slave", "--node", "bob", "--local", recipe, "--data", "bob", "--set", "acquire.duration=never")
	if code := refused.wait(30 * time.Second); code != 4 {
		t.Errorf("a recipe that is none: exit code %d\n%s", code, refused.stderr.String())
	}
	contains(t, refused.stderr.String(), "acquire.duration")
	if entries, err := os.ReadDir(filepath.Join(work, "bob")); err == nil && len(entries) > 0 {
		t.Errorf("a refused recipe has left %v", entries)
	}
	port := fmt.Sprint(ownPort(t, own))
	sets := []string{"--set", "nodes.bob.host=remote", "--set", "network.master=" + own, "--set", "network.ports.status=" + port, "--set", "network.ports.files=" + fmt.Sprint(ownPort(t, own))}
	for range 3 {
		p := start(t, work, nil, append([]string{"--mode", "slave", "--node", "bob", "--local", recipe, "--data", "bob"}, sets...)...)
		if code := p.wait(30 * time.Second); code != 0 && code != 3 { // 3: this PC was held up
			t.Fatalf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
		}
	}
	waiting := run.WaitingIn(filepath.Join(work, "bob"), "bob")
	if len(waiting) != 3 {
		t.Fatalf("%d recordings", len(waiting))
	}
	flip(t, filepath.Join(waiting[1].Path, "raw", "bob", "b-000001.bin"))
	whole := slices.Concat(tagFiles(t, waiting[0].Path), tagFiles(t, waiting[2].Path))
	slices.Sort(whole)

	collect := func() *tsrun {
		return start(t, work, nil, append([]string{"collect", recipe, "--runs", "runs", "--keys", here}, sets...)...)
	}
	killed := collect()
	slave := start(t, work, nil, "--mode", "slave", "--node", "bob", "--data", "bob", "--master", net.JoinHostPort(own, port), "--keys", keysDir(t, "node-bob.key", contentOf(t, out, "node-bob.key")))
	eventually(t, 30*time.Second, "files on their way", func() bool {
		begun, _ := filepath.Glob(filepath.Join(work, "runs", ".collecting-bob-*"))
		return len(begun) > 0
	})
	_ = killed.cmd.Process.Signal(syscall.SIGKILL)
	<-killed.ended

	again := collect()
	if code := again.wait(2 * time.Minute); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, again.stderr.String(), slave.stderr.String())
	}
	contains(t, again.stderr.String(), "stays there", "b-000001.bin", "is not what was recorded any more")
	contains(t, slave.stderr.String(), "stays here", "b-000001.bin")
	var got []string
	dirs := strings.Fields(again.stdout.String())
	list, _ := filepath.Glob(filepath.Join(work, "runs", "2*"))
	if len(list) != 2 || len(dirs) == 0 {
		t.Fatalf("runs %q, told %q", list, dirs)
	}
	for _, dir := range list {
		good(t, runTsrun(t, work, "verify", dir))
		got = append(got, tagFiles(t, dir)...)
	}
	if slices.Sort(got); !slices.Equal(got, whole) {
		t.Errorf("collected %v, recorded %v", got, whole)
	}
	inOrder(t, waiting)
	last := collect()
	if code := last.wait(2 * time.Minute); code != 0 || last.stdout.String() != "" {
		t.Errorf("asked once more: exit code %d, %q\n%s", code, last.stdout.String(), last.stderr.String())
	}
}

// inOrder wants the first of three recordings to be with the master before the last, and
// the second to wait where it is.
func inOrder(t *testing.T, waiting []run.Waiting) {
	t.Helper()
	var at []time.Time
	for i, w := range waiting {
		info, err := os.Stat(filepath.Join(w.Path, run.CollectedFile))
		if (err == nil) != (i != 1) {
			t.Fatalf("recording %d: %v", i, err)
		}
		if err == nil {
			at = append(at, info.ModTime())
		}
	}
	if at[1].Before(at[0]) {
		t.Errorf("a later recording was with the master first: %v", at)
	}
	if info, err := os.Stat(filepath.Join(waiting[1].Path, "raw", "bob", "b-000001.bin")); err != nil || info.Size() == 0 {
		t.Errorf("the damaged recording: %v", err)
	}
}

// flip changes one bit of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	changed := bytes.Clone(b)
	changed[len(b)/2] ^= 1
	if err := os.WriteFile(path, changed, 0o644); err != nil {
		t.Fatal(err)
	}
}
