package stage

import (
	"strings"
	"testing"

	"tsrun/pipeline/align"
	"tsrun/pipeline/clock"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// TestPhotonsJudgeTheClocks gives clocks that say that bob began 2 ± 1 ms after alice.
func TestPhotonsJudgeTheClocks(t *testing.T) {
	const ms = int64(1e6)
	for name, c := range map[string]struct {
		offset   int64 // ns, of bob's tags
		delay    int64 // ns, of his channel
		host     string
		compared bool
		tainted  bool
	}{
		"as the clocks say":        {-2 * ms, 0, "remote", true, false},
		"within the bound":         {-3 * ms, 0, "remote", true, false},
		"beyond it":                {-3*ms - 100, 0, "remote", true, true},
		"the other way round":      {2 * ms, 0, "remote", true, true},
		"with a delay":             {3 * ms, 5 * ms, "remote", true, false},
		"clocks that nobody knows": {9 * ms, 0, "remote", false, false},
		"one clock":                {9 * ms, 0, "local", false, false},
	} {
		m := &run.Manifest{Nodes: map[string]*run.Node{
			"alice": {Host: "local", Start: &run.Start{EstimateNs: 0, UncertaintyNs: ms / 2}},
			"bob":   {Host: c.host, Start: &run.Start{EstimateNs: 2 * ms, UncertaintyNs: ms / 2}},
		}}
		if c.compared {
			m.Nodes["bob"].Clock = &run.NodeClock{Start: &clock.Reading{Source: clock.PTP, Reference: "ptp 00aa domain 0"}}
		}
		r := &recipe.Recipe{Nodes: []recipe.Node{{Name: "bob", Channels: []recipe.Channel{{Name: "b", Delay: quantity.Time(c.delay * 1000)}}}}}
		a := &analysis{manifest: m, recipe: r}
		a.noticeStart("align", AlignConfig{Reference: "alice.a", Target: "bob.b"}, foundClock{Parts: align.Parts{Alignment: align.Alignment{StartOffset: quantity.NewFine(c.offset*1000, 0), StartSD: 1}}})
		m.Judge()
		tainted := false
		for _, reason := range m.Reasons {
			tainted = tainted || strings.Contains(reason.Message, "ptp 00aa domain 0") && strings.Contains(reason.Message, "not to be believed")
		}
		if tainted != c.tainted {
			t.Errorf("%s: tainted %v, reasons %v", name, tainted, m.Reasons)
		}
	}
}
