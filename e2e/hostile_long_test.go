package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tsrun/internal/hostile"
	"tsrun/internal/need"
	"tsrun/sdk/zmtp"
)

// takes is what a process has taken of its PC.
type takes struct{ kB, files, threads int }

func takenBy(pid int) (k takes) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d", &k.kB)
		_, _ = fmt.Sscanf(line, "Threads: %d", &k.threads)
	}
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	k.files = len(open)
	return k
}

func median(all []takes, of func(takes) int) int {
	var values []int
	for _, k := range all {
		values = append(values, of(k))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// TestLongHostilePeers lets strangers at all four ports of a master that has another
// PC's node, for ten minutes, or 20 s where a part is asked for; TSRUN_TEST_HOSTILE asks
// for another time, such as 30s. The run ends well, and takes at its end what it took
// at its beginning.
func TestLongHostilePeers(t *testing.T) {
	t.Parallel()
	besideStrangers(t, nil, []string{"--set", "network.insecure=true"}, []string{"--tls", "off"})
}

// TestLongHostilePeersOfTLS lets them at the ports of a master that wants TLS: they say
// what is no TLS, or nearly, stop in the handshake, and come with a certificate of this
// laboratory that is another node's, with one of another laboratory and with none.
func TestLongHostilePeersOfTLS(t *testing.T) {
	t.Parallel()
	need.LongWhole(t) // what is behind TLS is tried beside, in part, too
	here, stranger := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "keys")
	certificates := make([]tls.Certificate, 3) // the last is none
	for i, dir := range []string{here, stranger} {
		tsrunKeys(t, dir, "keys", "init")
		out := filepath.Join(t.TempDir(), "out")
		tsrunKeys(t, dir, "keys", "issue", "carol", out)
		content := contentOf(t, out, "node-carol.key")
		var err error
		if certificates[i], err = tls.X509KeyPair(content, content); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	tsrunKeys(t, here, "keys", "issue", "bob", out)
	besideStrangers(t, certificates, []string{"--keys", here}, []string{"--keys", keysDir(t, "node-bob.key", contentOf(t, out, "node-bob.key"))})
}

// besideStrangers is a run beside strangers, who show certificates where there are any.
func besideStrangers(t *testing.T, certificates []tls.Certificate, ofMaster, ofSlave []string) {
	t.Helper()
	lasts := time.Duration(need.LongTrials(t, 30, 1)) * 20 * time.Second
	if text := os.Getenv("TSRUN_TEST_HOSTILE"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	own := need.Address(t)
	work, far := t.TempDir(), t.TempDir()
	ports := map[string]int{}
	args := []string{hurried(t, "pace: 100 ms", "pace: 100 ms", fmt.Sprintf("acquire: {duration: %d s, segment: 1 s}", int(lasts.Seconds()))), "--json",
		"--set", "nodes.bob.host=remote", "--set", "network.master=" + own, "--set", "network.join=5 min", "--set", "clock.source=probe"}
	args = append(args, ofMaster...)
	for _, name := range []string{"trigger", "status", "files", "clock"} {
		ports[name] = ownPort(t, own)
		args = append(args, "--set", fmt.Sprintf("network.ports.%s=%d", name, ports[name]))
	}
	master := start(t, work, nil, args...)
	slave := start(t, far, nil, append([]string{"--mode", "slave", "--node", "bob", "--master", net.JoinHostPort(own, strconv.Itoa(ports["status"]))}, ofSlave...)...)
	hears := func(says string) {
		t.Helper()
		eventually(t, 90*time.Second, says, func() bool { return strings.Contains(master.stdout.String(), says) })
	}
	hears(`"node":"bob","host"`) // its place is its own
	ctx, cancel := context.WithCancel(t.Context())
	c := &crowd{host: own, ports: ports, ctx: ctx, certificates: certificates}
	if certificates != nil {
		c.hellos = hostile.Records()
	}
	c.begin(t)
	defer c.working.Wait()
	defer cancel()
	hears(inState("running"))
	var of [2][]takes
	for begun := time.Now(); time.Since(begun) < lasts && strings.Count(master.stdout.String(), inState("draining")) == 0; time.Sleep(time.Second) {
		for i, p := range []*tsrun{master, slave} {
			if k := takenBy(p.cmd.Process.Pid); k.kB > 0 {
				of[i] = append(of[i], k)
			}
		}
	}
	if code := master.wait(5 * time.Minute); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, master.stdout.String(), slave.stderr.String())
	}
	whole(t, work)
	_, m := latest(t, work)
	checkClock(t, m)
	for i, name := range []string{"master", "slave"} {
		n := len(of[i])
		if n < 10 {
			t.Fatalf("%d looks at the %s", n, name)
		}
		early, late := of[i][n/5:2*n/5+1], of[i][4*n/5:]
		for what, c := range map[string]struct {
			of   func(takes) int
			more int // that may be taken by chance, or for what was recorded
			full int // what is taken once strangers have all places of the ports; a busy PC gives them away slowly
		}{
			"kB of memory": {func(k takes) int { return k.kB }, 16 << 10, 0},
			"files":        {func(k takes) int { return k.files }, 40, 64 + 64 + zmtp.DefaultMaxConns + 40},
			"threads":      {func(k takes) int { return k.threads }, 10, 0},
		} {
			a, b := median(early, c.of), median(late, c.of)
			t.Logf("%s: %s: %d, later %d", name, what, a, b)
			if b > max(a+c.more, c.full) {
				t.Errorf("the %s takes more and more: %d %s, later %d", name, a, what, b)
			}
		}
	}
	t.Logf("%d connections and packets of strangers in %v", c.came.Load(), lasts)
	if c.came.Load() < 1000 {
		t.Errorf("only %d strangers came", c.came.Load())
	}
}
