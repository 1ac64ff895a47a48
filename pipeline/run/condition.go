package run

import (
	"fmt"
	"slices"
	"sort"
)

// Condition is one word about a run; the manifest holds a list of them.
type Condition string

const (
	// Good: everything that was asked for is here and proven.
	Good Condition = "GOOD"
	// Incomplete: tags or segments are missing, or the run has not ended.
	Incomplete Condition = "INCOMPLETE"
	// Tainted: all is here, but something that was asked for did not hold: an
	// expectation was missed, a stage had to be skipped.
	Tainted Condition = "TAINTED"
	// Unverified: a file is here whose bytes are not proven.
	Unverified Condition = "UNVERIFIED"
	// Interrupted: the user ended the run; what was recorded until then was kept.
	Interrupted Condition = "INTERRUPTED"
	// Aborted: the run was given up, by a failure, a fault policy or a second interrupt.
	Aborted Condition = "ABORTED"
	// Simulated: at least one device was simulated. Stands beside any other.
	Simulated Condition = "SIMULATED"
)

// severity orders the list: the word to worry about most comes first.
var severity = []Condition{Aborted, Interrupted, Unverified, Incomplete, Tainted, Good, Simulated}

// Reason says why a condition holds.
type Reason struct {
	Condition Condition `json:"condition"`
	Node      string    `json:"node,omitempty"`
	Channel   string    `json:"channel,omitempty"`
	Message   string    `json:"message"`
	AtPs      *uint64   `json:"at,omitempty"` // ps in the acquisition, where there is such a place
}

// Judge decides the condition of a run: from what the manifest shows (losses,
// missing or unproven segments, tags that are in no file, simulated devices,
// no end) and from what was noticed while it went on. It looks at nothing
// else, so the same manifest always gets the same words.
func Judge(m *Manifest, noticed []Reason) ([]Condition, []Reason) {
	reasons := []Reason{}
	add := func(r Reason) {
		if r.Condition != Good && !slices.ContainsFunc(reasons, func(o Reason) bool { return sameReason(o, r) }) {
			reasons = append(reasons, r)
		}
	}
	for _, r := range noticed {
		add(r)
	}
	if m.Ended.IsZero() {
		add(Reason{Condition: Incomplete, Message: "the run has not ended: tsrun is still at work or was killed"})
	}
	for _, s := range m.Segments {
		if !s.Verified {
			add(Reason{Condition: Incomplete, Node: s.Node, Channel: s.Channel,
				Message: fmt.Sprintf("segment %d was recorded but never proven here: %s", s.Index, s.File)})
		}
	}
	for _, name := range sortedKeys(m.Nodes) {
		judgeNode(m, name, add)
	}
	return conditionsOf(reasons), reasons
}

// Notice records something against the run that its manifest does not show by
// itself: an interrupt, a node that left, a stage that had to be skipped.
func (m *Manifest) Notice(r Reason) { m.noticed = append(m.noticed, r) }

// Judge sets the manifest's condition and reasons from what is known by now.
func (m *Manifest) Judge() { m.Condition, m.Reasons = Judge(m, m.noticed) }

func judgeNode(m *Manifest, name string, add func(Reason)) {
	node := m.Nodes[name]
	if node == nil {
		return
	}
	for _, key := range sortedKeys(node.Channels) {
		c := node.Channels[key]
		if c == nil {
			continue
		}
		if c.Lost > 0 {
			r := Reason{Condition: Incomplete, Node: name, Channel: key, Message: fmt.Sprintf("%d tags lost", c.Lost)}
			if len(c.Losses) > 0 {
				first := c.Losses[0]
				r.Message += ": " + first.Why
				r.AtPs = &first.AtPs
			}
			add(r)
		}
	}
	for _, key := range sortedKeys(node.Sinks) {
		if sink := node.Sinks[key]; sink != nil {
			judgeSink(m, name, key, sink, add)
		}
	}
	for _, key := range sortedKeys(node.Controllers) {
		if c := node.Controllers[key]; c != nil && c.Device.Simulated {
			add(Reason{Condition: Simulated, Node: name, Message: fmt.Sprintf("controller %q is simulated", key)})
		}
	}
}

// judgeSink compares what each channel delivered with what the sink's files hold.
func judgeSink(m *Manifest, node, name string, sink *Sink, add func(Reason)) {
	held := map[string]uint64{}
	for _, s := range m.Segments {
		if s.Node == node && s.Sink == name {
			held[s.Channel] += s.Tags
		}
	}
	for _, channel := range sink.Channels {
		if c := m.Nodes[node].Channels[channel]; c != nil && c.Tags != held[channel] {
			add(Reason{Condition: Incomplete, Node: node, Channel: channel,
				Message: fmt.Sprintf("the channel delivered %d tags, the files of sink %q hold %d", c.Tags, name, held[channel])})
		}
	}
}

func sameReason(a, b Reason) bool {
	return a.Condition == b.Condition && a.Node == b.Node && a.Channel == b.Channel && a.Message == b.Message
}

// conditionsOf lists the words of the reasons, GOOD where none is against it.
func conditionsOf(reasons []Reason) []Condition {
	seen := map[Condition]bool{}
	for _, r := range reasons {
		seen[r.Condition] = true
	}
	if len(seen) == 0 || len(seen) == 1 && seen[Simulated] {
		seen[Good] = true
	}
	conditions := []Condition{}
	for _, c := range severity {
		if seen[c] {
			conditions = append(conditions, c)
		}
	}
	return conditions
}

// IsGood says whether nothing but SIMULATED stands beside GOOD.
func IsGood(conditions []Condition) bool { return slices.Contains(conditions, Good) }

// Has says whether the run is in condition c.
func (m *Manifest) Has(c Condition) bool { return slices.Contains(m.Condition, c) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
