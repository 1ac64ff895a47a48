package web

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// facts are what the page says, in words and numbers for people.
type facts struct {
	State, StateWords          string
	Name, Run, Directory       string
	Recipe, Commit             string
	Simulated                  bool
	Conditions                 []badge
	Reasons                    []string
	Left                       string
	Percent                    string // of the recording; "": nobody can say
	Waiting, Problems, Events  []line
	Nodes                      []card
	Channels                   []row
	Clocks                     []clockRow
	Analysing                  string
	Pairs                      []pairTable
	Bench                      []benchPair // of a bench that is watched
	Watching                   bool
	Stages                     []stageFacts
	Pictures                   []template.HTML
	Transfers                  []transferRow
	Over                       bool
	NoPairs, NoClocks, NoFiles string // why there is nothing
}

// badge is a word that stands out.
type badge struct{ Word, Class string }

// card is what is said of a node.
type card struct {
	Name, Host, Status, Class string
	Devices                   []string
	Entries                   [][2]string
}

// row is what is said of a channel.
type row struct {
	Name, Tags, Rate, Limits, Beyond, Lost string
	Old                                    bool // the rate is not of now
}

// clockRow is what is said of the clock of an align stage.
type clockRow struct{ Stage, Of, State, Class, Offset, At, Frequency string }

// stageFacts are what a stage found.
type stageFacts struct {
	Name, Kind string
	Lines      []string
}

// transferRow is a file on its way.
type transferRow struct{ Node, File, Phase, Done, Size, Percent string }

// staleAfter is when a rate is no more what a channel does now.
const staleAfter = 3 * time.Second

// none stands where there is no value.
const none = "no value yet"

// facts says how the board stands at a moment.
func (b *board) facts(now time.Time) *facts {
	f := &facts{
		State: cmp.Or(b.state, "not begun"), StateWords: stateWords[b.state], Name: text.Printable(b.name), Run: b.begun.Run, Directory: text.Printable(b.begun.Directory),
		Recipe: text.Printable(b.begun.Recipe), Commit: text.Printable(shortCommit(b.begun.Commit)), Simulated: b.simulated, Over: b.finished != nil,
		NoPairs: "Stages count when the run is over.", NoClocks: "No align stage follows a clock, or no segment of both nodes is here yet.", NoFiles: "No file is on its way.",
	}
	for _, w := range b.waiting {
		f.Waiting = append(f.Waiting, line{Text: text.Printable(ofNode(w.Node) + "waiting for " + w.For + cmp.Or(prefixed(": ", w.Why), "")), Hint: text.Printable(w.Hint)})
	}
	for _, name := range b.nodeNames() {
		if away := b.nodes[name].away; away != nil && b.finished == nil {
			e := away.Event.(event.Away)
			silent := e.Silent + now.Sub(away.Time)
			f.Waiting = append(f.Waiting, line{Text: text.Printable(fmt.Sprintf("%s is away: nothing heard for %s; waited for up to %s", name, rounded(silent), rounded(e.Patience))), Hint: text.Printable(e.Hint)})
		}
	}
	for _, s := range slices.Backward(b.problems) {
		f.Problems = append(f.Problems, lineOf(s))
	}
	for _, s := range slices.Backward(b.events) {
		f.Events = append(f.Events, lineOf(s))
	}
	b.progressFacts(f)
	for _, name := range b.nodeNames() {
		f.Nodes = append(f.Nodes, b.card(b.nodes[name], now))
	}
	for _, name := range b.channelNames() {
		r := b.channels[name].row(now, b.state == "running")
		b.benchRow(&r)
		f.Channels = append(f.Channels, r)
	}
	for _, name := range slices.Sorted(maps.Keys(b.clocks)) {
		f.Clocks = append(f.Clocks, clockRowOf(b.clocks[name].sync))
	}
	if f.Pairs = b.pairTables(); len(f.Pairs) == 0 {
		f.NoPairs += " While it goes on, pairs are counted once an align stage has found the clock in segments that are here."
	}
	f.Bench, f.Watching = b.benchPairs(), b.watched != nil
	for _, s := range b.stages {
		f.Stages = append(f.Stages, stageFactsOf(s.Result))
	}
	for _, name := range slices.Sorted(maps.Keys(b.transfers)) {
		t := b.transfers[name]
		f.Transfers = append(f.Transfers, transferRow{text.Printable(t.Node), text.Printable(t.File), t.Phase, bytesWords(t.Done), bytesWords(t.Size), percent(float64(t.Done), float64(t.Size))})
	}
	if b.finished != nil && b.finished.Manifest != nil {
		b.finishedFacts(f, b.finished.Manifest)
	}
	return f
}

func prefixed(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

func shortCommit(commit string) string { return commit[:min(len(commit), 12)] }

// percent is a share for an element that shows it; "" where there is none.
func percent(done, of float64) string {
	if !(of > 0) {
		return ""
	}
	return fmt.Sprintf("%.0f", min(max(100*done/of, 0), 100))
}

// progressFacts say how far the recording, or a stage, is.
func (b *board) progressFacts(f *facts) {
	if rest, ok := b.left(); ok {
		f.Left = rounded(rest) + " left"
		for _, n := range b.nodes {
			if n.progress != nil && n.progress.Duration > 0 {
				f.Percent = percent(float64(n.progress.Duration-rest), float64(n.progress.Duration))
			}
		}
	} else if b.state == "running" {
		f.Left = "until it is stopped"
		for _, n := range b.nodes {
			if n.progress == nil || n.progress.Duration > 0 {
				f.Left = ""
			}
		}
	}
	if a := b.analysing; a != nil {
		f.Analysing = fmt.Sprintf("%s (%s) is at work for %s: %s of %s tags read", a.Stage, a.Kind, rounded(a.Elapsed), text.Count(a.Done), text.Count(a.Of))
		f.Left, f.Percent = "", percent(float64(a.Done), float64(a.Of))
	}
}

// card is what is known of a node.
func (b *board) card(n *node, now time.Time) card {
	c := card{Name: n.name, Host: n.host, Status: "not here yet", Class: "wait"}
	add := func(name, value string) { c.Entries = append(c.Entries, [2]string{name, text.Printable(value)}) }
	switch {
	case n.away != nil:
		away := n.away.Event.(event.Away)
		silent := away.Silent + now.Sub(n.away.Time)
		c.Status, c.Class = fmt.Sprintf("away: silent for %s, waited for up to %s", rounded(silent), rounded(away.Patience)), "bad"
	case b.finished != nil:
		c.Status, c.Class = "over", ""
	case n.progress != nil && b.state == "running":
		c.Status, c.Class = "running", "good"
	case n.armed:
		c.Status, c.Class = "armed", "good"
		if b.state != "armed" && b.state != "arming" && b.state != "running" {
			c.Status = b.state
		}
	case n.joined != nil:
		c.Status, c.Class = "joined", ""
	}
	if n.joined != nil {
		add("PC", cmp.Or(n.joined.Hostname, n.joined.Address, "this one"))
	}
	for _, name := range slices.Sorted(maps.Keys(n.devices)) {
		c.Devices = append(c.Devices, text.Printable(strings.TrimPrefix(event.Describe(n.devices[name]), n.name+".")))
	}
	if p := n.progress; p != nil {
		recorded := rounded(p.Elapsed)
		if p.Duration > 0 {
			recorded += " of " + rounded(p.Duration)
		}
		add("recorded", recorded)
		add("tags", text.Count(p.Tags))
		if b.state == "running" {
			add("heard", rounded(now.Sub(n.heard))+" ago")
		}
		if p.DiskFree > 0 {
			add("disk free", bytesWords(p.DiskFree))
		}
		if p.DiskLeft != nil {
			add("disk full in", rounded(*p.DiskLeft))
		}
	}
	if s := n.started; s != nil {
		add("started", startedWords(s.SkewNs, s.BoundNs, s.Against))
	}
	if p := n.progress; p != nil && p.Files > 0 {
		add("files closed", fmt.Sprint(max(p.Files, n.files)))
	}
	add("here and proven", fmt.Sprintf("%d (%s)", n.files, bytesWords(n.bytes)))
	if lost := b.lost[n.name]; lost > 0 {
		add("losses", quantity.Counted(lost, "gap"))
	}
	return c
}

func (c *channel) row(now time.Time, running bool) row {
	r := row{Name: c.name, Tags: none, Rate: none, Lost: none, Limits: c.expect.Limits()}
	if c.known {
		r.Tags, r.Lost = text.Count(c.tags), text.Count(c.lost)
	}
	if c.rate != nil {
		r.Rate, r.Beyond = text.Hertz(c.rate.Millihertz()), beyond(c.expect, c.rate.Millihertz())
		if old := now.Sub(c.rateAt); running && old > staleAfter {
			r.Rate, r.Old = r.Rate+", "+rounded(old)+" ago", true
		}
	}
	return r
}

func clockRowOf(s event.Sync) clockRow {
	r := clockRow{Stage: s.Stage, Of: s.Target + " minus " + s.Reference, State: clockWords(s), Class: clockClass(s.State), Offset: none, Frequency: none, At: none}
	if s.Shot > 0 {
		r.Of += fmt.Sprintf(", shot %d", s.Shot)
	}
	if s.Value != nil {
		r.Offset, r.At = text.Measured(s.Offset.Float(), s.OffsetSD, "ps"), text.Seconds(s.Time)
		r.Frequency = text.Measured(s.Frequency, s.FrequencySD, "ppb")
	}
	return r
}

// stageFactsOf are the words of a stage's kind about what it found.
func stageFactsOf(r run.Result) stageFacts {
	s := stageFacts{Name: r.Stage, Kind: r.Kind}
	if r.Skipped != "" {
		s.Lines = []string{text.Printable("skipped: " + r.Skipped)}
		return s
	}
	stage.Report(r, func(format string, args ...any) {
		s.Lines = append(s.Lines, text.Printable(fmt.Sprintf(format, args...)))
	})
	return s
}
