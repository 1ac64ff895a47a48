package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tsrun/pipeline/plot"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// beyondRecord is how much of its own length is shown before and behind a record, at least
// a second: a node that was waited for, or a file that came later, is at the edge.
const beyondRecord = 0.5

// nodeTimes shows two lanes for each node, in the time of the master's clock since the
// instant: what it did and recorded, and when each of its files was here and proven. Of
// a run without an instant it shows nothing.
func nodeTimes(m *run.Manifest) plot.Lanes {
	l := plot.Lanes{Title: "J joined, A armed, F fired; files, gaps, losses; when each file was here and proven", Simulated: m.Has(run.Simulated),
		Empty: "nothing was recorded at an instant of the master's clock"}
	longest := recordOf(m)
	if m.Pending() {
		l.Empty = unrecorded(m)
	}
	if !m.Recorded() || m.Trigger.InstantNs == 0 {
		return l
	}
	e := edges{instant: time.Unix(0, m.Trigger.InstantNs), beside: max(beyondRecord*longest, 1e12), record: longest, to: longest}
	var lanes []plot.Lane
	files, gaps := filesByNode(m), m.Gaps()
	for _, name := range m.NodeOrder() {
		lanes = append(lanes, e.worked(name, m.Nodes[name], files[name], gaps), e.arrived(name, files[name]))
	}
	unit, ps := plot.TimeUnit(max(e.to, -e.from))
	l.From, l.To, l.Label = e.from/ps, e.to/ps, "time since the instant, by the master's clock / "+unit
	if m.Common.Length() > 0 {
		l.Shaded = []plot.Span{{Name: "every node recorded without a gap", From: float64(m.Common.FromPs) / ps, To: float64(m.Common.ToPs) / ps}}
	}
	for i := range lanes {
		scaled(&lanes[i], ps)
	}
	l.Lanes = lanes
	return l
}

// recordOf is how long the longest record is, in ps.
func recordOf(m *run.Manifest) float64 {
	longest := float64(m.DurationPs)
	for _, n := range m.Nodes {
		for _, c := range n.Channels {
			longest = max(longest, float64(c.LengthPs))
		}
	}
	return longest
}

func filesByNode(m *run.Manifest) map[string][]run.Segment {
	files := map[string][]run.Segment{}
	for _, s := range m.Segments {
		if s.HoldsTags() {
			files[s.Node] = append(files[s.Node], s)
		}
	}
	return files
}

// edges are the times in ps that a picture of nodes shows, since the instant.
type edges struct {
	instant        time.Time
	record, beside float64 // the longest record, and how much is shown beside it
	from, to       float64 // of all that is shown
}

// at is where a moment stands: at the edge where it is far from the record.
func (e *edges) at(t time.Time) float64 {
	v := min(max(float64(t.Sub(e.instant))*1000, -e.beside), e.record+e.beside)
	e.from, e.to = min(e.from, v), max(e.to, v)
	return v
}

// worked is what a node did.
func (e *edges) worked(name string, n *run.Node, files []run.Segment, gaps map[string][]run.Stretch) plot.Lane {
	lane := plot.Lane{Name: name}
	moment := func(what, letter string, t time.Time) {
		if !t.IsZero() {
			lane.Marks = append(lane.Marks, plot.Mark{Name: fmt.Sprintf("%s %s: %s", name, what, t.UTC().Format(time.RFC3339Nano)), At: e.at(t), Letter: letter})
		}
	}
	moment("joined", "J", n.Joined)
	moment("armed", "A", n.Armed)
	moment("fired", "F", e.instant)
	slices.SortStableFunc(lane.Marks, func(a, b plot.Mark) int { return cmp.Compare(a.At, b.At) })
	together := map[[2]int]*plot.Span{}
	var order [][2]int
	for _, s := range files {
		if s.Tags == 0 {
			continue
		}
		key := [2]int{s.Part, s.Index}
		if together[key] == nil {
			together[key] = &plot.Span{Name: fmt.Sprintf("files number %d", s.Index), From: float64(s.FirstPs), To: float64(s.LastPs)}
			order = append(order, key)
		}
		together[key].From, together[key].To = min(together[key].From, float64(s.FirstPs)), max(together[key].To, float64(s.LastPs))
	}
	for _, key := range order {
		lane.Bars = append(lane.Bars, *together[key])
	}
	slices.SortStableFunc(lane.Bars, func(a, b plot.Span) int { return cmp.Compare(a.From, b.From) })
	for _, channel := range run.ByStream(n.Channels) {
		for _, g := range gaps[name+"."+channel] {
			lane.Gaps = append(lane.Gaps, plot.Span{Name: channel + ": gap", From: float64(g.From), To: float64(g.To)})
		}
		for _, loss := range n.Channels[channel].Losses[:min(len(n.Channels[channel].Losses), maxListed)] {
			lane.Marks = append(lane.Marks, plot.Mark{Name: fmt.Sprintf("%s lost %s at %s: %s", channel, quantity.Counted(loss.Tags, "tag"), text.Seconds(loss.AtPs), loss.Why), At: float64(loss.AtPs)})
		}
	}
	for _, r := range n.Restarts {
		lane.Marks = append(lane.Marks, plot.Mark{Name: "started anew: " + r.Why, At: float64(r.At)})
	}
	return lane
}

// arrived is when the files of a node were here and proven.
func (e *edges) arrived(name string, files []run.Segment) plot.Lane {
	lane := plot.Lane{Name: name + ", files here"}
	for _, s := range files {
		if !s.ProvenAt.IsZero() {
			at := e.at(s.ProvenAt)
			lane.Bars = append(lane.Bars, plot.Span{Name: s.File + " was here: " + s.ProvenAt.UTC().Format(time.RFC3339Nano), From: at, To: at})
		}
	}
	slices.SortStableFunc(lane.Bars, func(a, b plot.Span) int { return cmp.Compare(a.From, b.From) })
	return lane
}

// scaled gives the times of a lane in another unit.
func scaled(l *plot.Lane, ps float64) {
	for _, spans := range [][]plot.Span{l.Bars, l.Gaps} {
		for i := range spans {
			spans[i].From, spans[i].To = spans[i].From/ps, spans[i].To/ps
		}
	}
	for i := range l.Marks {
		l.Marks[i].At /= ps
	}
}
