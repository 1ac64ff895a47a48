package master

import (
	"fmt"
	"strings"
	"time"

	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

func (s state) nodeFailed(e evFailed) (state, []any) {
	if _, known := s.nodes[e.node]; !known {
		return s, nil
	}
	f := e.failure
	if !s.started() {
		return s.refuse(trouble{refusal, e.node, f})
	}
	s.troubles = append(s.troubles, trouble{missing, e.node, f})
	if s.armingNext() { // the others wait for it in vain
		return s.stop()
	}
	if s.rules.abortOnAbsent && s.phase == running {
		return s.giveUp(e.node, "lost_node", "the node failed")
	}
	return s, nil
}

// nodeStopped records that a node's user ended its recording. The others go on
// unless the recipe wants all or nothing.
func (s state) nodeStopped(name string) (state, []any) {
	_, known := s.nodes[name]
	records := s.phase == armed || s.started() // who has the instant may be ahead of what the master knows of the others
	if !known || !records || s.phase == analysing {
		return s, nil
	}
	s.troubles = append(s.troubles, trouble{stopped, name, sdk.Failure{Code: "node-stopped",
		Message: "the recording of this node was ended by its user there"}})
	if s.armingNext() {
		return s.stop()
	}
	if s.rules.abortOnAbsent && s.phase == running {
		return s.giveUp(name, "lost_node", "the node was stopped")
	}
	return s, nil
}

// giveUp ends the recording because a fault policy of the recipe wants it.
func (s state) giveUp(node, key, why string) (state, []any) {
	s.troubles = append(s.troubles, trouble{policy, node, sdk.Failure{Code: "policy",
		Message: fmt.Sprintf("%s and faults.%s is abort: the run was ended", why, key)}})
	return s.stop()
}

// nodeGone goes on without a node, or ends the run.
func (s state) nodeGone(name string, f sdk.Failure) (state, []any) {
	n, known := s.nodes[name]
	if !known || n.gone || s.phase == analysing {
		return s, nil
	}
	if !s.started() {
		return s.refuse(trouble{refusal, name, f})
	}
	s.troubles = append(s.troubles, trouble{missing, name, f})
	s.change(name, func(n *node) { n.gone, n.away = true, false })
	switch {
	case s.rules.abortOnAbsent && s.phase == running:
		return s.giveUp(name, "lost_node", "the node was lost")
	case s.armingNext():
		return s.stop()
	}
	return s.advance()
}

// nodeJoined lets a node in, also in the place of its process before.
func (s state) nodeJoined(name string) (state, []any) {
	s.change(name, func(n *node) { *n = node{joined: true} })
	if s.phase == watching { // until it looks, too
		s.phase = joining
		return s, []any{doDeadline{s.rules.join}}
	}
	return s, s.renewed()
}

// nodeSilent lets a node be away, or gives it up when that has lasted too long.
func (s state) nodeSilent(e evSilent) (state, []any) {
	if e.since < s.rules.patience || s.rules.waits && s.started() {
		s.change(e.node, func(n *node) { n.away = !n.gone })
		return s, nil
	}
	return s.nodeGone(e.node, sdk.Failure{
		Code:    "node-lost",
		Message: fmt.Sprintf("nothing heard for %v", e.since.Round(100*time.Millisecond)),
		Hint:    "look at the node's own log and at the network between; what it recorded is kept on its disk",
	})
}

// nodeHeard takes a node back that was away. What it has missed takes time.
func (s state) nodeHeard(name string) (state, []any) {
	if !s.nodes[name].away {
		return s, nil
	}
	s.change(name, func(n *node) { n.away = false })
	return s, s.renewed()
}

// renewed is the whole deadline of the phase again. Two are not renewed: that of
// joining, because the user has set it, and that before the instant. Nor is that of
// the recording, which goes on unheard, unless it has passed.
func (s *state) renewed() []any {
	switch {
	case s.phase == arming:
		return []any{doDeadline{armTimeout}}
	case s.phase == running && s.overrun, s.phase == draining:
		return []any{doDeadline{drainTimeout}}
	case s.phase == transferring:
		return []any{doDeadline{transferTimeout}}
	}
	return nil
}

// awaited lists the nodes that are away while the others have come as far as they
// can without them.
func (s *state) awaited() []string {
	far := far(s.phase)
	if far == nil {
		return nil
	}
	late, away := s.late(far)
	if len(late) > 0 {
		return nil
	}
	return away
}

// giveUpAway goes on without the nodes that are away, because the user wants it.
func (s state) giveUpAway(names []string) (state, []any) {
	for _, name := range names {
		s.troubles = append(s.troubles, trouble{missing, name, sdk.Failure{Code: "node-lost",
			Message: "the user did not wait for it any longer, when nothing was heard of it",
			Hint:    "what it recorded is kept on its disk"}})
		s.change(name, func(n *node) { n.gone, n.away = true, false })
	}
	return s.advance()
}

// interrupt carries out what the user wants. The first one ends the recording, the
// second one gives up what is left to do: the nodes that are waited for, if those
// are away, else the run.
func (s state) interrupt() (state, []any) {
	if s.phase == watching { // nothing was to be kept
		s.phase = done
		return s, []any{s.order(wire.Abort)}
	}
	away := s.awaited()
	if s.interrupted && s.started() && len(away) > 0 {
		return s.giveUpAway(away)
	}
	if s.interrupted || !s.started() {
		s.phase = aborted
		s.troubles = append(s.troubles, trouble{canceled, "", sdk.Failure{Code: "aborted", Message: "aborted by the user"}})
		return s, []any{s.order(wire.Abort)}
	}
	s.interrupted = true
	switch {
	case len(away) > 0:
		return s, []any{doWarn{"the recording is over; it is waited for " + strings.Join(away, ", ") + ", of which nothing is heard", "interrupt again to go on without"}}
	case s.phase != running && !s.between(): // recorded already: the second one ends the rest
		return s, []any{doWarn{"the recording is over; its files are being fetched and looked at", "interrupt again to give that up"}}
	}
	s.troubles = append(s.troubles, trouble{stopped, "", sdk.Failure{Code: "interrupted", Message: "stopped by the user before the acquisition was over"}})
	return s.stop()
}
