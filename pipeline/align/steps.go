package align

import (
	"fmt"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/scatter"
)

const coarsest = 60_000 // ps: steps within which pairs are not told from light that flickers

// newGrid finds by what steps the tags of both records come.
func newGrid(a, b []uint64) scatter.Grid {
	return scatter.Grid{A: correlate.GridOf(a), B: correlate.GridOf(b)}
}

// tooCoarse refuses tags whose steps are wider than a peak of pairs may be.
func tooCoarse(g scatter.Grid) error {
	name, step := "A", g.A
	if g.B > g.A {
		name, step = "B", g.B
	}
	return &Refusal{Code: "coarse",
		Reason: fmt.Sprintf("the tags of %s come in steps of %s, and within that no pairs are told from light that flickers", name, span(step, 6)),
		Hint:   fmt.Sprintf("record with steps of at most %d ns; a marker tells clocks of such tags too", coarsest/1000)}
}
