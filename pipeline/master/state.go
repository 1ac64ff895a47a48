package master

import (
	"maps"
	"slices"
	"time"

	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// phase is where the run as a whole stands.
type phase string

const (
	joining      phase = "joining"      // nodes appear, open their devices
	watching     phase = "watching"     // all there, and at work; nothing is kept until the user wants it
	arming       phase = "arming"       // all there; each is told to arm
	armed        phase = "armed"        // all armed; the instant is out and being acknowledged
	running      phase = "running"      // all have the instant
	draining     phase = "draining"     // told to stop, or recorded; files are being closed
	transferring phase = "transferring" // all recorded; files are on their way
	analysing    phase = "analysing"    // everything is here
	done         phase = "done"
	aborted      phase = "aborted" // the user said so twice, or before there was anything to keep
	failed       phase = "failed"  // never started
)

// course are the phases of a run that nothing ends before its time. Watching stands
// before it: a run that is to begin at once has none.
var course = []phase{joining, arming, armed, running, draining, transferring, analysing, done}

// since lists the phases that a run has come through since another, in order: one
// report may carry it through several.
func (p phase) since(before phase) []phase {
	from, to := slices.Index(course, before), slices.Index(course, p)
	switch {
	case p == before:
		return nil
	case p == watching, before == watching, to < from: // or the next shot
		return []phase{p}
	}
	return course[from+1 : to+1]
}

// gathers reports whether a slave that was started anew may take part: nothing is
// recorded yet, and no instant is set.
func (p phase) gathers() bool { return p == joining || p == watching || p == arming }

// over reports whether nothing more happens in a phase.
func (p phase) over() bool { return p == done || p == aborted || p == failed }

// started reports whether tags may exist in a phase.
func (p phase) started() bool {
	return p == running || p == draining || p == transferring || p == analysing || p == done
}

// node is what the run knows of one node.
type node struct {
	joined bool
	turned sdk.Failure // why the last slave of its name was not let in; of none: empty
	phase  wire.Phase
	order  uint64        // the last order it carried out
	trip   time.Duration // the round trip to it; 0: not known
	deaf   bool          // ready, but it hears nothing from the trigger port
	away   bool          // nothing has been heard of it for a while; it may come back
	gone   bool          // lost, and not waited for any more
}

// state is everything the run's decisions depend on. It is a value: next makes
// a new one and shares nothing with the old.
type state struct {
	phase       phase
	shot        int  // that is being taken, from 1
	ending      bool // it is the last, whatever was planned
	told        bool // and the nodes were ordered to end
	nodes       map[string]node
	rules       rules
	orders      uint64        // number of the last order given
	fire        uint64        // number of the Fire order, 0 before
	lead        time.Duration // of that order
	interrupted bool
	overrun     bool // the phase's deadline has passed, and only nodes that are away hold it up
	troubles    []trouble
}

// rules are the parts of the recipe that decide.
type rules struct {
	lead          time.Duration
	watch         bool          // nothing is recorded until the user wants it
	leaves        bool          // and not by this run then
	onReceipt     bool          // nodes fire as soon as they have the order
	duration      time.Duration // of the acquisition, of one shot; never 0
	shots         int           // that are planned; 0: one
	join          time.Duration
	patience      time.Duration // how long a node may be away
	master        string        // what a slave's --master is told
	trigger       int           // the port of orders
	abortOnLoss   bool          // lost tags end the run
	abortOnAbsent bool          // a lost or failed node ends the run
	waits         bool          // a node that is away is waited for without end
	restarts      bool          // a node that is back records on
}

// trouble is one reason why a run is not what it should be.
type trouble struct {
	kind    troubleKind
	node    string
	failure sdk.Failure
}

type troubleKind string

const (
	refusal  troubleKind = "refusal"  // nothing was recorded because of it
	missing  troubleKind = "missing"  // something that should have been recorded was not, or did not arrive
	stopped  troubleKind = "stopped"  // the user ended the run, or a node's part in it, early
	canceled troubleKind = "canceled" // the user threw the run away
	policy   troubleKind = "policy"   // a fault policy of the recipe ended the run
)

// Events. Each is something that happened outside; next decides what it means.
type (
	evJoined struct{ node string }
	evTurned struct { // a slave of its name was not let in
		node string
		why  sdk.Failure
	}
	evReported struct {
		node  string
		phase wire.Phase
		order uint64
		trip  time.Duration // the round trip to it; 0: not known
	}
	evDeaf     struct{ node string }
	evClockSet struct { // before the instant
		node    string // "": the master's own
		failure sdk.Failure
	}
	evFailed struct {
		node    string
		failure sdk.Failure
	}
	evSilent struct { // nothing was heard of it for so long
		node  string
		since time.Duration
	}
	evHeard struct{ node string } // after it was away
	evCut   struct {              // its recording ended before its time, with the master that was killed
		node    string
		failure sdk.Failure
	}
	evGone struct { // its process has ended
		node    string
		failure sdk.Failure
	}
	evStopped struct { // its user ended its recording
		node string
	}
	evTagsLost    struct{ node string }
	evDiskLow     struct{ failure sdk.Failure } // the master's disk is nearly full
	evRecord      struct{}                      // the user has seen enough, and wants it recorded
	evInterrupted struct{}
	evOverdue     struct { // the deadline of the phase has passed
		fired   bool     // and the instant too
		farther []string // nodes whose recording came farther within drainTimeout
	}
	evProgress struct{} // a file was closed, or has come farther
	evAnalysed struct{}
)

// Effects. Each is something the run's goroutine has to do.
type (
	// doOrder publishes an order. For a Fire the instant is lead from now.
	doOrder struct {
		kind wire.OrderKind
		seq  uint64
		lead time.Duration
	}
	doDeadline struct{ after time.Duration } // of the new phase; 0: none
	doAnalyse  struct{}
	doWarn     struct{ message, hint string }
)

func newState(names []string, r rules) (state, []any) {
	s := state{phase: joining, shot: 1, nodes: map[string]node{}, rules: r}
	for _, n := range names {
		s.nodes[n] = node{}
	}
	return s, []any{doDeadline{r.join}}
}

// next is the run's whole logic: from where it stands and what happened to
// where it stands then and what is to be done. It reads no clock and does nothing.
func next(s state, event any) (state, []any) {
	if e, reported := event.(evReported); s.phase.over() && reported { // records who knows that it is over
		s.nodes = maps.Clone(s.nodes)
		s.change(e.node, func(n *node) { n.phase, n.order = e.phase, e.order })
	}
	if s.phase.over() {
		return s, nil
	}
	s.nodes = maps.Clone(s.nodes)
	s.troubles = slices.Clone(s.troubles)
	switch e := event.(type) {
	case evJoined:
		return s.nodeJoined(e.node)
	case evTurned:
		s.change(e.node, func(n *node) { n.turned = e.why })
	case evReported:
		s.change(e.node, func(n *node) {
			n.phase, n.order, n.trip, n.deaf = e.phase, e.order, e.trip, n.deaf && e.phase == wire.Preparing
		})
		return s.advance()
	case evDeaf:
		s.change(e.node, func(n *node) { n.deaf = true })
	case evFailed:
		return s.nodeFailed(e)
	case evClockSet:
		return s.clockSet(e)
	case evSilent:
		return s.nodeSilent(e)
	case evHeard:
		return s.nodeHeard(e.node)
	case evCut:
		s.troubles = append(s.troubles, trouble{stopped, e.node, e.failure})
		return s, nil
	case evGone:
		return s.nodeGone(e.node, e.failure)
	case evStopped:
		return s.nodeStopped(e.node)
	case evTagsLost:
		if s.rules.abortOnLoss && (s.phase == running || s.between()) {
			return s.giveUp(e.node, "lost_tags", "tags were lost")
		}
	case evDiskLow:
		if s.phase == running || s.between() {
			s.troubles = append(s.troubles, trouble{missing, "", e.failure})
			return s.stop()
		}
	case evRecord:
		return s.record()
	case evInterrupted:
		return s.interrupt()
	case evOverdue:
		return s.overdue(e)
	case evProgress:
		if s.phase == draining || s.phase == transferring {
			return s, s.renewed()
		}
	case evAnalysed:
		if s.phase == analysing {
			s.phase = done
			return s, []any{s.order(wire.Release)}
		}
	}
	return s, nil
}

func (s *state) change(name string, f func(*node)) {
	if n, ok := s.nodes[name]; ok {
		f(&n)
		s.nodes[name] = n
	}
}

// order numbers a new order.
func (s *state) order(kind wire.OrderKind) doOrder {
	s.orders++
	return doOrder{kind: kind, seq: s.orders}
}

// present reports whether ok is true of every node that is not gone.
func (s *state) present(ok func(node) bool) bool {
	for _, n := range s.nodes {
		if !n.gone && !ok(n) {
			return false
		}
	}
	return true
}

// reached returns whether a node has come to a phase, or beyond it.
func reached(p wire.Phase) func(node) bool {
	rank := []wire.Phase{wire.Preparing, wire.Ready, wire.Armed, wire.Running, wire.Draining, wire.Transferring, wire.Done}
	return func(n node) bool {
		return slices.Index(rank, n.phase) >= slices.Index(rank, p)
	}
}

// isArmed reports whether a node is armed, or has the instant already. One that is sending
// its files takes no further shot, and may be about to say why.
func isArmed(n node) bool { return reached(wire.Armed)(n) && !reached(wire.Transferring)(n) }

// advance moves the run on when all nodes have come far enough. One event may
// carry it through several phases.
func (s state) advance() (state, []any) {
	var effects []any
	for {
		before := s.phase
		switch {
		case s.phase == joining && s.rules.watch && s.present(reached(wire.Ready)):
			s.phase = watching
			effects = append(effects, doDeadline{}) // as long as the user looks
		case s.phase == joining && s.present(reached(wire.Ready)):
			s.phase = arming
			effects = append(effects, s.order(wire.Arm), doDeadline{armTimeout})
		case s.phase == arming && s.present(isArmed):
			if name := s.tooFar(); name != "" && !s.rules.onReceipt {
				return s.refuse(trouble{refusal, name, s.distance(name)})
			}
			s.phase = armed
			fire := s.order(wire.Fire)
			s.lead = s.leadNow()
			fire.lead = s.lead
			s.fire = fire.seq
			effects = append(effects, fire, doDeadline{s.ackWithin()})
		case s.phase == armed && s.present(func(n node) bool { return n.order >= s.fire }):
			s.phase = running
			effects = append(effects, s.runningDeadline())
		case s.waiting():
			effects = append(effects, s.goOn()...)
		case (s.phase == running || s.phase == draining) && s.present(reached(wire.Transferring)):
			s.phase = transferring
			effects = append(effects, doDeadline{transferTimeout})
		case s.phase == running && s.present(func(n node) bool { return reached(wire.Draining)(n) || s.isBack(n) }):
			s.phase = draining
			effects = append(effects, doDeadline{drainTimeout})
		case s.phase == transferring && s.present(reached(wire.Done)):
			s.phase = analysing
			effects = append(effects, doDeadline{}, doAnalyse{})
		}
		if s.phase == before { // also where nodes were told to end
			return s, effects
		}
		s.overrun = false
	}
}

func (s *state) runningDeadline() doDeadline {
	return doDeadline{max(s.lead, s.rules.lead) + s.rules.duration + drainTimeout}
}

// refuse ends a run of which nothing was recorded. In another shot it ends the shots.
func (s state) refuse(t trouble) (state, []any) {
	if s.shot > 1 {
		t.kind = missing
		s.troubles = append(s.troubles, t)
		return s.stop()
	}
	s.phase = failed
	s.troubles = append(s.troubles, t)
	return s, []any{s.order(wire.Abort)}
}

// stop ends the recording and keeps everything.
func (s state) stop() (state, []any) {
	s.phase, s.ending, s.told = draining, true, true
	return s, []any{s.order(wire.Stop), doDeadline{drainTimeout}}
}
