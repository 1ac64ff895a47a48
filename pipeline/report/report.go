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

	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/pipeline/track"
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
		entry(&out, "channels", "nothing was recorded")
	}
	reportSinks(&out, m.SinkUses())
	for _, r := range m.Results {
		reportResult(&out, r)
	}
	entry(&out, "files", "%s", dir)
	_, err := io.WriteString(w, atWidth(out.String(), width))
	return err
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
		if !hasTags(m) {
			computed = ""
		}
		entry(out, "", "SIMULATED: %s%s", strings.Join(names, ", "), computed)
	}
	when := "started " + m.Started.UTC().Format("2006-01-02 15:04:05 MST")
	if !m.Ended.IsZero() {
		when += fmt.Sprintf(", took %s", m.Ended.Sub(m.Started).Round(100*time.Millisecond))
	}
	entry(out, "run", "%s, %s", m.Name, when)
}

// hasTags says whether any channel delivered a tag.
func hasTags(m *run.Manifest) bool {
	for _, n := range m.Nodes {
		for _, c := range n.Channels {
			if c != nil && c.Tags > 0 {
				return true
			}
		}
	}
	return false
}

func simulatedControllers(m *run.Manifest) (names []string) {
	for _, node := range m.NodeOrder() {
		for _, name := range slices.Sorted(maps.Keys(m.Nodes[node].Controllers)) {
			if c := m.Nodes[node].Controllers[name]; c != nil && c.Device.Simulated {
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
			if m.Nodes[node].Controllers[c] != nil {
				entry(out, name, "%s.%s is %s", node, c, deviceOf(m.Nodes[node].Controllers[c]))
				name = ""
			}
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
	switch {
	case m.Trigger.Method == "hardware":
		entry(out, "start", "by an edge on the START inputs; their skew is that of the cables")
	case len(m.Trigger.Skew) == 0 && len(m.Nodes) > 1:
		entry(out, "start", "no skew: fewer than two nodes recorded when they started")
	}
	for i, s := range m.Trigger.Skew {
		name := ""
		if i == 0 {
			name = "start"
		}
		direction := "after"
		if s.SkewNs < 0 {
			direction = "before"
		}
		entry(out, name, "%s began %s %s %s", s.Node, text.Bounded(text.Magnitude(s.SkewNs), s.UncertaintyNs), direction, s.Against)
	}
	if m.Trigger.ClockSource == "none" && len(m.Nodes) > 1 {
		note := "no clock source compared the clocks of the PCs (clock.source: none)"
		if !slices.ContainsFunc(m.NodeOrder(), func(n string) bool { return m.Nodes[n].Host != "local" }) {
			note += "; all nodes ran on this PC and read one clock"
		} else {
			note += ", so their difference is in the skew and in no uncertainty"
		}
		entry(out, "clock", "%s", note)
	}
}

func reportResult(out *strings.Builder, r run.Result) {
	if r.Skipped != "" {
		entry(out, r.Stage, "skipped: %s", r.Skipped)
		return
	}
	if s, ok := stage.DecodeSummary[stage.AlignSummary](r); ok && r.Kind == "align" {
		reportAlign(out, r, s)
	}
	reportCounts(out, r)
	for _, f := range r.Files {
		entry(out, "", "%s", f)
	}
}

func reportAlign(out *strings.Builder, r run.Result, s stage.AlignSummary) {
	if s.Refused {
		entry(out, r.Stage, "no offset of %s against %s: %s", s.Target, s.Reference, s.Reason)
		if s.Hint != "" {
			entry(out, "", "%s", s.Hint)
		}
		return
	}
	entry(out, r.Stage, "%s - %s = %s ± %s at %s", s.Target, s.Reference,
		text.Grouped(s.OffsetPs), text.Picoseconds(max(1, text.Rounded(s.OffsetSDPs))), text.Seconds(s.ReferencePs))
	direction := "fast"
	if s.FrequencyPpb < 0 {
		direction = "slow"
	}
	entry(out, "", "the clock of %s runs %s ppb %s", s.Target, quantity.Measured(math.Abs(s.FrequencyPpb), s.FrequencySDPpb), direction)
	for _, d := range s.Channels {
		if d.Correlated && (d.Reference != s.Reference || d.Target != s.Target) {
			entry(out, "", "%s - %s: %s ps later, %s pairs", d.Target, d.Reference, quantity.Measured(d.Delay, d.DelaySD), text.Grouped(d.Pairs))
		}
	}
	if s.Alignment == nil {
		return
	}
	if s.Alignment.Wanders && s.Alignment.Track != nil {
		reportTrack(out, s.Alignment.Track)
	}
	if s.Alignment.Warning != "" {
		entry(out, "", "%s", s.Alignment.Warning)
	}
}

// reportTrack says how a clock drifted beside its line.
func reportTrack(out *strings.Builder, t *track.Track) {
	if t.Noise.WhiteFM > 0 || t.Noise.RandomWalkFM > 0 {
		entry(out, "", "it drifts by white FM of %.2g at 1 s and a random walk of frequency of %.2g in 1 s", t.Noise.WhiteFM, t.Noise.RandomWalkFM)
	}
	var deviations []string
	for _, p := range t.Allan {
		if p.Deviation > 2*p.SD && p.Deviation > p.Floor && p.Tau >= 0.1 { // shorter ones are in its file
			deviations = append(deviations, fmt.Sprintf("%.2g in %.2g s", p.Deviation, p.Tau))
		}
	}
	if len(deviations) > 0 {
		entry(out, "", "Allan deviation %s", strings.Join(deviations[:min(len(deviations), 6)], ", "))
	}
	for _, missing := range []struct {
		what     string
		notFound bool
	}{{"no pairs", false}, {"the clock was not found", true}} {
		gaps := slices.DeleteFunc(slices.Clone(t.Gaps), func(g track.Gap) bool { return g.NotFound != missing.notFound })
		if len(gaps) > 0 {
			entry(out, "", "%s in %d gaps, the first from %s to %s", missing.what, len(gaps), text.Seconds(gaps[0].From), text.Seconds(gaps[0].To))
		}
	}
}

func corrected(yes bool) string {
	if yes {
		return ", clocks corrected"
	}
	return ""
}
