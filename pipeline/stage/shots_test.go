package stage

import (
	"testing"

	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// Each shot is looked for as far apart as its own starts were: one that this PC has held
// up takes no other with it.
func TestAlignOptionsOfShots(t *testing.T) {
	start := func(ns int64) *run.Start {
		return &run.Start{InstantNs: 1e18, EstimateNs: 1e18 + ns, UncertaintyNs: 100}
	}
	m := &run.Manifest{Nodes: map[string]*run.Node{
		"alice": {Start: start(0), Takes: []run.Take{{Start: start(0)}, {Start: start(0)}, {}}},
		"bob":   {Start: start(1000), Takes: []run.Take{{Start: start(1000)}, {Start: start(30e6)}, {Start: start(0)}}},
		"carol": {Start: start(2000)},
	}}
	c := AlignConfig{Reference: "alice.a", Target: "bob.b", Search: quantity.Millisecond}
	for shot, want := range map[int]int64{0: 1e9 + 1200e3, 1: 31e9 + 200e3, 2: 1e9, 3: 1e9} { // of the last two no start is known
		if got := AlignOptions(m, c, shot).Search; got != want {
			t.Errorf("shot %d: search %d ps, want %d", shot, got, want)
		}
	}
	c.Reference = "carol.c" // as in a run that takes one
	if got, want := AlignOptions(m, c, 0).Search, int64(1e9+1200e3); got != want {
		t.Errorf("search %d ps, want %d", got, want)
	}
	c.Target = "zoe.z"
	if got := AlignOptions(m, c, 0).Search; got != 1e9 {
		t.Errorf("of nobody: search %d ps", got)
	}
}
