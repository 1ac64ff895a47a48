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

// tagFiles are the digests of all files of tags below a directory that are closed.
func tagFiles(t *testing.T, dir string) (sums []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".bin" {
			return err
		}
		text, err := os.ReadFile(path)
		sums = append(sums, fmt.Sprintf("%s %x", filepath.Base(path), sha256.Sum256(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(sums)
	return sums
}

// TestLocal: two nodes record without a master and without each other; their slaves,
// started later, give that to the master that has the same recipe, once and whole. What
// was recorded when tsrun was killed is delivered, too.
func TestLocal(t *testing.T) {
	t.Parallel()
	work, recipe := t.TempDir(), shipped(t, "coincidence.yaml")
	sets := []string{"--set", "acquire.duration=3 s", "--set", "acquire.segment=500 ms"}
	local := func(node, data string, more ...string) *tsrun {
		return start(t, work, nil, append([]string{"--mode", "slave", "--node", node, "--local", recipe, "--data", data}, more...)...)
	}
	long := []string{"--set", "acquire.duration=60 s", "--set", "acquire.segment=500 ms"}
	killed := local("bob", "killed", long...)
	at := time.Now().Add(5 * time.Second).UTC().Format(time.RFC3339Nano)
	alice, bob := local("alice", "alice", append(sets, "--at", at)...), local("bob", "bob", append(sets, "--at", at)...)

	eventually(t, 20*time.Second, "a closed file of the one that is killed", func() (closed bool) { // the others may close one before
		_ = filepath.WalkDir(filepath.Join(work, "killed"), func(path string, _ os.DirEntry, err error) error {
			closed = closed || err == nil && filepath.Ext(path) == ".bin" // others come and go meanwhile
			return nil
		})
		return closed
	})
	_ = killed.cmd.Process.Signal(syscall.SIGKILL)
	<-killed.ended
	for _, p := range []*tsrun{alice, bob} {
		if code := p.wait(30 * time.Second); code != 0 && code != 3 { // 3: this PC was held up
			t.Fatalf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
		}
	}
	contains(t, bob.stdout.String(), "LOCAL", "SIMULATED", "tsrun collect")
	recorded := slices.Concat(tagFiles(t, filepath.Join(work, "alice")), tagFiles(t, filepath.Join(work, "bob")))
	slices.Sort(recorded)

	port := fmt.Sprint(ownPort(t, "127.0.0.1"))
	slaveOf := func(node, data string) *tsrun {
		return start(t, work, nil, "--mode", "slave", "--node", node, "--data", data, "--master", "127.0.0.1:"+port)
	}
	collect := func(runs string, args ...string) result {
		p := start(t, work, nil, append([]string{"collect", recipe, "--runs", runs, "--set", "network.ports.status=" + port}, args...)...)
		return result{p.wait(60 * time.Second), p.stdout.String(), p.stderr.String()}
	}
	slaveOf("alice", "alice")
	slaveOf("bob", "bob")

	other := collect("runs", "--set", "acquire.duration=7 s")
	good(t, other)
	contains(t, other.stderr, "stays there", "what differs is acquire")
	if other.stdout != "" {
		t.Errorf("with another recipe it made %s", other.stdout)
	}

	first := collect("runs", sets...)
	good(t, first)
	dir := filepath.Join(work, strings.TrimSpace(first.stdout))
	if got := tagFiles(t, dir); !slices.Equal(got, recorded) {
		t.Fatalf("collected %v, recorded %v\n%s", got, recorded, first.stderr)
	}
	good(t, runTsrun(t, work, "verify", dir))
	m, err := run.ReadManifest(dir)
	if err != nil || len(m.Parts) != 2 || !m.Has(run.Local) || !m.Has(run.Simulated) {
		t.Fatalf("%v: parts %+v, condition %v", err, m.Parts, m.Condition)
	}
	skew := m.Nodes["bob"].Start.EstimateNs - m.Nodes["alice"].Start.EstimateNs
	search := fmt.Sprintf("%d us", max(skew, -skew)/1000+20_000)
	good(t, runTsrun(t, work, "align", dir, "alice.signal", "bob.idler", "--search", search))

	again := collect("runs", sets...)
	good(t, again)
	if again.stdout != "" || len(tagFiles(t, filepath.Join(work, "runs"))) != len(recorded) {
		t.Errorf("asked twice, it made %q, and %d files of %d", again.stdout, len(tagFiles(t, filepath.Join(work, "runs"))), len(recorded))
	}
	if left := tagFiles(t, filepath.Join(work, "bob")); len(left) > 0 { // transfer.keep_source: until_verified
		t.Errorf("left at bob: %v", left)
	}
	collectKilled(t, work, recipe, long)
}

// collectKilled wants what was closed when a local recording was killed.
func collectKilled(t *testing.T, work, recipe string, sets []string) {
	t.Helper()
	closed := tagFiles(t, filepath.Join(work, "killed"))
	port := fmt.Sprint(ownPort(t, "127.0.0.1"))
	slave := start(t, work, nil, "--mode", "slave", "--node", "bob", "--data", "killed", "--master", "127.0.0.1:"+port)
	p := start(t, work, nil, append([]string{"collect", recipe, "--node", "bob", "--runs", "rest", "--web=127.0.0.1:0", "--set", "network.ports.status=" + port}, sets...)...)
	seen := lookOn(t, p)
	if code := p.wait(60 * time.Second); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, p.stderr.String(), slave.stderr.String())
	}
	contains(t, seen(), "transferring", "here and proven", `"over":true`)
	contains(t, p.stderr.String(), "is alone")
	dir := filepath.Join(work, strings.TrimSpace(p.stdout.String()))
	for _, file := range closed {
		if !slices.Contains(tagFiles(t, dir), file) {
			t.Errorf("%s is not in %s\n%s", file, dir, slave.stderr.String())
		}
	}
	good(t, runTsrun(t, work, "verify", dir))
	if m, err := run.ReadManifest(dir); err != nil || !m.Has(run.Interrupted) || !m.Has(run.Local) {
		t.Errorf("%v: %+v", err, m.Condition)
	}
}
