package master

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// Deadlines of phases that no recipe sets. Each is generous: it ends a wait
// that would otherwise never end.
const (
	armTimeout      = 60 * time.Second
	drainTimeout    = 60 * time.Second  // from the end of the acquisition to a closed file, and to the next
	transferTimeout = 600 * time.Second // without a file coming farther; the largest are hashed within it
)

// ackGuard is how long before the instant every node must have acknowledged
// it; a node that has not could not fire in time, so nobody does.
func ackGuard(lead time.Duration) time.Duration { return lead / 4 }

// overdue ends the wait for the nodes that hold the run up. Once the instant
// has passed nobody can be called back: who has not acknowledged it may have
// fired all the same, and is judged by what it records.
func (s state) overdue(fired bool) (state, []any) {
	if s.phase == armed && fired {
		s.phase = running
		return s, []any{s.runningDeadline()}
	}
	var late []string
	far := map[phase]func(node) bool{
		joining:      reached(wire.Ready),
		arming:       reached(wire.Armed),
		armed:        func(n node) bool { return n.order >= s.fire },
		running:      reached(wire.Transferring),
		draining:     reached(wire.Transferring),
		transferring: reached(wire.Done),
	}[s.phase]
	if far == nil {
		return s, nil
	}
	for name, n := range s.nodes {
		if !n.gone && !far(n) {
			late = append(late, name)
		}
	}
	slices.Sort(late)
	if !s.phase.started() {
		return s.refuse(trouble{refusal, late[0], s.lateness(late)})
	}
	for _, name := range late {
		s.troubles = append(s.troubles, trouble{missing, name, sdk.Failure{
			Code:    "node-late",
			Message: fmt.Sprintf("not finished %s in time", s.phase),
			Hint:    "what the node recorded is kept on its disk",
		}})
		s.change(name, func(n *node) { n.gone = true })
	}
	return s.advance()
}

// lateness explains a run that could not start.
func (s *state) lateness(late []string) sdk.Failure {
	first := s.nodes[late[0]]
	switch {
	case s.phase == armed:
		return sdk.Failure{Code: "trigger-unacknowledged",
			Message: fmt.Sprintf("the trigger was not acknowledged in time%s, so the start was called off before its instant", andOthers(late)),
			Hint:    "raise trigger.lead, or look for what keeps the node or its network busy"}
	case !first.joined:
		return sdk.Failure{Code: "node-absent",
			Message: fmt.Sprintf("did not join within %v%s", s.rules.join, andOthers(late)),
			Hint:    "start it there with: " + slaveCommand(late[0], s.rules.master)}
	}
	if first.deaf {
		return s.deafness()
	}
	return sdk.Failure{Code: "node-not-ready",
		Message: fmt.Sprintf("still %s when the time was up%s", first.phase, andOthers(late)),
		Hint:    "look at the node's log lines above"}
}

// deafness explains why a node that is ready cannot be told to start.
func (s *state) deafness() sdk.Failure {
	return sdk.Failure{Code: "trigger-unheard",
		Message: fmt.Sprintf("is ready, but hears nothing from the trigger port of this PC, %d", s.rules.trigger),
		Hint:    fmt.Sprintf("let the firewalls between pass TCP port %d; install the same release of tsrun on both PCs", s.rules.trigger)}
}

// andOthers names the nodes beside the first, of which a failure is.
func andOthers(late []string) string {
	if len(late) < 2 {
		return ""
	}
	return " (the same holds for " + strings.Join(late[1:], ", ") + ")"
}

// slaveCommand is what to type on the PC of a remote node.
func slaveCommand(node, master string) string {
	return fmt.Sprintf("tsrun --mode slave --node %s --master %s", node, master)
}
