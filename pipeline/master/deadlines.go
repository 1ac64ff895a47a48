package master

import (
	"cmp"
	"fmt"
	"maps"
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
	drainTimeout    = 75 * time.Second  // from the end of the acquisition to a closed file, and to the next; a node says after 60 s itself which sink it waits for
	transferTimeout = 600 * time.Second // without a file coming farther; the largest are hashed within it
)

// ackGuard is how long before the instant every node must have acknowledged
// it; a node that has not could not fire in time, so nobody does.
func ackGuard(lead time.Duration) time.Duration { return lead / 4 }

// tripsAhead is how many of the longest round trips the instant is ahead at least: now
// and then an answer takes many times as long as the quickest.
const tripsAhead = 20

// ackWithin is how long after the order to start it must have been acknowledged.
func (s *state) ackWithin() time.Duration {
	if s.rules.onReceipt { // nobody can be called back: then it has passed
		return s.rules.lead
	}
	return s.lead - ackGuard(s.lead)
}

// leadNow is how far ahead the instant is: trigger.lead, or more where a node is far;
// nothing where nodes fire on receipt.
func (s *state) leadNow() time.Duration {
	lead := s.rules.lead
	if s.rules.onReceipt {
		return 0
	}
	for _, n := range s.nodes {
		if !n.gone {
			lead = max(lead, min(tripsAhead*n.trip, longestLead))
		}
	}
	return lead
}

// tooFar returns a node that cannot acknowledge the instant in time, because its
// answer alone takes too long; "" for none.
func (s *state) tooFar() string {
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		if n := s.nodes[name]; !n.gone && n.trip >= s.rules.lead-ackGuard(s.rules.lead) {
			return name
		}
	}
	return ""
}

// distance explains why the lead is too short for a node.
func (s *state) distance(name string) sdk.Failure {
	trip := s.nodes[name].trip
	return sdk.Failure{Code: "lead-short", Field: "trigger.lead",
		Message: fmt.Sprintf("an answer of this node takes %v, and trigger.lead of %v leaves %v for it", trip.Round(time.Millisecond), s.rules.lead, s.rules.lead-ackGuard(s.rules.lead)),
		Hint:    "write a trigger.lead of " + leadFor(trip).String() + " or more; the longest is " + longestLead.String()}
}

// longestLead is the most that a recipe may say.
const longestLead = time.Minute

// leadFor is the lead that lets a node acknowledge the instant whose answers take so
// long: one may be under way when the instant comes, and the next acknowledges it.
func leadFor(trip time.Duration) time.Duration {
	const step = 100 * time.Millisecond
	return (4*trip + step - 1) / step * step
}

// overdue ends the wait for the nodes that hold the run up. Once the instant
// has passed nobody can be called back: who has not acknowledged it may have
// fired all the same, and is judged by what it records.
func (s state) overdue(e evOverdue) (state, []any) {
	if s.phase == armed && e.fired {
		s.phase = running
		return s, []any{s.runningDeadline()}
	}
	far := far(s.phase)
	if far == nil {
		return s, nil
	}
	late, away := s.late(far)
	comes := false // a slow sink or disk takes its time, and the node itself sees when it stands still
	if s.phase == running || s.phase == draining {
		late = slices.DeleteFunc(late, func(name string) bool {
			comes = comes || slices.Contains(e.farther, name)
			return slices.Contains(e.farther, name)
		})
	}
	waits := s.phase != joining && s.phase != armed && len(away) > 0 || comes // their patience ends it
	switch {
	case s.phase == joining || s.phase == arming && !(waits && len(late) == 0) || s.phase == armed:
		late = append(late, away...)
		return s.refuse(trouble{refusal, late[0], s.lateness(late)})
	case !waits:
		late = append(late, away...)
	}
	for _, name := range late {
		s.troubles = append(s.troubles, trouble{missing, name, sdk.Failure{
			Code:    "node-late",
			Message: fmt.Sprintf("not finished %s in time", s.phase),
			Hint:    "what the node recorded is kept on its disk",
		}})
		s.change(name, func(n *node) { n.gone = true })
	}
	if waits {
		s.overrun = true
		return s, s.renewed()
	}
	return s.advance()
}

// far returns whether a node has come as far as a phase waits for; nil: it waits
// for no node.
func far(p phase) func(state, node) bool {
	as := func(p wire.Phase) func(state, node) bool {
		return func(_ state, n node) bool { return reached(p)(n) }
	}
	return map[phase]func(state, node) bool{
		joining:      as(wire.Ready),
		arming:       func(_ state, n node) bool { return isArmed(n) },
		armed:        func(s state, n node) bool { return n.order >= s.fire },
		running:      func(s state, n node) bool { return reached(wire.Transferring)(n) || s.isBack(n) },
		draining:     func(s state, n node) bool { return reached(wire.Transferring)(n) || s.isBack(n) && !s.told },
		transferring: as(wire.Done),
	}[p]
}

// late lists the nodes that hold the run up, by name: those that are heard and
// those that are away.
func (s *state) late(far func(state, node) bool) (late, away []string) {
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		switch n := s.nodes[name]; {
		case n.gone || far(*s, n):
		case n.away:
			away = append(away, name)
		default:
			late = append(late, name)
		}
	}
	return late, away
}

// lateness explains a run that could not start.
func (s *state) lateness(late []string) sdk.Failure {
	first := s.nodes[late[0]]
	switch {
	case s.phase == armed:
		return sdk.Failure{Code: "trigger-unacknowledged",
			Message: fmt.Sprintf("the trigger was not acknowledged in time%s, so the start was called off before its instant", andOthers(late)),
			Hint:    "raise trigger.lead, or look for what keeps the node or its network busy" + s.needs(late)}
	case !first.joined && first.turned.Message != "":
		return sdk.Failure{Code: "node-absent",
			Message: fmt.Sprintf("did not join within %v%s; %s", s.rules.join, andOthers(late), first.turned.Message),
			Hint:    first.turned.Hint}
	case !first.joined:
		return sdk.Failure{Code: "node-absent",
			Message: fmt.Sprintf("did not join within %v%s", s.rules.join, andOthers(late)),
			Hint:    "start it there with: " + slaveCommand(late[0], s.rules.master)}
	}
	if first.deaf {
		return s.deafness()
	}
	if first.away {
		return sdk.Failure{Code: "node-away",
			Message: fmt.Sprintf("joined, was %s, and nothing is heard of it%s", cmp.Or(first.phase, wire.Preparing), andOthers(late)),
			Hint:    "look at the node's own log and at the network between"}
	}
	return sdk.Failure{Code: "node-not-ready",
		Message: fmt.Sprintf("still %s when the time was up%s", first.phase, andOthers(late)),
		Hint:    "look at the node's log lines above"}
}

// needs says which lead the farthest of some nodes needs, where that is more than it has.
func (s *state) needs(names []string) string {
	far := time.Duration(0)
	for _, name := range names {
		far = max(far, s.nodes[name].trip)
	}
	if lead := leadFor(far); lead > s.rules.lead {
		return fmt.Sprintf("; an answer takes %v, for which a lead of %v is enough", far.Round(time.Millisecond), lead)
	}
	return ""
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
