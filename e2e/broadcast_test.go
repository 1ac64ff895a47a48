package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"tsrun/pipeline/fact"
)

// Nodes that fire on receipt hear the order over several ways: each shot starts once, the
// manifest has which was first, and without datagrams the run goes on and says so.
func TestFireOnReceipt(t *testing.T) {
	t.Parallel()
	taken, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // when its parts have ended
	for name, c := range map[string]struct {
		port      int
		says      string
		datagrams bool
	}{
		"datagrams":   {0, "bob had it first ", true},
		"no UDP port": {taken.LocalAddr().(*net.UDPAddr).Port, "the order to start goes by the other ways alone", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, path := writeRecipe(t, strings.Replace(shotsRecipe, "lead: 400 ms", "lead: 5 s, method: broadcast, fast: udp", 1))
			ports := append(append([]string(nil), freePorts[2:]...), "--set", fmt.Sprintf("network.ports.trigger=%d", c.port))
			r := runTsrun(t, dir, append([]string{path}, ports...)...)
			_, m := latest(t, dir)
			if r.code != 0 && !heldUp(m) {
				t.Fatalf("exit code %d: %s\n%s", r.code, reasons(m), r.stderr)
			}
			contains(t, r.stdout+r.stderr, c.says, "after the order was sent")
			if m.Trigger.Method != "broadcast" || m.Trigger.LeadNs != 0 {
				t.Errorf("%+v", m.Trigger)
			}
			for node, n := range m.Nodes {
				if len(n.Takes) != 3 || len(n.Heard) != 3 {
					t.Fatalf("%s: %d shots, heard of %d", node, len(n.Takes), len(n.Heard))
				}
				for i, h := range n.Heard {
					called := n.Takes[i].Shots["tc"].Called
					if !h.Plausible() || h.Shot != i+1 || h.AtNs < n.Takes[i].InstantNs || called < h.AtNs || n.Takes[i].Start == nil {
						t.Errorf("%s, shot %d: %+v, fired at %d, sent at %d", node, i+1, h, called, n.Takes[i].InstantNs)
					}
					_, late := h.LaterNs[fact.ByUDP]
					if c.datagrams && h.By != fact.ByUDP && !late && !heldUp(m) {
						t.Errorf("%s, shot %d: no datagram came: %+v", node, i+1, h)
					}
					if !c.datagrams && (h.By == fact.ByUDP || late || h.Dropped != nil) {
						t.Errorf("%s, shot %d: a datagram came: %+v", node, i+1, h)
					}
				}
			}
		})
	}
}
