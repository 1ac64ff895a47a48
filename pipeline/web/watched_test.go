package web

import (
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// A bench that is watched shows its pairs; what nobody knows is no number; and nothing of
// it stays once it is recorded.
func TestPairsOfABench(t *testing.T) {
	b := newBoard(runtest.TwoNodes())
	at := func(pairs *float64) event.Watched {
		p := event.WatchedPairs{A: "alice.signal", B: "bob.idler", WindowPs: 1000, State: "searching"}
		if pairs != nil {
			p.State, p.Pairs, p.PairsSD, p.HeraldingA, p.G2, p.G2SD, p.PeakPs, p.SeenPs = "tracking", pairs, new(30.0), new(0.25), new(7.5), new(0.1), new(int64(-1500)), 1e12
		}
		return event.Watched{Elapsed: 2 * time.Second, Channels: []event.WatchedChannel{{Channel: "alice.signal", Rate: new(run.Rate(7_000_000))}, {Channel: "bob.idler"}}, Pairs: []event.WatchedPairs{p}}
	}
	b.tell(0, event.StateChanged{State: "watching"}, at(nil))
	if s := section(t, b, "seen", 1); !strings.Contains(s, "the clock is searching") || strings.Count(s, none) != 4 {
		t.Errorf("before the clock is known:\n%s", s)
	}
	b.tell(1, at(new(1234.0)))
	s := strings.ReplaceAll(section(t, b, "seen", 1), "\u2009", " ")
	for _, want := range []string{"1 234 ± 30", "25.0 %", "7.50 ± 0.10", "1.50 ns"} {
		if !strings.Contains(s, want) {
			t.Errorf("lacks %s:\n%s", want, s)
		}
	}
	rates := section(t, b, "rates", 1)
	if !strings.Contains(rates, "7.000 kHz") || !strings.Contains(rates, `class="large"`) {
		t.Errorf("rates:\n%s", rates)
	}
	if g := b.benchGraphs(); len(g) != 1 || len(g[0].Curves[0].Points) != 1 {
		t.Errorf("curves %+v", g)
	}
	b.tell(2, event.StateChanged{State: "arming"})
	if s := section(t, b, "seen", 2); strings.Contains(s, "Pairs of") || len(b.benchGraphs()) != 0 {
		t.Errorf("what was watched stays:\n%s", s)
	}
}
