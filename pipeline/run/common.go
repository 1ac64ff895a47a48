package run

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Common is the longest time in which every channel recorded without a gap, on the
// clock of one controller, and where that lies on the clock of each. Times are ps
// since the start of the acquisition of their controller.
type Common struct {
	Reference string                 `json:"reference,omitempty"` // the controller whose clock it is given by, "alice.tc"
	FromPs    uint64                 `json:"from_ps"`
	ToPs      uint64                 `json:"to_ps"` // not in it any more
	Clocks    map[string]CommonClock `json:"clocks,omitempty"`
	Why       string                 `json:"why,omitempty"` // why there is no such time
}

// CommonClock is the common time by the clock of one controller.
type CommonClock struct {
	FromPs        uint64  `json:"from_ps"`
	ToPs          uint64  `json:"to_ps"`
	By            ScaleBy `json:"by"`                       // what brought its times to the reference
	UncertaintyPs uint64  `json:"uncertainty_ps,omitempty"` // of that; the time is as much shorter at each end
}

// Length is how long the time is, in ps; 0: there is none.
func (c *Common) Length() uint64 {
	if c == nil || c.ToPs <= c.FromPs {
		return 0
	}
	return c.ToPs - c.FromPs
}

// ScaleBy names what brings the times of a controller to those of the reference.
type ScaleBy string

const (
	ByReference ScaleBy = "reference" // it is the reference
	ByAlign     ScaleBy = "align"     // an align stage found the clock
	ByHardware  ScaleBy = "hardware"  // one edge started all
	ByStart     ScaleBy = "start"     // when each node began, by clocks that were compared
	ByNothing   ScaleBy = "nothing"   // their starts are taken as one: nothing compared the clocks, or no start is known
)

// Scale carries times of a controller's clock to that of the reference and back; both
// may be below 0.
type Scale struct {
	To, From      func(ps int64) int64
	By            ScaleBy
	UncertaintyPs int64
}

// longestRecord bounds times, so that sums of two do not overflow.
const longestRecord = math.MaxInt64 / 4

// StartScale is the scale of a controller as far as the starts of the nodes say.
func (m *Manifest) StartScale(reference, controller string) Scale {
	same := func(ps int64) int64 { return ps }
	if reference == controller {
		return Scale{To: same, From: same, By: ByReference}
	}
	if m.Trigger.Method == "hardware" {
		return Scale{To: same, From: same, By: ByHardware}
	}
	a, b := m.NodeOf(reference), m.NodeOf(controller)
	if a == nil || b == nil || a.Start == nil || b.Start == nil || a != b && !(a.Compared() && b.Compared()) {
		return Scale{To: same, From: same, By: ByNothing}
	}
	skew := Skew("", *b.Start, "", *a.Start)
	later := clampPs(skew.SkewNs) * 1000
	return Scale{
		To:   func(ps int64) int64 { return ps + later },
		From: func(ps int64) int64 { return ps - later },
		By:   ByStart, UncertaintyPs: max(0, clampPs(skew.UncertaintyNs)) * 1000,
	}
}

// clampPs bounds nanoseconds so that they can be told in picoseconds.
func clampPs(ns int64) int64 { return min(max(ns, -longestRecord/1000), longestRecord/1000) }

// FindCommon finds the time in which every channel of every node recorded without a
// gap: from the lengths of the records, the losses, the restarts, and the files that
// are not here. of says how the clock of a controller stands to the reference's.
//
// A loss has a place and no length. The record of its channel counts as whole again
// from its next file on.
func (m *Manifest) FindCommon(of func(reference, controller string) Scale) *Common {
	names := m.controllersOfChannels()
	if len(names) == 0 {
		return &Common{Why: "the run has no channels"}
	}
	reference := names[0]
	whole, why := m.wholeTimes()
	if why != "" {
		return &Common{Reference: reference, Why: why}
	}
	scales := map[string]Scale{}
	var all []span
	for i, name := range names {
		s := of(reference, name)
		scales[name] = s
		moved := make([]span, 0, len(whole[name]))
		for _, w := range whole[name] {
			if v := (span{s.To(w.from) + s.UncertaintyPs, s.To(w.to) - s.UncertaintyPs}); v.to > v.from {
				moved = append(moved, v)
			}
		}
		if i == 0 {
			all = moved
		} else {
			all = intersect(all, moved)
		}
	}
	longest := span{}
	for _, v := range all {
		if v.from = max(v.from, 0); v.to-v.from > longest.to-longest.from {
			longest = v
		}
	}
	if longest.to <= longest.from {
		return &Common{Reference: reference, Why: "there was no time in which all nodes recorded without a gap"}
	}
	c := &Common{Reference: reference, FromPs: uint64(longest.from), ToPs: uint64(longest.to), Clocks: map[string]CommonClock{}}
	for name, s := range scales {
		c.Clocks[name] = CommonClock{
			FromPs: uint64(max(0, s.From(longest.from))), ToPs: uint64(max(0, s.From(longest.to))),
			By: s.By, UncertaintyPs: uint64(s.UncertaintyPs),
		}
	}
	return c
}

// controllersOfChannels names the controllers that have channels, as "alice.tc": those of the
// trigger's master first.
func (m *Manifest) controllersOfChannels() (names []string) {
	for _, node := range m.NodeOrder() {
		of := map[string]bool{}
		for _, c := range m.Nodes[node].Channels {
			of[node+"."+c.Controller] = true
		}
		names = append(names, slices.Sorted(maps.Keys(of))...)
	}
	return names
}

// span is a time on some clock, in ps; to is not in it any more.
type span struct{ from, to int64 }

// wholeTimes are the times in which all channels of a controller recorded without a gap,
// by its own clock. why is the first channel that has none.
func (m *Manifest) wholeTimes() (whole map[string][]span, why string) {
	whole = map[string][]span{}
	files := m.filesByChannel()
	_, parts := m.Unbroken()
	for _, node := range m.NodeOrder() {
		n := m.Nodes[node]
		for _, name := range ByStream(n.Channels) {
			c := n.Channels[name]
			record := []span{{0, int64(min(c.LengthPs, longestRecord))}}
			if part, broken := parts[node]; broken {
				record = intersect(record, []span{n.part(part)})
			}
			record = without(record, c.gaps(files[node+"."+name]))
			key := node + "." + c.Controller
			if have, known := whole[key]; known {
				record = intersect(have, record)
			}
			if whole[key] = record; len(record) == 0 {
				return nil, fmt.Sprintf("%s.%s has no time in which it, and the other channels of its controller, recorded without a gap", node, name)
			}
		}
	}
	return whole, ""
}

// part is where a part of a node's record lies, of those between restarts.
func (n *Node) part(i int) span {
	p := span{0, longestRecord}
	if i > 0 && i <= len(n.Restarts) {
		p.from = int64(min(n.Restarts[i-1].At, longestRecord))
	}
	if i < len(n.Restarts) {
		p.to = int64(min(n.Restarts[i].From, longestRecord))
	}
	return p
}

// filesByChannel are the files of tags of each channel, "alice.signal", in order: of the
// sink that the stages read, or else of the one whose proven files hold most tags.
func (m *Manifest) filesByChannel() map[string][]Segment {
	bySink := map[series][]Segment{}
	tags := map[series]uint64{}
	for _, s := range m.Segments {
		if s.HoldsTags() && s.Channel != "" {
			k := series{s.Node, s.Channel, s.Sink}
			bySink[k] = append(bySink[k], s)
			if s.Verified {
				tags[k] += s.Tags
			}
		}
	}
	chosen := map[string]series{}
	for k := range bySink {
		name := k.node + "." + k.channel
		other, known := chosen[name]
		readFrom := ""
		if n := m.Nodes[k.node]; n != nil && n.Channels[k.channel] != nil {
			readFrom = n.Channels[k.channel].ReadFrom
		}
		better := cmp.Or(compareBool(k.sink == readFrom, other.sink == readFrom), cmp.Compare(tags[k], tags[other]), cmp.Compare(other.sink, k.sink))
		if !known || better > 0 {
			chosen[name] = k
		}
	}
	files := map[string][]Segment{}
	for name, k := range chosen {
		slices.SortStableFunc(bySink[k], func(a, b Segment) int { return cmp.Or(cmp.Compare(a.Part, b.Part), cmp.Compare(a.Index, b.Index)) })
		files[name] = bySink[k]
	}
	return files
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// gaps are the times in which tags of the channel are or may be missing, in any order.
func (c *Channel) gaps(files []Segment) (gaps []span) {
	const end = longestRecord
	place := func(ps uint64) int64 { return int64(min(ps, end)) }
	var firsts []uint64 // of the files that are here
	for _, s := range files {
		if s.Verified && s.Tags > 0 {
			firsts = append(firsts, s.FirstPs)
		}
	}
	slices.Sort(firsts)
	// after is where the record counts as whole again, behind a loss.
	after := func(at uint64) int64 {
		if i, _ := slices.BinarySearch(firsts, at+min(1, math.MaxUint64-at)); i < len(firsts) {
			return place(firsts[i])
		}
		return end
	}
	listed := uint64(0)
	last := uint64(0)
	for _, l := range c.Losses {
		listed, last = listed+min(l.Tags, math.MaxUint64-listed), max(last, l.AtPs)
		if l.LengthPs > 0 {
			gaps = append(gaps, span{place(l.AtPs), place(l.AtPs + min(l.LengthPs, math.MaxUint64-l.AtPs))})
			continue
		}
		gaps = append(gaps, span{place(l.AtPs), after(l.AtPs)})
	}
	if listed < c.Lost { // more losses than are listed: they may lie anywhere behind
		gaps = append(gaps, span{place(last), end})
	}
	return append(gaps, missingFiles(c, files)...)
}

// missingFiles are the times of files that are not here, or of tags that are in none.
func missingFiles(c *Channel, files []Segment) (gaps []span) {
	before, held := int64(0), uint64(0) // where the last tag is that is here; tags that are
	open := false                       // a file is missing behind it
	for _, s := range files {
		if !s.Verified {
			open = true
			continue
		}
		held += s.Tags
		if s.Tags == 0 {
			continue
		}
		if open {
			gaps = append(gaps, span{before, int64(min(s.FirstPs, longestRecord))})
		}
		before, open = max(before, int64(min(s.LastPs, longestRecord))), false
	}
	if open || len(files) > 0 && len(gaps) == 0 && held < c.Tags {
		gaps = append(gaps, span{before, longestRecord})
	}
	return gaps
}

// intersect is what is in both lists, each in order and without overlaps.
func intersect(a, b []span) (both []span) {
	for len(a) > 0 && len(b) > 0 {
		if v := (span{max(a[0].from, b[0].from), min(a[0].to, b[0].to)}); v.to > v.from {
			both = append(both, v)
		}
		if a[0].to < b[0].to {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return both
}

// without is what of a list is in no gap.
func without(record, gaps []span) []span {
	slices.SortFunc(gaps, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var kept []span
	at := int64(0)
	for _, g := range append(gaps, span{longestRecord, longestRecord}) {
		if g.from > at {
			kept = append(kept, span{at, g.from})
		}
		at = max(at, g.to)
	}
	return intersect(record, kept)
}

// Gaps are the times in which tags of a channel are or may be missing, within its record, by
// the channel's name, "alice.signal".
func (m *Manifest) Gaps() map[string][]Stretch {
	files := m.filesByChannel()
	all := map[string][]Stretch{}
	for node, n := range m.Nodes {
		for name, c := range n.Channels {
			for _, g := range c.gaps(files[node+"."+name]) {
				if to := min(uint64(max(g.to, 0)), c.LengthPs); uint64(max(g.from, 0)) < to {
					all[node+"."+name] = append(all[node+"."+name], Stretch{uint64(max(g.from, 0)), to})
				}
			}
		}
	}
	return all
}
