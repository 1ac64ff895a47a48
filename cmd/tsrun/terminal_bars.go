package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/text"
)

// redrawEvery is the least time between two drawings of the bars.
const redrawEvery = 50 * time.Millisecond

// bars writes the lines of plain above bars that are redrawn in place: for each
// node one of its acquisition and one of the file it is sending, and below them
// a line for each align stage and one for the stage that is at work. They are
// never more lines than the terminal has: where there are many nodes the files go
// first, and then all nodes are one bar.
//
// The bars are rendered by pb and put on the terminal here, because lines have
// to be written between two drawings.
type bars struct {
	plain
	size    func() (width, height int)
	nodes   []*nodeBars      // by name
	clocks  []event.Sync     // the newest of each align stage
	stage   *event.Analysing // at work; nil: none
	ended   bool             // the recording: there is no time left of it
	looking bool             // at a bench of which nothing is kept
	drawn   int              // lines of bars on the terminal, the cursor below them
	last    time.Time        // when they were drawn
}

// afterRecording are the states of a run that records no more.
var afterRecording = []string{"draining", "transferring", "analysing", "done", "aborted", "failed"}

// nodeBars is what is known of a node.
type nodeBars struct {
	node     string
	progress *event.Progress // nil: nothing to show
	before   event.Progress  // of a second ago and more: rate is what came since
	rate     float64         // tags per s
	lost     uint64
	file     *event.Transfer // nil: none yet
	away     bool            // nothing is heard of it
}

func (b *bars) show(events []event.Stamped) error {
	var lines strings.Builder
	var finished *event.Finished
	for _, e := range events {
		switch v := e.Event.(type) {
		case event.Watched:
			b.looking = true
			b.watched.add(v)
		case event.Progress:
			b.acquire(v)
		case event.Transfer:
			b.send(v)
		case event.FileVerified:
			b.arrived(v)
		case event.TagsLost:
			b.of(v.Node).lost += v.Tags
			lines.WriteString(lineOf(b.line(e)))
		case event.Away:
			b.of(v.Node).away = v.Node != ""
			lines.WriteString(lineOf(b.line(e)))
		case event.Back:
			b.of(v.Node).away = false
			lines.WriteString(lineOf(b.line(e)))
		case event.Analysing:
			b.stage = &v
		case event.StageDone:
			b.concluded(v)
			lines.WriteString(text.Printable(event.Describe(v)) + "\n")
		case event.Sync:
			b.sync(v, &lines)
		case event.NodeJoined: // what is known of it was of another run
			b.nodes = slices.DeleteFunc(b.nodes, func(n *nodeBars) bool { return n.node == v.Node })
			b.ended = false
			lines.WriteString(lineOf(b.line(e)))
		case event.StateChanged:
			b.ended = b.ended || slices.Contains(afterRecording, v.State)
			if b.looking = b.looking && v.State == "watching"; v.State == "arming" {
				b.nodes = nil // what is known of them was of nothing that is recorded
			}
			lines.WriteString(lineOf(b.line(e)))
		case event.Finished:
			finished = &v
		default:
			lines.WriteString(lineOf(b.line(e)))
		}
	}
	now := events[len(events)-1].Time
	if lines.Len() == 0 && finished == nil && now.Sub(b.last) < redrawEvery {
		return nil
	}
	b.last = now
	b.redraw(lines.String())
	if finished == nil {
		return nil
	}
	b.nodes, b.clocks, b.stage, b.drawn = nil, nil, nil, 0 // what is drawn stays, above the summary
	return b.summary(*finished)
}

func (b *bars) acquire(v event.Progress) {
	if v.Duration == 0 { // it is watched, and rates are told
		return
	}
	n := b.of(v.Node)
	n.progress = &v
	if since := v.Elapsed - n.before.Elapsed; since >= time.Second || n.rate == 0 && since > 0 {
		n.rate = (float64(v.Tags) - float64(n.before.Tags)) / since.Seconds()
		n.before = v
	}
}

func (b *bars) send(v event.Transfer) { b.of(v.Node).file = &v }

// arrived ends the bar of a file where the file ended: the last progress may
// never have been told.
func (b *bars) arrived(v event.FileVerified) {
	b.verify(v)
	b.send(event.Transfer{Node: v.Node, File: v.File, Done: v.Size, Size: v.Size})
}

// concluded takes away the line of an align stage that is done: what it found
// stands in the summary, and may be more than was found while the run went on.
func (b *bars) concluded(v event.StageDone) {
	b.stage = nil
	b.clocks = slices.DeleteFunc(b.clocks, func(o event.Sync) bool { return o.Stage == v.Result.Stage })
}

// lineOf is words on a line of its own; nothing for none.
func lineOf(words string) string {
	if words == "" {
		return ""
	}
	return text.Printable(words) + "\n"
}

func (b *bars) of(node string) *nodeBars {
	i, known := slices.BinarySearchFunc(b.nodes, node, func(n *nodeBars, name string) int { return strings.Compare(n.node, name) })
	if !known {
		b.nodes = slices.Insert(b.nodes, i, &nodeBars{node: node})
	}
	return b.nodes[i]
}

// redraw replaces the bars by lines, which stay, and the bars as they are now.
func (b *bars) redraw(lines string) {
	var out strings.Builder
	if b.drawn > 0 {
		fmt.Fprintf(&out, "\r\x1b[%dA\x1b[J", b.drawn) // up to the first bar, also behind the ^C of a user; clear from there
	}
	out.WriteString(lines)
	width, height := b.size()
	rows := b.rows(width-1, max(height-1, 1)) // a full line would wrap, and count as two; the cursor has a line
	for _, row := range rows {
		out.WriteString(row + "\n")
	}
	b.drawn = len(rows)
	b.err.Write([]byte(out.String())) // the terminal may be gone; the summary is not for it alone
}

// rows are the lines of all bars, at most so many.
func (b *bars) rows(width, most int) []string {
	if b.looking {
		return b.watched.rows(width, most)
	}
	below := b.clockLines(width)
	if b.stage != nil {
		below = append(below, fitting(width, stageLines(*b.stage)))
	}
	acquiring, sending := b.bars(width)
	var rows []string
	switch files := slices.DeleteFunc(slices.Clone(sending), func(s string) bool { return s == "" }); {
	case len(acquiring)+len(files)+len(below) <= most:
		for i := range b.nodes {
			rows = append(rows, acquiring[i], sending[i])
		}
		rows = slices.DeleteFunc(rows, func(s string) bool { return s == "" })
	case len(acquiring)+len(below) <= most:
		rows = acquiring
	default:
		rows = []string{b.together(width)}
	}
	rows = append(rows, below...)
	return rows[:min(len(rows), most)]
}
