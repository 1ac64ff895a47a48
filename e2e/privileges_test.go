package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
)

// Where a user may neither have a real-time priority nor lock memory, the run works,
// and its summary and manifest name each loss with its remedy. What the recipe asks
// for by itself is warned of.
func TestARunWithoutPrivileges(t *testing.T) {
	const none = "--inh-caps=-all --bounding-set=-all "
	for name, wrap := range map[string]string{
		"capabilities": "setpriv --bounding-set=-sys_nice,-ipc_lock --inh-caps=-sys_nice,-ipc_lock",
		"user":         "setpriv --reuid 65534 --regid 65534 --clear-groups " + none,
		"limits":       "prlimit --rtprio=0:0 --memlock=0:0 setpriv --reuid 65534 --regid 65534 --clear-groups " + none,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			words := strings.Fields(wrap)
			if os.Geteuid() != 0 {
				words = nil // has none
			}
			for _, tool := range words {
				if tool == "setpriv" || tool == "prlimit" {
					need.Tool(t, tool, "util-linux")
				}
			}
			runWithoutPrivileges(t, words)
		})
	}
}

// Who may not have the kernel poll for datagrams is told so, with what to do, and the run
// works.
func TestARunWithoutBusyPoll(t *testing.T) {
	t.Parallel()
	var wrap []string
	if os.Geteuid() == 0 {
		need.Tool(t, "setpriv", "util-linux")
		wrap = strings.Fields("setpriv --bounding-set=-net_admin --inh-caps=-net_admin")
	}
	dir := openToAll(t)
	text := strings.NewReplacer("repeat: 3", "repeat: 1", "lead: 400 ms", "method: broadcast, fast: udp", "simulate:", "realtime: {busy_poll: 50 us}\nsimulate:").Replace(shotsRecipe)
	p := start(t, dir, wrap, append([]string{write(t, filepath.Join(dir, "poll.yaml"), text)}, freePorts...)...)
	_ = p.wait(60 * time.Second) // a start that is late is TAINTED
	summary := strings.Join(strings.Fields(p.stdout.String()), " ")
	contains(t, summary, "busy polling for 50 us", "channel tags rate")
	if strings.Contains(summary, "without busy polling") { // not every kernel asks for a privilege
		contains(t, summary, "EPERM", "busy_read")
	}
}

// openToAll is a directory that any user reaches and writes to.
func openToAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tsrun-any-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, d := range []string{dir, bin, filepath.Join(bin, "plugins")} { // the programs are read and not written
		mode := os.FileMode(0o755)
		if d == dir {
			mode = 0o777
		}
		if err := os.Chmod(d, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func runWithoutPrivileges(t *testing.T, wrap []string) {
	dir := openToAll(t)
	text, err := os.ReadFile(shipped(t, "coincidence.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	recipe := write(t, filepath.Join(dir, "coincidence.yaml"), string(text))
	wrap = append(wrap, "env", "TMPDIR="+dir) // which that user may write to, whoever runs the tests
	p := start(t, dir, wrap, append([]string{recipe, "--set", "acquire.duration=500 ms", "--set", "realtime.priority=40"}, freePorts...)...)
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
