package master

import (
	"fmt"
	"slices"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
)

// A run of several shots goes from draining back to arming, as long as every node has
// taken the shot whole:
//
//	joining → arming → armed → running → draining → transferring → …
//	             ↑                          │
//	             └──────── next shot ───────┘

// started reports whether tags may exist.
func (s *state) started() bool { return s.shot > 1 || s.phase.started() }

// more reports whether another shot is to follow the present one.
func (s *state) more() bool { return s.shot < s.rules.shots && !s.ending }

// between reports whether the run is about to take a shot that is not the first.
func (s *state) between() bool {
	return s.armingNext() || s.phase == draining && s.more()
}

// armingNext reports whether a shot that is not the first is being armed, or is armed.
func (s *state) armingNext() bool { return s.shot > 1 && (s.phase == arming || s.phase == armed) }

// isBack reports whether a node has taken the shot, and is ready for another. One that
// was armed for another by a master that was killed waits for a start that never comes.
func (s *state) isBack(n node) bool {
	return s.rules.shots > 1 && (n.phase == wire.Ready && n.order >= s.fire || s.ending && !s.told && n.phase == wire.Armed)
}

// waiting reports whether nodes are ready for another shot and no node is still busy
// with this one.
func (s *state) waiting() bool {
	if s.phase != running && s.phase != draining && s.phase != transferring || s.told {
		return false
	}
	back := false
	for _, n := range s.nodes {
		back = back || !n.gone && s.isBack(n)
	}
	return back && s.present(func(n node) bool { return s.isBack(n) || reached(wire.Transferring)(n) })
}

// goOn begins the next shot, or tells the nodes that none follows: one of them is
// gone, or has ended its part.
func (s *state) goOn() []any {
	whole := s.more()
	for _, n := range s.nodes {
		whole = whole && !n.gone && s.isBack(n)
	}
	if !whole {
		s.ending, s.told = true, true
		return []any{s.order(wire.Stop), doDeadline{drainTimeout}}
	}
	s.shot++
	s.phase = arming
	return []any{s.order(wire.Arm), doDeadline{armTimeout}}
}

// instant enters the instant of a shot.
func (b *book) instant(ns int64, lead time.Duration) {
	t := &b.manifest.Trigger
	if t.InstantNs == 0 {
		t.InstantNs, t.LeadNs = ns, lead.Nanoseconds()
	}
	if b.recipe.Acquire.Shots() > 1 {
		t.Shots = append(slices.Clone(t.Shots), run.TriggerShot{Number: len(t.Shots) + 1, InstantNs: ns, Skew: []run.SkewRecord{}})
	}
}

// take enters a shot that a node starts.
func (b *book) take(name string, t *wire.Take) {
	if t.Clock != nil && !t.Clock.Plausible() {
		t.Clock = nil
	}
	b.manifest.Nodes[name].Take(t.Take, t.Clock)
}

// tellShots tells how many shots there are where that is fewer than the recipe asks for.
func (b *book) tellShots(s state) {
	of := b.recipe.Acquire.Shots()
	if of == 1 || !s.started() && s.phase != done {
		return
	}
	taken := b.manifest.WholeShots(uint64(b.recipe.Acquire.Duration))
	if taken >= of {
		return
	}
	r := run.Reason{Condition: run.Incomplete, Message: fmt.Sprintf("%d of %d shots were taken whole", taken, of)}
	if i := slices.IndexFunc(s.troubles, func(t trouble) bool { return t.kind == stopped }); i >= 0 {
		r.Condition, r.Node = run.Interrupted, s.troubles[i].node
	}
	b.manifest.Notice(r)
}

// began is when the controllers of a segment's node began its shot, in a run that takes
// several; nil where nobody knows.
func (b *book) began(s run.Segment) *run.Start {
	if b.recipe.Trigger.Method == "hardware" { // the edge decides
		return nil
	}
	return b.manifest.Nodes[s.Node].Began(s.Part)
}
