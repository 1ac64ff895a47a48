package e2e

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tsrun/internal/manynodes"
	"tsrun/internal/need"
	"tsrun/internal/twopcs"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
)

// TestTwentyNodes runs twenty nodes on this PC: all start at one instant within what is
// stated, and every file is with the master and proven.
func TestTwentyNodes(t *testing.T) {
	t.Parallel()
	ring := manynodes.Ring{Nodes: 20, Seconds: 2}
	for trial := 1; ; trial++ {
		work := t.TempDir()
		recipe := write(t, filepath.Join(work, "ring.yaml"), ring.Recipe())
		p := start(t, work, nil, append([]string{recipe}, freePorts...)...)
		if p.wait(3 * time.Minute); trial < mostTrials && lastHeldUp(t, work) {
			continue
		}
		checkRing(t, ring, work, p)
		return
	}
}

// TestLongTwentyPCs runs twenty nodes in as many networks on one switch, the master in that of
// the first, and finds all their clocks.
func TestLongTwentyPCs(t *testing.T) {
	need.LongWhole(t)
	pcs, err := twopcs.Of(t).Switched(20)
	if err != nil {
		t.Fatal(err)
	}
	ring := manynodes.Ring{Nodes: len(pcs), Master: pcs[0].Address, Seconds: 8, Align: true}
	for i, name := range ring.Names() {
		if i > 0 {
			start(t, t.TempDir(), pcs[i].In, "--mode", "slave", "--node", name, "--master", ring.Master, "--tls", "off")
		}
	}
	for trial := 1; ; trial++ {
		work := t.TempDir()
		recipe := write(t, filepath.Join(work, "ring.yaml"), ring.Recipe())
		p := start(t, work, pcs[0].In, recipe)
		if p.wait(5 * time.Minute); trial < mostTrials && lastHeldUp(t, work) {
			continue
		}
		checkRing(t, ring, work, p)
		return
	}
}

// checkRing holds a run of many nodes against what their simulators say.
func checkRing(t *testing.T, ring manynodes.Ring, work string, p *tsrun) {
	t.Helper()
	said := p.stdout.String() + p.stderr.String()
	if _, err := os.Readlink(filepath.Join(work, "runs", "latest")); err != nil {
		t.Fatalf("there is no run:\n%s", said)
	}
	dir, m := latest(t, work)
	want := []run.Condition{run.Good, run.Simulated}
	if !slices.Equal(m.Condition, want) {
		t.Fatalf("condition %v, want %v: %s\n%s", m.Condition, want, reasons(m), said)
	}
	for _, name := range ring.Names() {
		checkTags(t, dir, m, name, "c")
	}
	if v, err := run.Verify(dir); err != nil || len(v.Findings) > 0 {
		t.Errorf("verify: %+v, %v", v, err)
	}
	if len(m.Trigger.Skew) != ring.Nodes-1 {
		t.Errorf("%d skews of %d nodes", len(m.Trigger.Skew), ring.Nodes)
	}
	for _, skew := range m.Trigger.Skew {
		truly := float64(startDifference(truth(t, m, skew.Against), truth(t, m, skew.Node))) / 1000
		if math.Abs(float64(skew.SkewNs)-truly) > float64(skew.UncertaintyNs) {
			t.Errorf("%s began %d ± %d ns after %s, truly %.3f ns", skew.Node, skew.SkewNs, skew.UncertaintyNs, skew.Against, truly)
		}
	}
	if ring.Align {
		checkRingClocks(t, ring, m)
	}
}

// checkRingClocks: each clock is where its simulator had it, though only two share light with
// the reference.
func checkRingClocks(t *testing.T, ring manynodes.Ring, m *run.Manifest) {
	t.Helper()
	s, ok := stage.DecodeSummary[stage.AlignSummary](m.Results[0])
	if !ok || s.Network == nil || len(s.Clocks) != ring.Nodes-1 || len(s.Network.Cycles) != 1 || !s.Network.Cycles[0].Closes {
		t.Fatalf("%+v", m.Results)
	}
	for _, c := range s.Clocks {
		node, _, _ := strings.Cut(c.Target, ".")
		if c.Refused {
			t.Errorf("%s: %s", c.Target, c.Reason)
			continue
		}
		clocks := newTwoClocks(t, truth(t, m, "n00"), truth(t, m, node), 1, 1)
		miss := c.Alignment.Offset.Minus(clocks.offset(int64(c.ReferencePs)))
		if math.Abs(miss) > 5*c.OffsetSDPs {
			t.Errorf("%s is off by %.2f ps, states %.2f ps", c.Target, miss, c.OffsetSDPs)
		}
	}
	t.Logf("the way round: %.2f ± %.2f ps", s.Network.Cycles[0].Offset, s.Network.Cycles[0].OffsetSD)
}
