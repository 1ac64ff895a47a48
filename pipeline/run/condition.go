package run

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
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
	// Local: it is the part of one node alone, recorded without a master. Stands beside
	// any other.
	Local Condition = "LOCAL"
)

// severity orders the list: the word to worry about most comes first.
var severity = []Condition{Aborted, Interrupted, Unverified, Incomplete, Tainted, Good, Local, Simulated}

// Reason says why a condition holds.
type Reason struct {
	Condition Condition `json:"condition"`
	Node      string    `json:"node,omitempty"`
	Channel   string    `json:"channel,omitempty"`
	Message   string    `json:"message"`
	AtPs      *uint64   `json:"at,omitempty"` // ps in the acquisition, where there is such a place
}

// Judge decides the condition of a run: from what the manifest shows (losses,
// records that are shorter than asked, missing or unproven segments, tags that
// are in no file, simulated devices, no end) and from what was noticed while it
// went on. It looks at nothing else, so the same manifest always gets the same
// words. Its time grows with the number of segments and no faster.
func Judge(m *Manifest, noticed []Reason) ([]Condition, []Reason) {
	j := judgement{reasons: []Reason{}, known: map[Reason]bool{}}
	for _, r := range noticed {
		j.add(r)
	}
	if m.Ended.IsZero() {
		j.add(Reason{Condition: Incomplete, Message: "the run has not ended: tsrun is still at work, or was killed, and tsrun resume finishes it"})
	}
	if l := m.Local; l != nil {
		j.add(Reason{Condition: Local, Node: l.Node, Message: l.words()})
	}
	for _, p := range m.Parts {
		j.add(Reason{Condition: Local, Node: p.Node, Message: p.words()})
	}
	j.judgeSegments(m)
	for _, name := range slices.Sorted(maps.Keys(m.Nodes)) {
		if m.Nodes[name] != nil {
			j.judgeNode(m, name)
		}
	}
	return conditionsOf(j.reasons), j.reasons
}

// judgement collects reasons, each once.
type judgement struct {
	reasons []Reason
	known   map[Reason]bool
	held    *holdings
}

func (j *judgement) add(r Reason) {
	same := r
	same.AtPs = nil // where it was does not make it another reason
	if r.Condition == Good || j.known[same] {
		return
	}
	j.known[same] = true
	j.reasons = append(j.reasons, r)
}

// excused says whether a node's record may be short: its user or that of the
// whole run ended it, or the run was given up.
func (j *judgement) excused(node string) bool {
	return slices.ContainsFunc(j.reasons, func(r Reason) bool {
		return r.Condition == Aborted || r.Condition == Interrupted && (r.Node == "" || r.Node == node)
	})
}

// judgeSegments counts what the files hold, and gives one reason for all
// segments of a channel that are not proven.
func (j *judgement) judgeSegments(m *Manifest) {
	j.held = newHoldings()
	type missing struct {
		first Segment
		more  int
	}
	unproven := map[series]*missing{}
	var order []series
	for _, s := range m.Segments {
		k := series{s.Node, s.Channel, s.Sink}
		j.held.add(&s)
		if s.Verified {
			continue
		}
		if u := unproven[k]; u != nil {
			u.more++
			continue
		}
		unproven[k] = &missing{first: s}
		order = append(order, k)
	}
	for _, k := range order {
		u := unproven[k]
		r := Reason{Condition: Incomplete, Node: k.node, Channel: k.channel,
			Message: fmt.Sprintf("segment %d was recorded but never proven here: %s", u.first.Index, u.first.File)}
		switch {
		case u.first.HoldsTags():
		case k.sink == "": // the record of its clock
			r.Message = "a record of the node itself was made but never proven here: " + u.first.File
		default:
			r.Message = fmt.Sprintf("a file of sink %q was made but never proven here: %s", k.sink, u.first.File)
		}
		if u.more > 0 {
			r.Message += fmt.Sprintf(", and %d more", u.more)
		}
		j.add(r)
	}
}

// Notice records something against the run that its manifest does not show by
// itself: an interrupt, a node that left, a stage that had to be skipped.
func (m *Manifest) Notice(r Reason) { m.noticed = append(m.noticed, r) }

// Noticed is what was recorded so since the manifest was read.
func (m *Manifest) Noticed() []Reason { return m.noticed }

// Judge sets the manifest's condition and reasons from what is known by now.
func (m *Manifest) Judge() { m.Condition, m.Reasons = Judge(m, m.noticed) }

func (j *judgement) judgeNode(m *Manifest, name string) {
	node := m.Nodes[name]
	j.judgeRestarts(node, name)
	j.judgeTakes(node, name)
	for _, key := range slices.Sorted(maps.Keys(node.Channels)) {
		if c := node.Channels[key]; c != nil {
			j.judgeChannel(m, name, key, c)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(node.Sinks)) {
		if sink := node.Sinks[key]; sink != nil {
			j.judgeSink(m, name, key, sink)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(node.Controllers)) {
		c := node.Controllers[key]
		if c != nil && c.Device.Simulated {
			j.add(Reason{Condition: Simulated, Node: name, Message: fmt.Sprintf("controller %q is simulated", key)})
		}
		if c != nil {
			j.judgeRate(node, name, key, c.Device.MaxRateHz)
		}
		if c != nil && c.Shot != nil && c.Shot.Late {
			late := time.Duration(c.Shot.Called - c.Shot.Asked)
			j.add(Reason{Condition: Tainted, Node: name, Message: fmt.Sprintf("controller %q was started %v after its instant", key, late.Round(time.Microsecond))})
		}
	}
}

// judgeRate notes a controller that recorded more than its device can: it may
// have lost tags without a sign.
func (j *judgement) judgeRate(node *Node, name, controller string, most int64) {
	total := int64(0) // in mHz
	for _, c := range node.Channels {
		if c != nil && c.Controller == controller && c.Rate != nil {
			total += min(int64(*c.Rate), math.MaxInt64-total)
		}
	}
	if most > 0 && total/1000 >= most && total > most*1000 {
		j.add(Reason{Condition: Tainted, Node: name, Message: fmt.Sprintf("controller %q recorded %v, its device records at most %v over all inputs without loss",
			controller, quantity.Frequency(total), quantity.Frequency(most*1000))})
	}
}

func (j *judgement) judgeChannel(m *Manifest, node, name string, c *Channel) {
	if c.Lost > 0 {
		r := Reason{Condition: Incomplete, Node: node, Channel: name, Message: quantity.Counted(c.Lost, "tag") + " lost"}
		if i := slices.IndexFunc(c.Losses, func(l fact.Loss) bool { return l.Tags > 0 }); i >= 0 {
			first := c.Losses[i]
			r.Message += ": " + first.Why
			r.AtPs = &first.AtPs
		}
		j.add(r)
	}
	j.judgeHoles(node, name, c)
	if c.Sent != nil && *c.Sent != c.Tags {
		j.add(Reason{Condition: Unverified, Node: node, Channel: name,
			Message: fmt.Sprintf("the driver delivered %s, %d arrived at its node", quantity.Counted(*c.Sent, "tag"), c.Tags)})
	}
	if c.SentLost != nil && *c.SentLost != c.Lost {
		j.add(Reason{Condition: Unverified, Node: node, Channel: name,
			Message: fmt.Sprintf("the driver lost %s, its blocks tell of %d", quantity.Counted(*c.SentLost, "tag"), c.Lost)})
	}
	if end := c.LengthPs; m.shortBy(end) > 0 && !j.excused(node) {
		j.add(Reason{Condition: Incomplete, Node: node, Channel: name, AtPs: &end,
			Message: fmt.Sprintf("recorded %s of %s", text.Seconds(end), text.Seconds(m.DurationPs))})
	}
}

// shortBy is how many ps are missing of a record that ends at end: 0 when it is
// as long as asked, but for the last moment, which not every device can vouch
// for, and before the acquisition is over.
func (m *Manifest) shortBy(end uint64) uint64 {
	if m.Ended.IsZero() || end+vouched(m.DurationPs) >= m.DurationPs || end > m.DurationPs {
		return 0
	}
	return m.DurationPs - end
}

// vouched is how long the last moment of a record is for which a device need not vouch.
func vouched(ps uint64) uint64 {
	const most = 10_000_000_000 // ps
	return min(ps/1000, most)
}

// judgeSink compares what each channel delivered with what the sink has kept.
func (j *judgement) judgeSink(m *Manifest, node, name string, sink *Sink) {
	for _, channel := range sink.Channels {
		c := m.Nodes[node].Channels[channel]
		if c == nil {
			continue
		}
		if missing := j.held.missing(node, channel, name, sink, c.Tags); missing != "" {
			j.add(Reason{Condition: Incomplete, Node: node, Channel: channel,
				Message: fmt.Sprintf("the channel delivered %s, %s", quantity.Counted(c.Tags, "tag"), missing)})
		}
		// Fewer may be honest: what is in a file that was never closed is lost, and no file says so.
		if lost := j.held.lost[series{node, channel, name}]; lost > c.Lost && !m.Ended.IsZero() {
			j.add(Reason{Condition: Unverified, Node: node, Channel: channel,
				Message: fmt.Sprintf("the files of sink %q tell of %s lost, the channel has lost %d: what that sink counts is not to be believed", name, quantity.Counted(lost, "tag"), c.Lost)})
		}
	}
}

// conditionsOf lists the words of the reasons, GOOD where none is against it.
func conditionsOf(reasons []Reason) []Condition {
	seen := map[Condition]bool{}
	for _, r := range reasons {
		seen[r.Condition] = true
	}
	against := len(seen)
	for _, beside := range []Condition{Local, Simulated} {
		if seen[beside] {
			against--
		}
	}
	if against == 0 {
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

// IsGood says whether nothing but SIMULATED and LOCAL stands beside GOOD.
func IsGood(conditions []Condition) bool { return slices.Contains(conditions, Good) }

// Has says whether the run is in condition c.
func (m *Manifest) Has(c Condition) bool { return slices.Contains(m.Condition, c) }
