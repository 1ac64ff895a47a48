package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Where a user may neither have a real-time priority nor lock memory, the run works,
// and its summary and manifest name each loss with its remedy. What the recipe asks
// for by itself is warned of.
func TestARunWithoutPrivileges(t *testing.T) {
	t.Parallel()
	wrap := []string{"setpriv", "--bounding-set=-sys_nice,-ipc_lock", "--inh-caps=-sys_nice,-ipc_lock"}
	if os.Geteuid() != 0 {
		wrap = nil // has none
	} else if _, err := exec.LookPath(wrap[0]); err != nil {
		t.Skip("needs setpriv:", err)
	}
	dir := t.TempDir()
	p := start(t, dir, wrap, shipped(t, "coincidence.yaml"), "--set", "acquire.duration=500 ms", "--set", "realtime.priority=40")
	if code := p.wait(30 * time.Second); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, p.stdout.String(), p.stderr.String())
	}
	summary := strings.Join(strings.Fields(p.stdout.String()), " ")
	for _, want := range []string{"without real-time priority 40 (EPERM", "rtprio 99", "without locked memory (", "memlock unlimited", "after the instant"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary does not say %q:\n%s", want, p.stdout.String())
		}
	}
	if !strings.Contains(p.stderr.String(), "realtime.priority: 40 was not granted") {
		t.Errorf("no warning of what the recipe asks for:\n%s", p.stderr.String())
	}
	if strings.Contains(p.stderr.String(), "lock_memory") {
		t.Errorf("a warning of what the recipe does not ask for:\n%s", p.stderr.String())
	}
}
