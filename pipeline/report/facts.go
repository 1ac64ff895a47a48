package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// expected holds what each channel recorded against what was asked for.
func (p *page) expected() {
	if p.m.DurationPs > 0 {
		p.para("", "Each channel was to record for "+text.Seconds(p.m.DurationPs)+".")
	}
	limits := map[string]recipe.Expect{}
	if p.r != nil {
		for _, e := range p.r.Expect {
			limits[e.Channel] = e
		}
	}
	var rows [][]string
	for _, node := range p.m.NodeOrder() {
		n := p.m.Nodes[node]
		for _, name := range run.ByStream(n.Channels) {
			c := n.Channels[name]
			rate := "none: no time was recorded"
			if c.Rate != nil {
				rate = text.Hertz(c.Rate.Millihertz())
			}
			rows = append(rows, []string{node + "." + name, text.Seconds(c.LengthPs), text.Count(c.Tags), rate, limits[node+"."+name].Limits(), text.Count(c.Lost)})
		}
	}
	p.rows([]string{"channel", "#recorded", "#tags", "#rate", "expected", "#lost"}, rows)
	if len(rows) == 0 {
		p.para("", "The run has no channels.")
	}
	p.losses()
	if p.m.Common != nil {
		p.para("", sentence(commonWords(p.m.Common))+".")
	}
}

// losses lists what is missing, as far as it has a place.
func (p *page) losses() {
	var rows [][]string
	more := 0
	for _, node := range p.m.NodeOrder() {
		n := p.m.Nodes[node]
		for _, name := range run.ByStream(n.Channels) {
			for _, l := range n.Channels[name].Losses {
				if len(rows) == maxListed {
					more++
					continue
				}
				length := ""
				if l.LengthPs > 0 {
					length = text.Seconds(l.LengthPs)
				}
				rows = append(rows, []string{node + "." + name, text.Seconds(l.AtPs), text.Count(l.Tags), length, l.Why})
			}
		}
	}
	p.rows([]string{"channel", "#lost at", "#tags", "#nothing recorded for", "why"}, rows)
	if more > 0 {
		p.para("", fmt.Sprintf("and %s in %s", quantity.Counted(more, "more loss"), run.ManifestFile))
	}
}

// clocks says when each node began and how its clock stood.
func (p *page) clocks() {
	var words strings.Builder
	reportStart(&words, p.m)
	p.code(words.String())
	for _, r := range p.m.Results {
		all, ok := stage.DecodeSummary[stage.AlignSummary](r)
		if !ok || r.Kind != "align" {
			continue
		}
		for _, s := range all.Each() {
			if s.Refused || s.Alignment == nil {
				continue
			}
			later := -s.Alignment.StartOffset.Float()
			p.para("", fmt.Sprintf("By the photons (%s) %s began %s later than %s, delays of detectors and cables included; by the clocks and the moments of firing: %s.",
				r.Stage, s.Target, text.Measured(later/1000, s.Alignment.StartSD/1000, "ns"), s.Reference, p.foretold(s)))
		}
	}
}

// foretold is by how much later the target's node began, as the starts say.
func (p *page) foretold(s stage.AlignSummary) string {
	a, b := p.m.NodeOf(s.Reference), p.m.NodeOf(s.Target)
	if a == nil || b == nil || a.Start == nil || b.Start == nil {
		return "nothing is known"
	}
	if a != b && !(a.Compared() && b.Compared()) {
		return "nothing compared their clocks"
	}
	skew := run.Skew(s.Target, *b.Start, s.Reference, *a.Start)
	return text.Bounded(skew.SkewNs, skew.UncertaintyNs)
}

// files says who has proven which files, and how to do it again.
func (p *page) files() {
	type key struct{ node, sink string }
	type count struct {
		files, proven int
		bytes         int64
		tags          uint64
	}
	counts := map[key]*count{}
	for _, s := range p.m.Segments {
		c := counts[key{s.Node, s.Sink}]
		if c == nil {
			c = &count{}
			counts[key{s.Node, s.Sink}] = c
		}
		c.files, c.bytes, c.tags = c.files+1, c.bytes+s.Size, c.tags+s.Tags
		if s.Verified {
			c.proven++
		}
	}
	var rows [][]string
	for _, k := range slices.SortedFunc(maps.Keys(counts), func(a, b key) int { return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.sink, b.sink)) }) {
		c := counts[k]
		sum := "the node that wrote them"
		rows = append(rows, []string{k.node, cmp.Or(k.sink, "none"), fmt.Sprint(c.files), fmt.Sprint(c.proven), text.Grouped(c.bytes), text.Count(c.tags), sum})
	}
	p.rows([]string{"node", "sink", "#files", "#proven here", "#bytes", "#tags", "SHA-256 made by"}, rows)
	p.para("", "A file is proven here when the master has read it and found the size and the SHA-256 that its node had made while writing it. All of it again, on any PC, in this directory:")
	p.code("tsrun verify .\nsha256sum -c " + run.SumsFile + "\n")
}

// devices lists what recorded, by what, and with which privileges.
func (p *page) devices() {
	var devices, programs, grants [][]string
	for _, node := range p.m.NodeOrder() {
		n := p.m.Nodes[node]
		programs = append(programs, []string{node, "tsrun", n.Version, n.Hostname, ""})
		for _, name := range slices.Sorted(maps.Keys(n.Controllers)) {
			c := n.Controllers[name]
			kind := ""
			if c.Device.Simulated {
				kind = "SIMULATED"
			}
			devices = append(devices, []string{node + "." + name, strings.TrimSpace(c.Device.Vendor + " " + c.Device.Model), c.Device.Serial, c.Device.Firmware, fmt.Sprintf("%d ps", c.Device.ResolutionPs), kind})
			programs = append(programs, []string{node + "." + name, c.Driver, c.Version, confinedText(c.Confined, c.Unconfined), c.SHA256})
			for _, g := range c.Realtime {
				got := "granted"
				if !g.Granted {
					got = "refused: " + strings.TrimSpace(g.Errno+" "+g.Why) + "; " + g.Remedy
				}
				grants = append(grants, []string{node + "." + name, grantText(g), got})
			}
		}
		for _, name := range slices.Sorted(maps.Keys(n.Sinks)) {
			s := n.Sinks[name]
			programs = append(programs, []string{node + "." + name, s.Sink, s.Version, confinedText(s.Confined, s.Unconfined), s.SHA256})
		}
	}
	for _, s := range p.m.ResultSinks {
		programs = append(programs, []string{s.Sink + " of results", s.Plugin, s.Version, confinedText(s.Confined, s.Unconfined), s.SHA256})
	}
	p.rows([]string{"controller", "device", "serial", "firmware", "#resolution", "kind"}, devices)
	p.rows([]string{"where", "program", "version", "note", "~SHA-256"}, programs)
	p.rows([]string{"controller", "privilege", "answer"}, grants)
	p.para("", "The master was tsrun "+cmp.Or(p.m.Tsrun, "of an unknown version")+".")
}

func confinedText(confined bool, why string) string {
	if confined {
		return "wrote to its own places only"
	}
	if why != "" {
		return "not confined: " + why
	}
	return ""
}

// maxRecipe is how much of a recipe's file is shown.
const maxRecipe = 64 << 10

// recipe shows the recipe as it was given, with its comments.
func (p *page) recipe() {
	g := p.m.Recipe.Git
	words := "not of a commit"
	switch {
	case g.Commit != "" && g.Dirty:
		words = "commit " + g.Commit + ", with changes that are in no commit"
	case g.Commit != "":
		words = "commit " + g.Commit
	}
	if g.Note != "" {
		words += " (" + g.Note + ")"
	}
	p.para("mono", strings.TrimSpace(cmp.Or(g.Path, p.m.Recipe.File)+": "+words))
	for _, set := range p.m.Recipe.Overrides {
		p.para("mono", "--set "+set)
	}
	shown := 0
	for _, f := range p.m.Recipe.Files {
		in, err := run.OpenFile(p.dir, f.File)
		if err != nil {
			p.para("", fmt.Sprintf("%s cannot be read: %v", f.File, err))
			continue
		}
		lines, err := io.ReadAll(io.LimitReader(in, int64(max(0, maxRecipe-shown))))
		in.Close()
		shown += len(lines)
		p.heading(f.File)
		p.code(string(lines))
		if err != nil || shown >= maxRecipe {
			p.para("", "There is more of it in the directory of the run.")
			return
		}
	}
	if len(p.m.Recipe.Files) == 0 {
		p.para("", "No file of it is known.")
	}
}

// repeat says how to do the run again.
func (p *page) repeat() {
	if p.m.Recipe.Repeats == "" {
		p.para("", "The directory has no recipe that repeats the run.")
		return
	}
	p.para("", "The same recipe, with parents, variables and all --set folded in, from this directory:")
	p.code("tsrun " + p.m.Recipe.Repeats + "\n")
}
