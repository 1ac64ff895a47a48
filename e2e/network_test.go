package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tsrun/internal/hostile"
	"tsrun/internal/twopcs"
	"tsrun/pipeline/clock"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// twoHosts makes two network namespaces joined by a cable, and says how to run
// a program in each.
func twoHosts(t *testing.T) (master, slave []string, address string) {
	t.Helper()
	a, b := twopcs.New(t)
	return a.In, b.In, a.Address
}

// TestTwoPCs runs the recipe over a cable: the other PC is given a code once, a name
// and an address, nothing else.
func TestTwoPCs(t *testing.T) {
	t.Parallel()
	here, there, address := twoHosts(t)
	work, away := t.TempDir(), t.TempDir()
	keysHere, keysThere := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "keys")
	refused := start(t, work, here, shipped(t, "coincidence.yaml"), "--set", "network.master="+address, "--keys", keysHere)
	if code := refused.wait(20 * time.Second); code != 5 {
		t.Errorf("without keys: exit code %d, want 5", code)
	}
	contains(t, refused.stderr.String(), `type "tsrun pair" here`)
	pairing := start(t, work, here, "pair", "--keys", keysHere)
	eventually(t, 20*time.Second, "a code is printed", func() bool { return strings.Contains(pairing.stdout.String(), " --node NAME\n") })
	code := strings.Fields(pairing.stdout.String())[2]
	if other := start(t, away, there, "pair", code, "--node", "bob", "--keys", keysThere); other.wait(20*time.Second) != 0 || pairing.wait(20*time.Second) != 0 {
		t.Fatalf("pairing: %s%s", other.stderr.String(), pairing.stderr.String())
	}
	contains(t, pairing.stderr.String(), "bob is paired")
	slave := start(t, away, there, "--mode", "slave", "--node", "bob", "--master", address, "--keys", keysThere)
	run := func(duration string, more ...string) *tsrun {
		return start(t, work, here, append(append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=" + duration, "--keys", keysHere,
			"--set", "network.master=" + address, "--set", "nodes.bob.host=remote"}, patient...), more...)...)
	}
	master := run("2 s")
	if code := master.wait(60 * time.Second); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s\nslave:\n%s", code, master.stdout.String(), master.stderr.String(), slave.stderr.String())
	}
	dir, m := latest(t, work)
	checkRun(t, dir, m)
	eventually(t, 10*time.Second, "the slave's own copies are gone", func() bool {
		left, err := os.ReadDir(away + "/runs")
		return err == nil && len(left) == 0
	})
	again := run("1 s", "--set", "clock.source=probe")
	if code := again.wait(60 * time.Second); code != 0 {
		t.Errorf("the slave did not go back to waiting: exit code %d\n%s\nslave:\n%s", code, again.stderr.String(), slave.stderr.String())
	}
	dir, m = latest(t, work)
	checkClock(t, m)
	checkClockRecord(t, dir, m.Nodes["bob"].Clock.Start)
	if err := slave.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := slave.wait(10 * time.Second); code != 130 {
		t.Errorf("the slave's exit code after Ctrl-C is %d, want 130", code)
	}
}

// checkClock checks what a run of two PCs, which here have one clock, knows of it.
func checkClock(t *testing.T, m *run.Manifest) {
	t.Helper()
	c := m.Nodes["bob"].Clock
	if m.Nodes["alice"].Clock != nil || c == nil || c.Start == nil || c.Last == nil {
		t.Fatalf("clock of the other PC: %+v", c)
	}
	for _, r := range []*clock.Reading{c.Start, c.Last} {
		if text.Magnitude(r.Offset) > r.Bound || r.Bound <= 0 || r.Steps != 0 {
			t.Errorf("reading %+v of one clock", r)
		}
	}
	if !c.Last.KernelStamps { // the first one may be from before the kernel began to stamp
		t.Errorf("the last reading %+v is by the times of processes", c.Last)
	}
	if s := m.Trigger.Skew; len(s) != 1 || s[0].UncertaintyNs <= c.Start.Bound {
		t.Errorf("skew %+v does not include the bound of the clocks, %d ns", s, c.Start.Bound)
	}
}

// checkClockRecord works out again how the other PC's clock stood at the start.
func checkClockRecord(t *testing.T, dir string, start *clock.Reading) {
	t.Helper()
	if v, err := run.Verify(dir); err != nil || len(v.Findings) > 0 {
		t.Errorf("verify: %+v, %v", v, err)
	}
	all, err := run.Clocks(dir)
	if err != nil || len(all) != 1 || all[0].Node != "bob" || len(all[0].Moments) < 2 || all[0].Moments[0].Reading == nil {
		t.Fatalf("clocks of the record: %+v, %v", all, err)
	}
	again := all[0].Moments[0].Reading
	if again.Source != clock.Probe || text.Magnitude(again.Offset-start.Offset) > start.Bound+again.Bound || again.Exchanges < clock.LeastExchanges {
		t.Errorf("worked out again: %+v, was %+v", again, start)
	}
}

// TestHostileNetwork lets strangers at all three ports while a run goes on.
func TestHostileNetwork(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	ports := map[string]int{}
	args := append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=3 s", "--json"}, patient...)
	for _, name := range []string{"trigger", "status", "files"} {
		ports[name] = ownPort(t, "127.0.0.1")
		args = append(args, "--set", fmt.Sprintf("network.ports.%s=%d", name, ports[name]))
	}
	p := start(t, work, nil, args...)
	eventually(t, 20*time.Second, "all ports are open", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports["files"]))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	var strangers sync.WaitGroup
	defer strangers.Wait()
	stop := make(chan struct{})
	defer close(stop)
	suits := map[string]string{"trigger": "SUB", "status": "REQ", "files": "PUSH"}
	for kind, port := range ports {
		for _, bytes := range hostile.Bytes(suits[kind]) {
			strangers.Go(func() {
				for range 40 {
					if c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second); err == nil {
						_, _ = c.Write(bytes)
						select { // silence is an attack, too
						case <-stop:
						case <-time.After(50 * time.Millisecond):
						}
						c.Close()
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
	}
	if code := p.wait(60 * time.Second); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, p.stdout.String(), p.stderr.String())
	}
	dir, m := latest(t, work)
	checkRun(t, dir, m)
}
