package stage_test

import (
	"strings"
	"testing"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

// A stage over the common time counts the tags of that alone, on each node by its own
// clock, and says which time that was.
func TestStagesOverTheCommonTime(t *testing.T) {
	const s = uint64(1_000_000_000_000)
	var a, b []uint64
	for at := uint64(0); at < s; at += s / 1000 { // bob's clock shows 2 ms more
		a, b = append(a, at+s/2), append(b, at+s/2+2*s/1000)
	}
	tags := map[string][]uint64{"alice.signal": a, "bob.idler": b}
	over := stage.Over{Over: "common"}
	whole := stage.CoincidencesConfig{Of: []string{"alice.signal", "bob.idler"}, Window: 1000,
		Offsets: map[string]quantity.Time{"bob.idler": quantity.Time(2 * s / 1000)}}
	cut := whole
	cut.Over = over
	rates := stage.RatesConfig{Of: []string{"alice.signal", "bob.idler"}, Bin: quantity.Second, Over: over}
	r := &recipe.Recipe{Trigger: recipe.Trigger{Method: "hardware"}, Stages: []recipe.Stage{
		runtest.Stage("whole", "coincidences", whole), runtest.Stage("cut", "coincidences", cut), runtest.Stage("rates", "rates", rates),
	}}
	change := func(m *run.Manifest) {
		m.Trigger.Method, m.Trigger.Master = "hardware", "alice"
		for name, n := range m.Nodes {
			for _, c := range n.Channels {
				c.LengthPs = 2 * s
				if name == "bob" {
					c.Losses = []fact.Loss{{AtPs: 0, LengthPs: s}}
				}
			}
		}
	}
	m := mustAnalyse(t, tags, r, change)
	if c := m.Common; c.FromPs != s || c.ToPs != 2*s || c.Clocks["bob.tc"].By != run.ByHardware {
		t.Fatalf("common time: %+v", m.Common)
	}
	counts := func(name string) uint64 {
		found, ok := stage.DecodeSummary[stage.CoincidencesSummary](result(t, m, name))
		if !ok {
			t.Fatalf("%s: %+v", name, result(t, m, name))
		}
		return found.All
	}
	if all, common := counts("whole"), counts("cut"); all != 1000 || common < 498 || common > 500 {
		t.Errorf("%d pairs in all, %d in the common time", all, common)
	}
	if over := result(t, m, "cut").Over; over.Length() != s || result(t, m, "whole").Over != nil {
		t.Errorf("over %+v", over)
	}
	found, _ := stage.DecodeSummary[stage.RatesSummary](result(t, m, "rates"))
	if found.Channels[0].Tags != 500 || found.Channels[1].Tags != 502 {
		t.Errorf("rates: %+v", found.Channels)
	}

	m = mustAnalyse(t, tags, r, func(m *run.Manifest) {
		change(m)
		m.Nodes["bob"].Channels["idler"].Losses = []fact.Loss{{AtPs: 0, LengthPs: 2 * s}}
	})
	if r := result(t, m, "cut"); !strings.Contains(r.Skipped, "bob.idler has no time in which") || !m.Has(run.Tainted) {
		t.Errorf("with no common time: %+v", r)
	}
	if m.Common.Length() != 0 || m.Common.Why == "" {
		t.Errorf("with no common time: %+v", m.Common)
	}
}

// What an align stage finds says where the common time lies on the other clock.
func TestCommonTimeByTheFoundClock(t *testing.T) {
	tags := pairsOf(2, []int64{0, 400_000}, []int64{0, 12_000_000_000})
	r := &recipe.Recipe{Stages: []recipe.Stage{alignStage("align", "alice.signal", "bob.idler")}}
	_, m, _, err := analysed(t, map[string][]uint64{"alice.signal": tags[0], "bob.idler": tags[1]}, r)
	if err != nil {
		t.Fatal(err)
	}
	bob := m.Common.Clocks["bob.tc"]
	if d := int64(bob.ToPs) - int64(m.Common.ToPs); bob.By != run.ByAlign || d < 399_000 || d > 13_000_000 {
		t.Errorf("common time %+v", m.Common)
	}
}

func mustAnalyse(t *testing.T, channels map[string][]uint64, r *recipe.Recipe, change func(*run.Manifest)) *run.Manifest {
	t.Helper()
	_, m, _, err := analysedAfter(t, channels, r, change)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
