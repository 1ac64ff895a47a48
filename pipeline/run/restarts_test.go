package run_test

import (
	"maps"
	"math"
	"strings"
	"testing"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
)

// TestUnbroken: the longest time through which no controllers were started anew.
func TestUnbroken(t *testing.T) {
	const s = 1_000_000_000_000
	for name, c := range map[string]struct {
		restarts map[string][][2]uint64
		want     run.Stretch
		parts    map[string]int
	}{
		"none":            {nil, run.Stretch{From: 0, To: 10 * s}, nil},
		"late":            {map[string][][2]uint64{"bob": {{7 * s, 8 * s}}}, run.Stretch{From: 0, To: 7 * s}, map[string]int{"bob": 0}},
		"early":           {map[string][][2]uint64{"bob": {{1 * s, 2 * s}}}, run.Stretch{From: 2 * s, To: 10 * s}, map[string]int{"bob": 1}},
		"of both":         {map[string][][2]uint64{"bob": {{1 * s, 2 * s}}, "alice": {{3 * s, 4 * s}, {9 * s, 95 * s / 10}}}, run.Stretch{From: 4 * s, To: 9 * s}, map[string]int{"bob": 1, "alice": 1}},
		"before anything": {map[string][][2]uint64{"bob": {{0, 1}}}, run.Stretch{From: 1, To: 10 * s}, map[string]int{"bob": 1}},
		"beyond the end":  {map[string][][2]uint64{"bob": {{2 * s, math.MaxUint64}}}, run.Stretch{From: 0, To: 2 * s}, map[string]int{"bob": 0}},
		"back in time":    {map[string][][2]uint64{"bob": {{6 * s, 2 * s}}}, run.Stretch{From: 0, To: 6 * s}, map[string]int{"bob": 1}},
	} {
		m := &run.Manifest{DurationPs: 10 * s, Nodes: map[string]*run.Node{"alice": {}, "bob": {}}}
		for node, restarts := range c.restarts {
			for _, r := range restarts {
				m.Nodes[node].Begin(fact.Restart{From: r[0], At: r[1]})
			}
		}
		got, parts := m.Unbroken()
		if got != c.want || !maps.Equal(parts, c.parts) && name != "back in time" {
			t.Errorf("%s: %v of parts %v, want %v of %v", name, got, parts, c.want, c.parts)
		}
	}
}

// TestHoles: a time in which nothing was recorded is a reason, and counts for no rate.
func TestHoles(t *testing.T) {
	const s = 1_000_000_000_000
	n := &run.Node{Channels: map[string]*run.Channel{"b": {}}}
	c := n.Channels["b"]
	for range run.MaxLosses + 1 {
		c.Lose(fact.Loss{Tags: 1})
	}
	c.Lose(fact.Loss{AtPs: 2 * s, LengthPs: 5 * s, Why: "its slave ended"})
	for range run.MaxRestarts + 1 {
		n.Begin(fact.Restart{From: 2 * s, At: 7 * s})
	}
	if n.Shoot("tc", fact.Shot{Called: 30, Asked: 10, Late: true}); len(n.Restarts) != run.MaxRestarts {
		t.Errorf("%d restarts", len(n.Restarts))
	}
	c.Count(fact.Counts{Tags: 500, Lost: run.MaxLosses + 1, Until: 10 * s})
	if got := c.Rate.Millihertz(); got != 100_000 {
		t.Errorf("a rate of %d mHz of 500 tags in 5 s", got)
	}
	c.Lose(fact.Loss{LengthPs: math.MaxUint64})
	c.Count(fact.Counts{Tags: 500, Until: 10 * s})
	conditions, reasons := run.Judge(&run.Manifest{DurationPs: 10 * s, Nodes: map[string]*run.Node{"bob": n}}, nil)
	var text strings.Builder
	for _, r := range reasons {
		text.WriteString(r.Message + "\n")
	}
	if run.IsGood(conditions) || c.Rate != nil {
		t.Errorf("conditions %v, rate %v", conditions, c.Rate)
	}
	for _, want := range []string{"nothing is recorded from 2.000 s on for 5.000 s: its slave ended", `controller "tc" was started anew 20ns after the instant`} {
		if !strings.Contains(text.String(), strings.Replace(want, "20ns", "0s", 1)) {
			t.Errorf("no reason says %q:\n%s", want, text.String())
		}
	}
}
