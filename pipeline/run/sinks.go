package run

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"tsrun/pipeline/recipe"
	"tsrun/sdk"
)

// holdings is what the files of sinks hold.
type holdings struct {
	tags  map[series]uint64 // of a channel, in files of tags; what is more than fits is all that fits
	lost  map[series]uint64 // of a channel, as its files say; likewise
	files map[series]files  // of all channels: the channel is ""
}

// files counts the files of a sink at one node.
type files struct{ ofTags, others int }

func newHoldings() *holdings {
	return &holdings{tags: map[series]uint64{}, lost: map[series]uint64{}, files: map[series]files{}}
}

func (h *holdings) add(s *Segment) {
	k := series{node: s.Node, sink: s.Sink}
	n := h.files[k]
	if s.HoldsTags() {
		n.ofTags++
		of := series{s.Node, s.Channel, s.Sink}
		h.tags[of] += min(s.Tags, math.MaxUint64-h.tags[of])
		h.lost[of] += min(s.Lost, math.MaxUint64-h.lost[of])
	} else {
		n.others++
	}
	h.files[k] = n
}

// keeps says what becomes of the tags that a sink is given: what its plugin
// says, or else what it has told.
func (h *holdings) keeps(node, name string, sink *Sink) sdk.Keeps {
	n := h.files[series{node: node, sink: name}]
	switch {
	case n.ofTags > 0:
		return sdk.AllTags
	case sink.Keeps == sdk.AllTags || sink.Keeps == sdk.Elsewhere || sink.Keeps == sdk.NoTags:
		return sink.Keeps
	case len(sink.Kept) > 0:
		return sdk.Elsewhere
	case n.others > 0:
		return sdk.NoTags
	}
	return "" // nobody knows: it has to have kept all
}

// missing says what a sink lacks of the tags that a channel has delivered; ""
// when it has all that it is to keep.
func (h *holdings) missing(node, channel, name string, sink *Sink, delivered uint64) string {
	held, what := h.tags[series{node, channel, name}], "the files of sink %q hold %d"
	switch h.keeps(node, name, sink) {
	case sdk.NoTags:
		return ""
	case sdk.Elsewhere:
		held, what = sink.Kept[channel], "sink %q says it has kept %d"
	case "":
		what += ": it told of no file and of no tags kept, and its plugin does not say that it keeps none"
	}
	if held == delivered {
		return ""
	}
	return fmt.Sprintf(what, name, held)
}

// Source is the sink whose files of a channel the stages read, and those of its
// files that are here and proven, in order: of the sinks that hold most of its
// tags, the first in the order that the recipe gives.
func (m *Manifest) Source(r *recipe.Recipe, node, channel string) (sink string, segments []Segment) {
	bySink := map[string][]Segment{}
	tags := map[string]uint64{}
	order := r.Sources(node + "." + channel)
	for _, s := range m.Segments {
		if s.Node == node && s.Channel == channel && s.Verified && s.HoldsTags() && s.InRaw() {
			bySink[s.Sink] = append(bySink[s.Sink], s)
			tags[s.Sink] += s.Tags
			if !slices.Contains(order, s.Sink) { // the recipe is not that of the run
				order = append(order, s.Sink)
			}
		}
	}
	for _, name := range order {
		if len(bySink[name]) > 0 && (sink == "" || tags[name] > tags[sink]) {
			sink = name
		}
	}
	segments = bySink[sink]
	slices.SortFunc(segments, func(a, b Segment) int { return a.Index - b.Index })
	return sink, segments
}

// NoSource says why there is no file of a channel's tags to read.
func (m *Manifest) NoSource(node, channel string) error {
	h := newHoldings()
	for _, s := range m.Segments {
		h.add(&s)
	}
	var others []string
	n := m.Nodes[node]
	for _, name := range slices.Sorted(maps.Keys(n.Sinks)) {
		sink := n.Sinks[name]
		if !slices.Contains(sink.Channels, channel) {
			continue
		}
		switch h.keeps(node, name, sink) {
		case sdk.NoTags:
			others = append(others, fmt.Sprintf("sink %q keeps no tags", name))
		case sdk.Elsewhere:
			others = append(others, fmt.Sprintf("sink %q keeps them in no file of the run", name))
		default:
			return fmt.Errorf("no file of %s.%s arrived", node, channel)
		}
	}
	if others == nil {
		return fmt.Errorf("no file of %s.%s arrived", node, channel)
	}
	return fmt.Errorf("no sink keeps the tags of %s.%s in files that stages can read: %s", node, channel, strings.Join(others, ", "))
}

// SinkUse is what a sink has made of the tags, at all nodes.
type SinkUse struct {
	Sink               string
	OfTags, OtherFiles int
	Elsewhere          uint64 // tags that are in no file of the run
	Channels, ReadFor  int    // those that it took, and those whose tags the stages read from it
	KeepsAllTags       bool   // at every node
}

// SinkUses tells of each sink, by name.
func (m *Manifest) SinkUses() []SinkUse {
	h := newHoldings()
	for _, s := range m.Segments {
		h.add(&s)
	}
	uses := map[string]*SinkUse{}
	for node, n := range m.Nodes {
		for name, sink := range n.Sinks {
			u := uses[name]
			if u == nil {
				u = &SinkUse{Sink: name, KeepsAllTags: true}
				uses[name] = u
			}
			f := h.files[series{node: node, sink: name}]
			u.OfTags, u.OtherFiles = u.OfTags+f.ofTags, u.OtherFiles+f.others
			for _, channel := range sink.Channels {
				u.Channels++
				u.Elsewhere += min(sink.Kept[channel], math.MaxInt64/2-u.Elsewhere)
				if c := n.Channels[channel]; c != nil && c.ReadFrom == name {
					u.ReadFor++
				}
			}
			u.KeepsAllTags = u.KeepsAllTags && h.keeps(node, name, sink) == sdk.AllTags
		}
	}
	var list []SinkUse
	for _, name := range slices.Sorted(maps.Keys(uses)) {
		list = append(list, *uses[name])
	}
	return list
}
