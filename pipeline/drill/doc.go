// Package drill breaks runs of a recipe at random while they go on, and judges
// what was lost:
//
//	Run ── Plan ──▶ faults, from a seed: the same seed makes the same plan
//	    ── bench ─▶ the installed program itself: a master and slaves as processes,
//	    │           remote nodes behind a link, a relay that cuts and slows
//	    ── play ──▶ each fault when the run is in its state
//	    ── judge ─▶ the run directory against a witness of what the sinks closed
//
// It needs simulated controllers, or the user's word that real ones may be
// treated so, and the processes of this PC alone.
package drill
