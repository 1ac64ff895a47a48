package stage

import (
	"fmt"
	"slices"
	"strings"

	"tsrun/pipeline/align"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// maxJumps is how many jumps of one clock become reasons; the stage's file has all.
const maxJumps = 20

// NoticeJumps makes a run TAINTED whose clock was seen to jump while it went
// on, where the align stage did not get to say so itself: its word, on the
// whole record, counts more.
func NoticeJumps(m *run.Manifest, stage, target string, jumps []track.Step) {
	said := slices.ContainsFunc(m.Results, func(r run.Result) bool {
		s, ok := DecodeSummary[AlignSummary](r)
		return ok && r.Stage == stage && r.Kind == alignName && slices.ContainsFunc(s.Each(), func(c AlignSummary) bool {
			return !c.Refused && (s.Network == nil || c.Target == target)
		})
	})
	if !said {
		noticeJumps(m, stage, target, jumps)
	}
}

func noticeJumps(m *run.Manifest, stage, target string, jumps []track.Step) {
	for i, j := range jumps {
		if i == maxJumps {
			m.Notice(run.Reason{Condition: run.Tainted, Message: fmt.Sprintf("stage %q: the clock of %s jumped %s", stage, target, quantity.Counted(len(jumps)-i, "more time"))})
			return
		}
		m.Notice(run.Reason{Condition: run.Tainted, AtPs: &j.Time,
			Message: fmt.Sprintf("stage %q: the clock of %s jumped by %s at %s", stage, target, sizeOf(j), text.Seconds(j.Time))})
	}
}

// sizeOf says by how much a clock jumped, or its frequency, or both.
func sizeOf(j track.Step) string {
	var sizes []string
	if j.Moves() {
		sizes = append(sizes, text.Measured(j.Offset, j.OffsetSD, "ps"))
	}
	if j.Turns() {
		sizes = append(sizes, text.Measured(j.Frequency, j.FrequencySD, "ppb of its frequency"))
	}
	return strings.Join(sizes, " and ")
}

// longestStart bounds what a trigger record may add to a search: what differs
// by more is most likely the clocks of two PCs.
const longestStart = 3 * quantity.Second

// AlignOptions are what an align stage assumes before it looks: the search of
// the recipe, and as much more as the nodes are known to have begun apart, in a
// shot counted from 0.
func AlignOptions(m *run.Manifest, c AlignConfig, shot int) align.Options {
	return AlignOptionsOf(c, startOf(m.NodeOf(c.Reference), shot), startOf(m.NodeOf(c.Target), shot))
}

// AlignOptionsOf are the options where the nodes began so; nil: it is not known.
func AlignOptionsOf(c AlignConfig, reference, target *run.Start) align.Options {
	o := align.Options{Search: int64(c.Search), MaxDrift: c.MaxDrift}
	if reference == nil || target == nil {
		return o
	}
	skew := run.Skew("", *target, "", *reference)
	const limit = int64(longestStart) / 1000 // ns
	if s, u := max(skew.SkewNs, -skew.SkewNs), skew.UncertaintyNs; s <= limit && u >= 0 && u <= limit {
		o.Search = min(o.Search+(s+u)*1000, align.MaxSearch)
	}
	return o
}

// startOf is when a node began a shot; in a run that takes one, when it began.
func startOf(n *run.Node, shot int) *run.Start {
	switch {
	case n == nil:
		return nil
	case len(n.Takes) > 0:
		return n.StartOf(shot)
	}
	return n.Start
}
