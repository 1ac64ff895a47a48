package e2e

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/twopcs"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/xdp"
)

// A node on another PC has the order past its kernel's network where that is granted, and
// by UDP where it is not, of which the users are told, with what to do.
func TestPastTheKernel(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]string{
		"granted": "",
		"refused": "setpriv --bounding-set=-net_raw --inh-caps=-net_raw",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if wrap != "" {
				need.Tool(t, "setpriv", "util-linux")
			}
			a, b := twopcs.New(t)
			granted := wrap == "" && grantsPast(t, a, b)
			work, away := t.TempDir(), t.TempDir()
			slave := start(t, away, append(append([]string(nil), b.In...), strings.Fields(wrap)...), "--mode", "slave", "--node", "bob", "--master", a.Address, "--tls", "off")
			recipe := strings.NewReplacer("duration: 300 ms", "duration: 2 s", "repeat: 3", "repeat: 1", "lead: 400 ms", "lead: 5 s, method: broadcast, fast: xdp").Replace(shotsRecipe)
			master := start(t, work, a.In, write(t, work+"/recipe.yaml", recipe), "--set", "network.master="+a.Address, "--set", "nodes.bob.host=remote", "--set", "network.insecure=true")
			code := master.wait(90 * time.Second)
			_, m := latest(t, work)
			if code != 0 && !heldUp(m) {
				t.Fatalf("exit code %d: %s\n%s\nslave:\n%s", code, reasons(m), master.stderr.String(), slave.stderr.String())
			}
			for node, way := range map[string]string{"alice": fact.ByUDP, "bob": map[bool]string{true: fact.ByXDP, false: fact.ByUDP}[granted]} {
				if len(m.Nodes[node].Heard) != 1 {
					t.Fatalf("%s heard %+v", node, m.Nodes[node].Heard)
				}
				h := m.Nodes[node].Heard[0]
				for _, by := range []string{fact.ByUDP, fact.ByXDP} {
					if _, later := h.LaterNs[by]; (h.By == by || later) != (by == way) && !(heldUp(m) && by == way) {
						t.Errorf("%s has it %+v, and not by %s alone", node, h, way)
					}
				}
			}
			said := master.stderr.String()
			if granted {
				if strings.Contains(said, "AF_XDP") {
					t.Errorf("a warning of what is granted:\n%s", said)
				}
			} else if contains(t, said, "trigger.fast: xdp: AF_XDP: ", "datagrams come by UDP"); strings.Count(said, "datagrams come by UDP") != 1 {
				t.Errorf("not said once:\n%s", said)
			}
			if wrap != "" && !strings.Contains(said, "EAFNOSUPPORT") { // a kernel without it
				contains(t, said, "EPERM", "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_BPF")
			}
			if err := slave.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			slave.wait(20 * time.Second)
		})
	}
}

// grantsPast asks the kernel by doing it, on b.
func grantsPast(t *testing.T, a, b twopcs.PC) (granted bool) {
	t.Helper()
	b.Within(t, func() {
		s, err := xdp.Listen(netip.MustParseAddrPort(b.Address+":9"), netip.MustParseAddrPort(a.Address+":9"))
		if granted = err == nil; granted {
			s.Close()
		} else {
			t.Logf("this kernel refuses: %v", err)
		}
	})
	return granted
}
