package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cheggaaa/pb/v3"

	"tsrun/pipeline/run"
)

// redrawEvery is the least time between two drawings of the bars.
const redrawEvery = 50 * time.Millisecond

// bars writes the lines of plain above bars that are redrawn in place: for each
// node one of its acquisition and one of the file it is sending, and below them
// a line for each align stage.
//
// The bars are rendered by pb and put on the terminal here, because lines have
// to be written between two drawings.
type bars struct {
	plain
	width  func() int
	nodes  []*nodeBars // by name
	clocks []run.Sync  // the newest of each align stage
	drawn  int         // lines of bars on the terminal, the cursor below them
	last   time.Time   // when they were drawn
}

type nodeBars struct {
	node          string
	acquire, send *pb.ProgressBar // nil: nothing to show
}

const barTemplate = `{{string . "name"}} {{bar . "[" "=" ">" " " "]"}} {{percent . }} {{string . "note"}}`

func (b *bars) show(events []run.Stamped) error {
	var lines strings.Builder
	var finished *run.Finished
	for _, e := range events {
		switch v := e.Event.(type) {
		case run.Progress:
			b.acquire(v)
		case run.Transfer:
			b.send(v)
		case run.FileVerified:
			b.arrived(v)
		case run.StageDone:
			b.concluded(v)
			lines.WriteString(run.Printable(describe(v)) + "\n")
		case run.Sync:
			b.sync(v, &lines)
		case run.Finished:
			finished = &v
		default:
			if line := b.line(e); line != "" {
				lines.WriteString(run.Printable(line) + "\n")
			}
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
	b.nodes, b.clocks, b.drawn = nil, nil, 0 // what is drawn stays, above the summary
	return b.summary(*finished)
}

// acquire moves the bar of a node's acquisition. Its total is the duration in
// milliseconds, so that it shows time and not the tags nobody can foresee.
func (b *bars) acquire(v run.Progress) {
	n := b.of(v.Node)
	if n.acquire == nil {
		n.acquire = newBar(v.Node)
	}
	n.acquire.SetTotal(v.Duration.Milliseconds())
	n.acquire.SetCurrent(v.Elapsed.Milliseconds())
	n.acquire.Set("note", fmt.Sprintf("%d tags", v.Tags))
}

func (b *bars) send(v run.Transfer) {
	n := b.of(v.Node)
	if n.send == nil {
		n.send = newBar("")
	}
	n.send.SetTotal(v.Size)
	n.send.SetCurrent(v.Done)
	n.send.Set("note", run.Printable(v.File))
}

// arrived ends the bar of a file where the file ended: the last progress may
// never have been told.
func (b *bars) arrived(v run.FileVerified) {
	b.verify(v)
	b.send(run.Transfer{Node: v.Node, File: v.File, Done: v.Size, Size: v.Size})
}

// concluded takes away the line of an align stage that is done: what it found
// stands in the summary, and may be more than was found while the run went on.
func (b *bars) concluded(v run.StageDone) {
	b.clocks = slices.DeleteFunc(b.clocks, func(o run.Sync) bool { return o.Stage == v.Result.Stage })
}

func (b *bars) of(node string) *nodeBars {
	i, known := slices.BinarySearchFunc(b.nodes, node, func(n *nodeBars, name string) int { return strings.Compare(n.node, name) })
	if !known {
		b.nodes = slices.Insert(b.nodes, i, &nodeBars{node: node})
	}
	return b.nodes[i]
}

// newBar makes a bar that is only rendered, never written by pb itself.
func newBar(name string) *pb.ProgressBar {
	bar := pb.New(0).Set(pb.Static, true).Set(pb.Terminal, true).SetTemplateString(barTemplate)
	return bar.Set("name", fmt.Sprintf("%-8s", run.Printable(name))).Start()
}

// redraw replaces the bars by lines, which stay, and the bars as they are now.
func (b *bars) redraw(lines string) {
	var out strings.Builder
	if b.drawn > 0 {
		fmt.Fprintf(&out, "\r\x1b[%dA\x1b[J", b.drawn) // up to the first bar, also behind the ^C of a user; clear from there
	}
	out.WriteString(lines)
	b.drawn = 0
	width := b.width() - 1 // a full line would wrap, and count as two
	for _, n := range b.nodes {
		for _, bar := range []*pb.ProgressBar{n.acquire, n.send} {
			if bar != nil {
				out.WriteString(strings.TrimRight(bar.SetWidth(width).String(), " ") + "\n")
				b.drawn++
			}
		}
	}
	for _, line := range b.clockLines(width) {
		out.WriteString(line + "\n")
		b.drawn++
	}
	b.err.Write([]byte(out.String())) // the terminal may be gone; the summary is not for it alone
}
