package e2e

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/run"
)

// TestKilledSink kills bob's sink in the middle of a run: another one is sent again
// what that had not acknowledged, and nothing is missing or there twice.
func TestKilledSink(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	p := start(t, work, nil, append([]string{hurried(t, "pace: 100 ms", "pace: 100 ms", "acquire: {duration: 4 s, segment: 500 ms}"), "--json"}, freePorts...)...)
	eventually(t, 60*time.Second, "a file of bob's is here", func() bool {
		return strings.Contains(p.stdout.String(), `"file":"raw/bob/b-000000.bin"`)
	})
	members := family(t, p.cmd.Process.Pid)
	bob := members[slices.IndexFunc(members, func(m process) bool { return strings.Contains(m.command, "--node bob") })].pid
	sink := slices.IndexFunc(members, func(m process) bool { return m.parent == bob && strings.Contains(m.command, "sink-file") })
	if err := syscall.Kill(members[sink].pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(120 * time.Second); code != 0 {
		t.Errorf("exit code %d, want 0\n%s\n%s", code, p.stdout.String(), p.stderr.String())
	}
	dir, m := latest(t, work)
	if !run.IsGood(m.Condition) {
		t.Errorf("condition %v, reasons %v", m.Condition, m.Reasons)
	}
	contains(t, p.stdout.String(), "sink raw died and was started anew")
	if v := runTsrun(t, work, "verify", dir); v.code != 0 {
		t.Errorf("verify: exit code %d\n%s", v.code, v.stdout)
	}
}
