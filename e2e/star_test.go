package e2e

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
)

// TestStar runs the recipe of four nodes: each clock is where its simulator had it, also that of
// the node which shares no light with the reference.
func TestStar(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	p := start(t, work, nil, append([]string{shipped(t, "star.yaml"), "--set", "trigger.lead=3 s"}, freePorts...)...)
	if code := p.wait(2 * time.Minute); code != 0 && code != 3 { // 3: this PC was held up
		t.Fatalf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	dir, m := latest(t, work)
	s, ok := stage.DecodeSummary[stage.AlignSummary](m.Results[0])
	if !ok || s.Network == nil || len(s.Clocks) != 3 {
		t.Fatalf("%+v", m.Results)
	}
	for _, c := range s.Clocks {
		node, _, _ := strings.Cut(c.Target, ".")
		clocks := newTwoClocks(t, truth(t, m, "alice"), truth(t, m, node), 1, 1)
		if c.Refused {
			t.Errorf("%s: %s", c.Target, c.Reason)
			continue
		}
		miss := c.Alignment.Offset.Minus(clocks.offset(int64(c.ReferencePs)))
		if math.Abs(miss) > 5*c.OffsetSDPs {
			t.Errorf("%s is off by %.2f ps, states %.2f ps", c.Target, miss, c.OffsetSDPs)
		}
		if through := strings.Join(c.Via, " "); through != map[string]string{"dave": "carol.signal"}[node] {
			t.Errorf("%s was reached through %q", c.Target, through)
		}
		if _, err := stage.ReadAlignment(filepath.Join(dir, "results", "clocks-"+c.Target+".json")); err != nil {
			t.Error(err)
		}
	}
	if n := s.Network; len(n.Cycles) != 1 || !n.Cycles[0].Closes || len(n.Jumps) > 0 {
		t.Errorf("%+v", n)
	}
	if m.Has(run.Tainted) && !heldUp(m) { // what is missing of a record that was held up moves no clock
		t.Errorf("%+v", m.Reasons)
	}
	contains(t, p.stdout.String(), "round bob.signal, carol.signal, alice.signal", "SIMULATED")
}
