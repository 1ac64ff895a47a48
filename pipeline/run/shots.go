package run

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
)

// Take is a shot of a node, in a run that takes several.
type Take struct {
	fact.Take
	Shots map[string]fact.Shot `json:"shots"`           // by controller
	Start *Start               `json:"start,omitempty"` // absent where no shot was recorded (trigger method hardware)
	Clock *clock.Reading       `json:"clock,omitempty"` // by which the node translated the instant
}

// TriggerShot is a shot of the run.
type TriggerShot struct {
	Number    int          `json:"shot"`       // from 1
	InstantNs int64        `json:"instant_ns"` // Unix time of the master's clock
	Skew      []SkewRecord `json:"skew"`
}

// Take notes that the node starts a shot. What is there is not changed: a manifest
// that is being written may share it.
func (n *Node) Take(t fact.Take, reading *clock.Reading) {
	if len(n.Takes) < recipe.MaxShots {
		n.Takes = append(slices.Clone(n.Takes), Take{Take: t, Shots: map[string]fact.Shot{}, Clock: reading})
	}
	for _, c := range n.Channels {
		c.Sent, c.SentLost = nil, nil // of the shots before; those of the last are of all
	}
}

// TakeShot notes when a controller began in the last shot; false: the run takes one.
func (n *Node) TakeShot(controller string, s fact.Shot) (number int, ok bool) {
	if len(n.Takes) == 0 {
		return 0, false
	}
	n.Takes = slices.Clone(n.Takes)
	last := &n.Takes[len(n.Takes)-1]
	last.Shots = maps.Clone(last.Shots)
	last.Shots[controller] = s
	return last.Number, true
}

// Hear notes how the order to start a shot came to the node; what was known of that shot
// is replaced.
func (n *Node) Hear(h fact.Heard) {
	at := slices.IndexFunc(n.Heard, func(known fact.Heard) bool { return known.Shot == h.Shot })
	switch {
	case !h.Plausible() || h.Shot > recipe.MaxShots:
	case at < 0:
		n.Heard = append(slices.Clone(n.Heard), h)
	default:
		n.Heard = slices.Clone(n.Heard)
		n.Heard[at] = h
	}
}

// start works out when the node began the shot; nil where none of its controllers has told.
func (t Take) start() *Start {
	start, ok := NodeStart(slices.Collect(maps.Values(t.Shots)), t.InstantNs, t.CompensationNs, t.Clock)
	if !ok {
		return nil
	}
	return &start
}

// Began works out when the node began a shot, counted from 0, from what its controllers
// have told by now; nil where that is nothing.
func (n *Node) Began(shot int) *Start {
	if shot < 0 || shot >= len(n.Takes) {
		return nil
	}
	return n.Takes[shot].start()
}

// startTakes works out when the shots of the node began.
func (n *Node) startTakes() {
	n.Takes = slices.Clone(n.Takes)
	for i := range n.Takes {
		if start := n.Takes[i].start(); start != nil {
			n.Takes[i].Start = start
		}
	}
}

// StartTakes works out when each shot began at each node, and how far apart they were.
func (m *Manifest) StartTakes() {
	for _, n := range m.Nodes {
		n.startTakes()
	}
	m.Trigger.Shots = slices.Clone(m.Trigger.Shots)
	for i := range m.Trigger.Shots {
		t := &m.Trigger.Shots[i]
		t.Skew = m.skews(func(n *Node) *Start {
			if at := slices.IndexFunc(n.Takes, func(take Take) bool { return take.Number == t.Number }); at >= 0 {
				return n.Takes[at].Start
			}
			return nil
		})
	}
}

// WholeShots is how many shots of a length in ps every node has taken whole. Only the
// last that a node has begun can have ended early.
func (m *Manifest) WholeShots(length uint64) int {
	whole := len(m.Trigger.Shots)
	for _, n := range m.Nodes {
		begun := len(n.Takes)
		asked := uint64(begun) * length
		for _, c := range n.Channels {
			if begun > 0 && c.LengthPs+vouched(asked) < asked {
				begun = len(n.Takes) - 1
			}
		}
		whole = min(whole, begun)
	}
	return whole
}

// ShotAt is where the time 0 of the files of a part of a node's record lies in the
// run, in ps: of several shots each has times of its own.
func (n *Node) ShotAt(part int) uint64 {
	if part >= 0 && part < len(n.Takes) {
		return n.Takes[part].At
	}
	return 0
}

// StartOf is when the node began a shot, counted from 0; nil where nobody knows.
func (n *Node) StartOf(shot int) *Start {
	if shot < len(n.Takes) {
		return n.Takes[shot].Start
	}
	return nil
}

// judgeTakes notes shots that began late, but for the first, and those that were not taken.
func (j *judgement) judgeTakes(node *Node, name string) {
	for _, t := range node.Takes[min(1, len(node.Takes)):] {
		for _, key := range slices.Sorted(maps.Keys(t.Shots)) {
			if s := t.Shots[key]; s.Late {
				j.add(Reason{Condition: Tainted, Node: name, AtPs: &t.At,
					Message: fmt.Sprintf("shot %d: controller %q was started %v after its instant", t.Number, key, time.Duration(s.Called-s.Asked).Round(time.Microsecond))})
			}
		}
	}
}

// ShotsAsExpected counts the shots that all nodes began as they expected, to [ExpectedWithin] together, and those
// of which that is known.
func (m *Manifest) ShotsAsExpected() (expected, known int) {
	type all struct {
		later int64
		nodes int
	}
	shots := map[int]all{}
	for _, n := range m.Nodes {
		if n == nil {
			continue
		}
		for _, t := range n.Takes {
			if t.Start != nil && t.Start.LaterNs != nil {
				s := shots[t.Number]
				shots[t.Number] = all{s.later + *t.Start.LaterNs, s.nodes + 1}
			}
		}
	}
	for _, s := range shots {
		if s.nodes != len(m.Nodes) {
			continue
		}
		if known++; s.later <= ExpectedWithin {
			expected++
		}
	}
	return expected, known
}
