package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// Paragraph tells of a run in sentences, to be pasted into a log book or a paper.
func Paragraph(m *run.Manifest) string {
	var out []string
	say := func(format string, args ...any) { out = append(out, text.Printable(fmt.Sprintf(format, args...))) }
	simulated := ""
	if m.Has(run.Simulated) {
		simulated = " (SIMULATED: computed and not measured)"
	}
	begin := fmt.Sprintf("Run %s%s of the recipe %q", shortRun(m.Run), simulated, m.Name)
	if c := m.Recipe.Git.Commit; c != "" {
		begin += " at commit " + c[:min(len(c), 12)]
		if m.Recipe.Git.Dirty {
			begin += " with changes"
		}
	}
	if !m.Started.IsZero() {
		begin += " was started on " + m.Started.UTC().Format("2006-01-02 at 15:04:05 UTC")
	}
	say("%s and is %s.", begin, conditionText(m))
	if !m.Recorded() {
		words := unrecorded(m)
		say("%s%s.", strings.ToUpper(words[:1]), words[1:])
		return strings.Join(out, " ")
	}
	for _, node := range m.NodeOrder() {
		n := m.Nodes[node]
		var channels, devices []string
		for _, name := range run.ByStream(n.Channels) {
			c := n.Channels[name]
			channels = append(channels, fmt.Sprintf("%s %s tags in %s (%s)", name, text.Count(c.Tags), text.Seconds(c.LengthPs), text.Hertz(c.Rate.Millihertz())))
		}
		for _, name := range slices.Sorted(maps.Keys(n.Controllers)) {
			devices = append(devices, deviceOf(n.Controllers[name]))
		}
		say("%s recorded with %s: %s.", node, cmp.Or(strings.Join(devices, ", "), "no device"), cmp.Or(strings.Join(channels, ", "), "no channel"))
	}
	if m.Common != nil {
		say("%s.", sentence(commonWords(m.Common)))
	}
	for _, r := range m.Results {
		if r.Skipped != "" {
			say("%s was skipped: %s.", r.Stage, r.Skipped)
			continue
		}
		var lines []string
		if over := stage.OverWords(r); over != "" {
			lines = append(lines, over)
		}
		stage.Report(r, func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) })
		if len(lines) > 0 {
			say("%s (%s): %s.", r.Stage, r.Kind, strings.Join(lines, "; "))
		}
	}
	if lost := m.TagsLost(); lost > 0 {
		say("%s known to be lost.", quantity.Counted(lost, "tag"))
	}
	say("Recorded by tsrun %s.", cmp.Or(m.Tsrun, "of an unknown version"))
	return strings.Join(out, " ")
}

func shortRun(id string) string { return cmp.Or(id[:min(len(id), 8)], "without a number") }

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func conditionText(m *run.Manifest) string {
	words := make([]string, len(m.Condition))
	for i, c := range m.Condition {
		words[i] = string(c)
	}
	return cmp.Or(strings.Join(words, " + "), "of no condition")
}
