package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// maxReasons is how many reasons a report lists; the manifest has all.
const maxReasons = 12

// Report writes the summary of a run for a person at a terminal, from its
// manifest alone. dir is where the run directory is; lines are at most width
// characters wide, but for single words that are longer.
func Report(w io.Writer, m *run.Manifest, dir string, width int) error {
	width = max(width, leastWidth)
	var out strings.Builder
	reportCondition(&out, m)
	if m.Recorded() {
		out.WriteByte('\n')
		reportChannels(&out, m, width)
		out.WriteByte('\n')
		reportStart(&out, m)
	} else {
		entry(&out, "channels", "%s", unrecorded(m))
	}
	reportCommon(&out, m)
	reportSinks(&out, m.SinkUses())
	reportLive(&out, m)
	reportResultSinks(&out, m)
	for _, r := range m.Results {
		reportResult(&out, r)
	}
	entry(&out, "files", "%s", dir)
	if m.Local != nil && m.Recorded() && run.Waits(dir) {
		reportDelivery(&out, m.Local)
	}
	_, err := io.WriteString(w, atWidth(out.String(), width))
	return err
}

// unrecorded says of a run whose manifest has no records what that means.
func unrecorded(m *run.Manifest) string {
	if m.Pending() {
		return "what was recorded is not known before the run has ended"
	}
	return "nothing was recorded"
}

// entry writes one line of the report; name may be empty to continue the one above.
func entry(out *strings.Builder, name, format string, args ...any) {
	words := fmt.Sprintf(format, args...)
	fmt.Fprintf(out, "%-*s %s\n", entryColumn-1, text.Printable(name), text.Printable(words))
}

func reportCondition(out *strings.Builder, m *run.Manifest) {
	words := make([]string, len(m.Condition))
	for i, c := range m.Condition {
		words[i] = string(c)
	}
	entry(out, "condition", "%s", strings.Join(words, " + "))
	shown := 0
	for _, r := range m.Reasons {
		if r.Condition == run.Simulated {
			continue
		}
		if shown++; shown > maxReasons {
			continue
		}
		where := strings.Trim(r.Node+"."+r.Channel, ".")
		if where != "" {
			where += ": "
		}
		entry(out, "", "%s: %s%s", r.Condition, where, r.Message)
	}
	if shown > maxReasons {
		entry(out, "", "and %s in %s", quantity.Counted(shown-maxReasons, "more reason"), run.ManifestFile)
	}
	if names := simulatedControllers(m); len(names) > 0 {
		computed := "; these tags were computed, not measured"
		if m.TagsDelivered() == 0 {
			computed = ""
		}
		entry(out, "", "SIMULATED: %s%s", strings.Join(names, ", "), computed)
	}
	if m.Insecure {
		entry(out, "", "INSECURE: the network between the PCs could read and change what they said (network.insecure)")
	}
	when := "started " + m.Started.UTC().Format("2006-01-02 15:04:05 MST")
	if !m.Ended.IsZero() {
		when += fmt.Sprintf(", took %s", m.Ended.Sub(m.Started).Round(100*time.Millisecond))
	}
	entry(out, "run", "%s, %s", m.Name, when)
}

func simulatedControllers(m *run.Manifest) (names []string) {
	for _, node := range m.NodeOrder() {
		for _, name := range slices.Sorted(maps.Keys(m.Nodes[node].Controllers)) {
			if m.Nodes[node].Controllers[name].Device.Simulated {
				names = append(names, node+"."+name)
			}
		}
	}
	return names
}

// reportChannels writes a table, or an entry for each channel where that is too
// wide, and then the controllers.
func reportChannels(out *strings.Builder, m *run.Manifest, width int) {
	var rows, list strings.Builder
	table := tabwriter.NewWriter(&rows, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "channel\ttags\trate\tlength\tlost")
	for _, node := range m.NodeOrder() {
		n := m.Nodes[node]
		for _, name := range run.ByStream(n.Channels) {
			c := n.Channels[name]
			cells := []string{text.Printable(node + "." + name), text.Count(c.Tags), text.Hertz(c.Rate.Millihertz()), text.Seconds(c.LengthPs), text.Count(c.Lost)}
			fmt.Fprintln(table, strings.Join(cells, "\t"))
			entry(&list, cells[0], "%s tags, %s, %s, %s lost", cells[1], cells[2], cells[3], cells[4])
		}
	}
	_ = table.Flush() // into memory
	if widest(rows.String()) <= width {
		out.WriteString(rows.String())
	} else {
		out.WriteString(list.String())
	}
	out.WriteByte('\n')
	name := "devices"
	for _, node := range m.NodeOrder() {
		for _, c := range slices.Sorted(maps.Keys(m.Nodes[node].Controllers)) {
			entry(out, name, "%s.%s is %s", node, c, deviceOf(m.Nodes[node].Controllers[c]))
			name = ""
		}
	}
}

// widest is the length of the longest line.
func widest(text string) (most int) {
	for line := range strings.Lines(text) {
		most = max(most, utf8.RuneCountInString(strings.TrimRight(line, " \n")))
	}
	return most
}

func deviceOf(c *run.Controller) string {
	text := strings.TrimSpace(c.Device.Model + " " + c.Device.Serial)
	if text == "" {
		text = c.Driver
	}
	if c.Device.Simulated {
		text += " (SIMULATED)"
	}
	return text
}

func reportStart(out *strings.Builder, m *run.Manifest) {
	name := "start"
	say := func(format string, args ...any) {
		entry(out, name, format, args...)
		name = ""
	}
	for _, s := range m.Trigger.Skew {
		direction := "after"
		if s.SkewNs < 0 {
			direction = "before"
		}
		say("%s began %s %s %s", s.Node, text.Bounded(text.Magnitude(s.SkewNs), s.UncertaintyNs), direction, s.Against)
	}
	if expected, known := m.ShotsAsExpected(); known > 0 {
		say("%d of %d shots began as was expected; the others were held up, or their latency was not known yet", expected, known)
	}
	switch {
	case m.Trigger.Method == "hardware":
		say("by an edge on the START inputs; their skew is that of the cables")
	case slices.ContainsFunc(m.NodeOrder(), func(n string) bool { return m.Nodes[n].Start != nil && !m.Nodes[n].Compared() }):
		say("how far apart the nodes of several PCs began is not known: nothing compared their clocks")
	case len(m.Trigger.Skew) == 0 && len(m.Nodes) > 1:
		say("no skew: fewer than two nodes recorded when they started")
	}
	reportHeard(out, m)
	reportRealtime(out, m)
	reportClocks(out, m)
	reportTransfer(out, m)
}

// reportTransfer says whose files travelled packed.
func reportTransfer(out *strings.Builder, m *run.Manifest) {
	for _, name := range m.NodeOrder() {
		if t := m.Nodes[name].Transfer; t != nil && t.Ratio() > 0 {
			entry(out, "transfer", "%s sent %d of %d bytes packed, %.2f to 1: its link carries %.3g bytes/s, it packs %.3g bytes/s",
				name, t.Packed, t.Bytes, t.Ratio(), float64(t.LinkPerS), float64(t.PackPerS))
		}
	}
}

// reportClocks says how the nodes' clocks stood against the master's.
func reportClocks(out *strings.Builder, m *run.Manifest) {
	for _, p := range m.Parts {
		reportOwnClock(out, p.Node, p.Clock)
	}
	if m.Local != nil {
		reportOwnClock(out, m.Local.Node, m.Local.Clock)
	}
	if m.Local != nil || len(m.Parts) > 0 {
		return
	}
	if !slices.ContainsFunc(m.NodeOrder(), func(n string) bool { return m.Nodes[n].Host != "local" }) {
		if len(m.Nodes) > 1 {
			entry(out, "clock", "all nodes ran on this PC and read one clock, so its error is in no skew")
		}
		return
	}
	if m.Trigger.ClockSource == "none" {
		entry(out, "clock", "no clock source compared the clocks of the PCs (clock.source: none)")
		return
	}
	for _, name := range m.NodeOrder() {
		n := m.Nodes[name]
		switch {
		case n.Host == "local":
		case !n.Compared():
			entry(out, "clock", "%s's clock was not compared with this PC's (clock.source: %s)", name, m.Trigger.ClockSource)
		default:
			entry(out, "clock", "%s", clockText(name, *n.Clock.Start))
			if n.Clock.Unstamped() {
				entry(out, "", "without time stamps of the kernel on one of the two PCs, clocks are compared 50 times worse: %s; tsrun doctor says which PC that is", clock.StampsHint)
			}
			for _, o := range n.Clock.Start.Others {
				entry(out, "", "%s", othersText(o))
			}
		}
	}
}

// clockText says how a node's clock stood when the instant was translated.
func clockText(name string, r clock.Reading) string {
	direction := "ahead of"
	if r.Offset < 0 {
		direction = "behind"
	}
	steady := ""
	if r.Unstable {
		steady = "; not steady while they were compared"
	}
	drift := text.Measured(math.Abs(r.Drift), r.DriftSd, "ppb")
	switch {
	case math.Abs(r.Drift) <= 3*r.DriftSd:
		drift = "was not seen to run fast or slow: " + text.Measured(r.Drift, r.DriftSd, "ppb")
	case r.Drift < 0:
		drift = "ran " + drift + " slow"
	default:
		drift = "ran " + drift + " fast"
	}
	return fmt.Sprintf("%s's was %s %s the master's when the run began (%s), and %s%s",
		name, text.Bounded(text.Magnitude(r.Offset), r.Bound), direction, r.By(), drift, steady)
}

// othersText says what a source said by which the instant was not translated.
func othersText(o clock.Others) string {
	if o.Why != "" {
		return fmt.Sprintf("%s says nothing: %s", o.Source, o.Why)
	}
	direction, agrees := "ahead", "agrees"
	if o.Offset < 0 {
		direction = "behind"
	}
	if o.Excluded {
		agrees = "cannot be right beside it"
	}
	return fmt.Sprintf("%s %s: %s %s", o.Source, agrees, text.Bounded(text.Magnitude(o.Offset), o.Bound), direction)
}

func reportResult(out *strings.Builder, r run.Result) {
	if r.Skipped != "" {
		entry(out, r.Stage, "skipped: %s", r.Skipped)
		return
	}
	name := r.Stage
	if over := stage.OverWords(r); over != "" {
		entry(out, name, "%s", over)
		name = ""
	}
	stage.Report(r, func(format string, args ...any) {
		entry(out, name, format, args...)
		name = "" // of the first line alone
	})
	for _, f := range r.Files {
		entry(out, "", "%s", f)
	}
}
