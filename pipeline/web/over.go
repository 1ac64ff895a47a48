package web

import (
	"bytes"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"tsrun/pipeline/plot"
	"tsrun/pipeline/report"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

const (
	maxReasons  = 50
	maxPictures = 1 << 20 // bytes of all of them
)

// finishedFacts replaces what was known while the run went on by its manifest.
func (b *board) finishedFacts(f *facts, m *run.Manifest) {
	f.Run, f.Name, f.Directory = m.Run, text.Printable(m.Name), text.Printable(b.finished.Directory)
	f.Commit = text.Printable(shortCommit(m.Recipe.Git.Commit))
	f.Left, f.Percent, f.Analysing = "", "", ""
	f.Conditions, f.Reasons = verdict(m)
	f.Nodes, f.Channels = nil, nil
	for _, name := range m.NodeOrder() {
		f.Nodes = append(f.Nodes, cardOf(m, name))
		n := m.Nodes[name]
		for _, c := range run.ByStream(n.Channels) {
			f.Channels = append(f.Channels, b.rowOf(name+"."+c, n.Channels[c]))
		}
	}
	f.Stages = nil
	for _, r := range m.Results {
		f.Stages = append(f.Stages, stageFactsOf(r))
	}
	f.Pictures = b.pictures
	f.NoPairs, f.NoClocks, f.NoFiles = "No stage has looked at the tags.", "No clock was followed while the run went on.", "All that was announced is here."
	if missing := slices.ContainsFunc(m.Segments, func(s run.Segment) bool { return !s.Verified }); missing {
		f.NoFiles = "The run ended without some of its files: tsrun resume fetches what nodes still hold."
	}
}

// verdict is the condition of a run with its reasons.
func verdict(m *run.Manifest) (words []badge, reasons []string) {
	classes := map[run.Condition]string{run.Good: "good", run.Simulated: "sim", run.Aborted: "bad", run.Unverified: "bad"}
	for _, c := range m.Condition {
		class, known := classes[c]
		if !known {
			class = "wait"
		}
		words = append(words, badge{text.Printable(string(c)), class})
	}
	all := slices.DeleteFunc(slices.Clone(m.Reasons), func(r run.Reason) bool { return r.Condition == run.Simulated }) // no problem, and marked anyway
	for _, r := range all[:min(len(all), maxReasons)] {
		where := strings.Trim(r.Node+"."+r.Channel, ".")
		if where != "" {
			where += ": "
		}
		reasons = append(reasons, text.Printable(string(r.Condition)+": "+where+r.Message))
	}
	if more := len(all) - maxReasons; more > 0 {
		reasons = append(reasons, fmt.Sprintf("and %d more in %s", more, run.ManifestFile))
	}
	return words, reasons
}

// cardOf is what a manifest says of a node.
func cardOf(m *run.Manifest, name string) card {
	n := m.Nodes[name]
	c := card{Name: text.Printable(name), Host: n.Host, Status: "over"}
	add := func(name, value string) { c.Entries = append(c.Entries, [2]string{name, text.Printable(value)}) }
	for _, k := range slices.Sorted(maps.Keys(n.Controllers)) {
		d := n.Controllers[k].Device
		words := k + " did not say what it is"
		if name := strings.TrimSpace(d.Vendor + " " + d.Model + " " + d.Serial); name != "" {
			words = k + " is " + name
		}
		if d.Simulated {
			words += " (SIMULATED)"
		}
		c.Devices = append(c.Devices, text.Printable(words))
	}
	if n.Hostname != "" {
		add("PC", n.Hostname)
	}
	var tags, lost uint64
	for _, channel := range n.Channels {
		tags, lost = tags+channel.Tags, lost+channel.Lost
	}
	add("tags", text.Count(tags))
	add("lost", text.Count(lost))
	for _, s := range m.Trigger.Skew {
		if s.Node == name {
			add("started", startedWords(s.SkewNs, s.UncertaintyNs, s.Against))
		}
	}
	add("clock source", m.Trigger.ClockSource)
	files, proven, size := 0, 0, int64(0)
	for _, s := range m.Segments {
		if s.Node == name {
			files, size = files+1, size+s.Size
			if s.Verified {
				proven++
			}
		}
	}
	add("files", fmt.Sprintf("%d (%s)", files, bytesWords(size)))
	add("here and proven", fmt.Sprint(proven))
	return c
}

// rowOf is what a manifest says of a channel.
func (b *board) rowOf(name string, c *run.Channel) row {
	r := row{Name: text.Printable(name), Tags: text.Count(c.Tags), Rate: "no time was recorded", Lost: text.Count(c.Lost)}
	if known := b.channels[name]; known != nil {
		r.Limits = known.expect.Limits()
		if c.Rate != nil {
			r.Beyond = beyond(known.expect, c.Rate.Millihertz())
		}
	}
	if c.Rate != nil {
		r.Rate = text.Hertz(c.Rate.Millihertz())
	}
	return r
}

// draw makes the pictures of a run that is over, as far as there is room for them.
func draw(dir string, m *run.Manifest) (pictures []template.HTML) {
	size := 0
	for _, d := range report.Pictures(dir, m) {
		var svg bytes.Buffer
		_ = plot.SVG(&svg, d.Picture) // into memory; it escapes all that it is given
		if size += svg.Len(); size > maxPictures {
			break
		}
		pictures = append(pictures, template.HTML(svg.String()))
	}
	return pictures
}
