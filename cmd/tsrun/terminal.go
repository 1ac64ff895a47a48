package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/report"
	"tsrun/pipeline/text"

	"tsrun/sdk/quantity"

	"golang.org/x/term"
)

// The rules of the terminal: the summary of a run goes to standard output, and
// with --json every event does, one a line; how it is going goes to standard
// error, as bars that redraw themselves where that is a terminal and as plain
// lines elsewhere.

// showing makes a hub whose events are shown as they come; done waits until all
// have been.
func showing(asJSON bool) (hub *event.Hub, done func()) {
	hub = event.NewHub()
	feed, shown := hub.Subscribe(), make(chan struct{})
	go func() {
		defer close(shown)
		showEvents(feed, asJSON)
	}()
	return hub, func() {
		hub.Close()
		<-shown
	}
}

// showEvents shows a run until its feed is closed and read. What cannot be
// written is dropped: a reader that is gone does not end the run.
func showEvents(feed *event.Feed, asJSON bool) {
	var s shower
	switch {
	case asJSON:
		s = &jsonLines{out: os.Stdout}
	case term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb":
		s = &bars{plain: plain{out: os.Stdout, err: os.Stderr}, size: terminalSize}
	default:
		s = &plain{out: os.Stdout, err: os.Stderr}
	}
	show(feed, s)
}

// shower shows events in the order they happened.
type shower interface {
	show(events []event.Stamped) error
}

// show feeds a shower to the end, even when it has failed, so that the run
// never waits for its terminal.
func show(feed *event.Feed, s shower) {
	var failed error
	for {
		events, ok := feed.Next(context.Background()) // ends when the run closes the feed
		if !ok {
			return
		}
		if failed == nil {
			failed = s.show(events)
		}
	}
}

// widthOf is how many characters a line of a file may have: those of a terminal.
func widthOf(f *os.File) int {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		return report.ReportWidth
	}
	return width
}

// terminalSize is how many characters and lines the terminal of the bars has.
func terminalSize() (width, height int) {
	_, height, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || height < 2 {
		height = 24
	}
	return widthOf(os.Stderr), height
}

// jsonLines writes every event as one JSON object on a line of its own.
type jsonLines struct{ out io.Writer }

func (j *jsonLines) show(events []event.Stamped) error {
	for _, e := range events {
		if f, ok := e.Event.(event.Finished); ok && f.Manifest == nil {
			continue // the end of a collection, whose directories have summaries of their own
		}
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode event: %w", err)
		}
		if _, err := j.out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

const (
	progressEvery = time.Second     // between plain lines about one node's progress
	stageEvery    = 5 * time.Second // between plain lines about one stage's
	maxLossLines  = 10              // about one channel; the manifest has all
)

// plain writes lines that need no terminal.
type plain struct {
	out, err io.Writer
	last     map[string]time.Time // when progress of a node was last written
	whole    map[string]bool      // whether that said it has recorded all
	losses   map[string]int
	verified map[string]*verified
	clocks   map[string]clockLine // by stage
	watched  bench
	stage    time.Time // when progress of a stage was last written
}

// verified counts the files of a node that are proven here.
type verified struct {
	files int
	bytes int64
}

func (p *plain) show(events []event.Stamped) error {
	for _, e := range events {
		if err := p.event(e); err != nil {
			return err
		}
	}
	return nil
}

func (p *plain) event(e event.Stamped) error {
	if finished, ok := e.Event.(event.Finished); ok {
		return p.summary(finished)
	}
	if seen, ok := e.Event.(event.Watched); ok {
		return p.watch(seen, e.Time)
	}
	if line := p.line(e); line != "" {
		fmt.Fprintln(p.err, text.Printable(line)) // nobody may be reading any more: the log has it
	}
	return nil
}

// watch is written once a second.
func (p *plain) watch(e event.Watched, now time.Time) error {
	p.watched.add(e)
	if now.Sub(p.watched.last) < progressEvery {
		return nil
	}
	p.watched.last = now
	_, err := fmt.Fprintln(p.out, p.watched.line())
	return err
}

func (p *plain) summary(f event.Finished) error {
	if f.Manifest == nil {
		return nil
	}
	return report.Report(p.out, f.Manifest, f.Directory, widthOf(os.Stdout))
}

// line is what there is to say about an event; "" for nothing.
func (p *plain) line(e event.Stamped) string {
	switch v := e.Event.(type) {
	case event.Progress:
		if v.Duration == 0 { // of a bench that is watched, whose rates are told
			return ""
		}
		return p.progress(v, e.Time)
	case event.Sync:
		return p.sync(v, e.Time)
	case event.Analysing:
		if now := e.Time; now.Sub(p.stage) >= stageEvery {
			p.stage = now
			return stageLines(v)[0]
		}
		return ""
	case event.FileVerified:
		p.verify(v)
		return ""
	case event.TagsLost:
		return p.loss(v)
	case event.StateChanged:
		if v.State == "watching" {
			return "watching; nothing is kept; " + howToGoOn
		}
		return v.State + p.transferred(v.State)
	case event.NodeJoined:
		p.forget(v.Node)
	}
	return event.Describe(e.Event)
}

// forget begins a run of a node: a slave takes part in one after another.
func (p *plain) forget(node string) {
	delete(p.last, node)
	delete(p.whole, node)
	delete(p.verified, node)
	maps.DeleteFunc(p.losses, func(channel string, _ int) bool { return strings.HasPrefix(channel, node+".") })
}

// progress is written once a second from the first tag on, and once when the
// acquisition is over.
func (p *plain) progress(v event.Progress, now time.Time) string {
	if p.last == nil {
		p.last, p.whole = map[string]time.Time{}, map[string]bool{}
	}
	whole := v.Duration > 0 && v.Elapsed >= v.Duration
	if p.whole[v.Node] || v.Elapsed == 0 && v.Tags == 0 {
		return ""
	}
	if last, ok := p.last[v.Node]; ok && !whole && now.Sub(last) < progressEvery {
		return ""
	}
	p.last[v.Node], p.whole[v.Node] = now, whole
	of := ""
	if v.Duration > 0 {
		of = fmt.Sprintf(" of %v", v.Duration)
	}
	return fmt.Sprintf("%s: %v%s, %s%s", v.Node, v.Elapsed.Round(10*time.Millisecond), of, quantity.Counted(v.Tags, "tag"), diskNote(v))
}

// diskSoon is when the user is told how long a disk will do.
const diskSoon = 10 * time.Minute

// diskNote says when a disk will be full, where that is soon or before the end.
func diskNote(v event.Progress) string {
	if v.DiskLeft == nil || *v.DiskLeft > max(diskSoon, v.Duration-v.Elapsed) || v.Duration > 0 && v.Elapsed >= v.Duration {
		return ""
	}
	return fmt.Sprintf(", disk full in %v", v.DiskLeft.Round(time.Second))
}

func (p *plain) verify(v event.FileVerified) {
	if p.verified == nil {
		p.verified = map[string]*verified{}
	}
	if p.verified[v.Node] == nil {
		p.verified[v.Node] = &verified{}
	}
	p.verified[v.Node].files++
	p.verified[v.Node].bytes += v.Size
}

// transferred says what has arrived, once everything has: at a master before its
// stages, at a slave, which has none, at the end.
func (p *plain) transferred(state string) string {
	where := map[string]string{"analysing": "here", "done": "at the master"}[state]
	if where == "" || len(p.verified) == 0 {
		return ""
	}
	files, bytes := 0, int64(0)
	for _, v := range p.verified {
		files += v.files
		bytes += v.bytes
	}
	clear(p.verified)
	are := "are"
	if files == 1 {
		are = "is"
	}
	return fmt.Sprintf(": %s with %s %s %s and verified", quantity.Counted(files, "file"), quantity.Counted(bytes, "byte"), are, where)
}

func (p *plain) loss(v event.TagsLost) string {
	if p.losses == nil {
		p.losses = map[string]int{}
	}
	channel := v.Node + "." + v.Channel
	if v.LengthPs > 0 {
		return fmt.Sprintf("warning: %s has nothing from %s on for %s: %s", channel, text.Seconds(v.AtPs), text.Seconds(v.LengthPs), v.Why)
	}
	p.losses[channel]++
	switch n := p.losses[channel]; {
	case n < maxLossLines:
		return fmt.Sprintf("warning: %s lost %s at %d ps: %s", channel, quantity.Counted(v.Tags, "tag"), v.AtPs, v.Why)
	case n == maxLossLines:
		return fmt.Sprintf("warning: %s goes on losing tags; manifest.json will list where", channel)
	}
	return ""
}

// stageLines say how far a stage is, the longest first.
func stageLines(v event.Analysing) []string {
	stage, share := "analysing: "+v.Stage, ""
	switch {
	case v.Of > 0 && v.Done >= v.Of: // what it makes of them may take longer than reading did
		share = ", all read, calculating"
	case v.Of > 0:
		share = fmt.Sprintf(", %.0f %% read", 100*float64(v.Done)/float64(v.Of))
	}
	return []string{fmt.Sprintf("%s%s, %v", stage, share, v.Elapsed.Round(time.Second)), stage + share, "analysing" + share}
}

func prefixed(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}
