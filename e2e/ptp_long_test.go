package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/twopcs"
	"tsrun/pipeline/clock"
	"tsrun/pipeline/run"
)

// TestLongGrandmasterKilled starts two PCs by their ptp4l and kills the grandmaster while
// they record: the run says so.
func TestLongGrandmasterKilled(t *testing.T) {
	need.Long(t)
	t.Parallel()
	a, b := twopcs.New(t)
	ptp4l := need.Tool(t, "ptp4l", "linuxptp")
	work, away := t.TempDir(), t.TempDir()
	// Each PC has a socket of its own at the path that both know: the recipe names one.
	const domain = 78
	mount := t.TempDir()
	socket := filepath.Join(mount, "ptp4l")
	on := func(pc twopcs.PC, dir string) []string {
		return append(append([]string(nil), pc.In...), "sh", "-c", `mount --bind "$0" "$1" && shift && exec "$@"`, dir, mount)
	}
	conf := func(pc twopcs.PC, more string) string {
		name := filepath.Join(t.TempDir(), "conf")
		text := fmt.Sprintf("[global]\ntime_stamping software\nfree_running 1\ndomainNumber %d\nuds_address %s\nlogSyncInterval -3\nlogMinDelayReqInterval -3\nlogAnnounceInterval 0\n%s\n[%s]\n",
			domain, socket, more, pc.Interface)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	dirA, dirB := t.TempDir(), t.TempDir()
	grandmaster := startLine(t, work, append(on(a, dirA), ptp4l, "-m", "-f", conf(a, "priority1 10\nmasterOnly 1")))
	startLine(t, away, append(on(b, dirB), ptp4l, "-m", "-f", conf(b, "priority1 200\nslaveOnly 1")))
	slave := start(t, away, on(b, dirB), "--mode", "slave", "--node", "bob", "--master", a.Address, "--tls", "off")
	master := start(t, work, on(a, dirA), append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=9 s", "--set", "network.insecure=true",
		"--set", "network.master=" + a.Address, "--set", "nodes.bob.host=remote", "--set", "clock.source=ptp", "--set", "clock.socket=" + socket,
		"--set", fmt.Sprintf("clock.domain=%d", domain)}, patient...)...)
	eventually(t, 60*time.Second, "it records", func() bool { return strings.Contains(master.stdout.String()+master.stderr.String(), "running") })
	_ = syscall.Kill(-grandmaster.cmd.Process.Pid, syscall.SIGKILL)
	if code := master.wait(90 * time.Second); code != 3 {
		t.Fatalf("exit code %d, want 3\n%s\n%s\nslave:\n%s", code, master.stdout.String(), master.stderr.String(), slave.stderr.String())
	}
	_, m := latest(t, work)
	c := m.Nodes["bob"].Clock
	if c == nil || c.Start == nil || c.Start.Source != clock.PTP || !strings.HasPrefix(c.Start.Reference, "ptp ") || c.Last.Lost == "" {
		t.Errorf("clock %+v", c)
	}
	contains(t, master.stdout.String(), "its clock is not known any more by ptp")
}

// TestLongServerOfChronyKilled starts two PCs by their chronyd, of which the master's serves the other, and kills it
// while they record: the run says so within 10 s. Then the next one is refused.
func TestLongServerOfChronyKilled(t *testing.T) {
	need.LongWhole(t)
	t.Parallel()
	a, b := twopcs.New(t)
	chronyd := need.Tool(t, "chronyd", "chrony")
	work, away := t.TempDir(), t.TempDir()
	keep := func(pc twopcs.PC, text string) *tsrun {
		conf := filepath.Join(t.TempDir(), "conf")
		write(t, conf, text+"\nbindcmdaddress 127.0.0.1\nbindcmdaddress /\npidfile "+filepath.Join(t.TempDir(), "pid")+"\n")
		return startLine(t, work, append(append([]string(nil), pc.In...), chronyd, "-x", "-d", "-u", "root", "-f", conf))
	}
	server := keep(a, "local stratum 1\nallow 10.77.0.0/24")
	keep(b, "server "+a.Address+" minpoll -3 maxpoll -3 iburst xleave")
	slave := start(t, away, b.In, "--mode", "slave", "--node", "bob", "--master", a.Address, "--tls", "off")
	line := append([]string{shipped(t, "coincidence.yaml"), "--json", "--set", "acquire.duration=60 s", "--set", "network.insecure=true", "--set", "network.join=60 s",
		"--set", "network.master=" + a.Address, "--set", "nodes.bob.host=remote", "--set", "clock.source=chrony"}, patient...)
	var master *tsrun
	eventually(t, 120*time.Second, "a run begins by chronyd", func() bool { // it is synchronised after some seconds
		master = start(t, work, a.In, line...)
		for !strings.Contains(master.stdout.String(), `"event":"progress"`) {
			select {
			case <-master.ended:
				return false
			case <-time.After(50 * time.Millisecond):
			}
		}
		return true
	})
	_ = syscall.Kill(-server.cmd.Process.Pid, syscall.SIGKILL)
	killed := time.Now()
	eventually(t, 60*time.Second, "the user is told", func() bool {
		return strings.Contains(master.stdout.String(), "its clock is not known any more by chrony")
	})
	if took := time.Since(killed); took > busy*10*time.Second {
		t.Errorf("a server that was killed was believed for %v", took)
	} else {
		t.Logf("told after %v", took)
	}
	_ = master.cmd.Process.Signal(syscall.SIGINT)
	master.wait(60 * time.Second)
	_, m := latest(t, work)
	if c := m.Nodes["bob"].Clock; !m.Has(run.Tainted) || c == nil || c.Start == nil || c.Start.Source != clock.Chrony || c.Last.Lost == "" {
		t.Errorf("%s, clock %+v\nslave:\n%s", reasons(m), c, slave.stderr.String())
	}
	again := start(t, work, a.In, line...)
	if code := again.wait(90 * time.Second); code != 5 || !strings.Contains(again.stdout.String()+again.stderr.String(), "compare clocks by chrony") {
		t.Errorf("by a server that was killed: exit code %d\n%s", code, again.stderr.String())
	}
}
