package recipe

import (
	"bytes"
	"fmt"
	"slices"
)

// stages checks that each stage can use its channels: they exist, and where
// they are stamped by different clocks, an earlier align has found the offset.
func (j *judgement) stages() {
	clocks := newClocks(j.r.Trigger.Method == "hardware")
	names := map[string]int{}
	for i, stage := range j.r.Stages {
		path := index("pipeline", i)
		if first, ok := names[stage.Name]; ok && stage.Name != "" {
			j.fail(path+".name", codeConflict, fmt.Sprintf("stage %d is already named %q", first+1, stage.Name), "give this one another name")
		}
		names[stage.Name] = i
		if j.c.broken[path] || j.c.broken[path+".stage"] || j.c.broken[path+".config"] {
			clocks.unsure = true // it may be meant to find their offset
		}
		config := path + ".config"
		switch {
		case stage.Align != nil:
			j.align(config, stage.Align, clocks)
		case stage.Coincidences != nil:
			j.coincidences(config, stage.Coincidences, clocks)
		case stage.Scan != nil:
			j.compare(config+".start", stage.Scan.Start, config+".stop", stage.Scan.Stop, clocks)
			j.delays(config, stage.Scan)
		case stage.Histogram != nil:
			j.histogram(config, stage.Histogram, clocks)
		case stage.G2 != nil:
			j.g2(config, stage.G2, clocks)
		case stage.Rates != nil:
			j.rates(config, stage.Rates)
		}
	}
}

func (j *judgement) align(path string, a *AlignConfig, clocks *clocks) {
	references, targets := a.Channels()
	referenceAt, target := sides(path+".reference", references), sides(path+".target", targets)
	known := j.pair(referenceAt[0].key, a.Reference, target[0].key, a.Target)
	j.oneClock(referenceAt)
	j.oneClock(target)
	if !known {
		clocks.unsure = true // what it was meant to connect is not known
		return
	}
	if a.By == ByMarkers && len(references)+len(targets) > 2 {
		j.fail(path+".by", codeConflict, "markers are of one channel each", "name one reference and one target")
	}
	first, second := j.channels[a.Reference].controller, j.channels[a.Target].controller
	if first == second {
		j.fail(target[0].key, codeConflict, "both channels are stamped by one controller, with one clock", "align channels of different controllers")
	} else if clocks.aligned(first, second) {
		j.fail(target[0].key, codeConflict, "an earlier stage has already aligned these clocks", "remove one of the two")
	}
	clocks.join(first, second)
}

// oneClock checks that several channels, of which the first was checked, differ
// and are of one controller.
func (j *judgement) oneClock(uses []channelUse) {
	first, known := j.channels[uses[0].name]
	for i, use := range uses[1:] {
		switch {
		case !j.channel(use.key, use.name):
		case slices.ContainsFunc(uses[:i+1], func(o channelUse) bool { return o.name == use.name }):
			j.fail(use.key, codeDuplicate, fmt.Sprintf("%s is named twice", use.name), "remove one")
		case known && j.channels[use.name].controller != first.controller:
			j.fail(use.key, codeConflict, fmt.Sprintf("%s and %s are stamped by different clocks", uses[0].name, use.name), "name channels of one controller")
		}
	}
}

// compare checks two channels that a stage subtracts from each other.
func (j *judgement) compare(pathA, a, pathB, b string, clocks *clocks) {
	if !j.pair(pathA, a, pathB, b) {
		return
	}
	first, second := j.channels[a].controller, j.channels[b].controller
	if !clocks.comparable(first, second) {
		j.fail(pathB, codeConflict, fmt.Sprintf("%s and %s are stamped by different clocks", a, b),
			fmt.Sprintf("put a stage before this one: {stage: align, config: {reference: %s, target: %s}}", a, b))
	}
}

// pair checks two references and that they differ.
func (j *judgement) pair(pathA, a, pathB, b string) bool {
	goodA, goodB := j.channel(pathA, a), j.channel(pathB, b)
	if !goodA || !goodB {
		return false
	}
	if a == b {
		j.fail(pathB, codeConflict, fmt.Sprintf("both channels are %s", a), "name two different channels")
		return false
	}
	return true
}

// clocks knows which controllers' tags may be compared: those of one
// controller, those that aligns connect, and all where one pulse started them.
type clocks struct {
	together bool
	unsure   bool // what connects them was found wrong: any may be meant to be comparable
	parent   map[string]string
}

func newClocks(together bool) *clocks {
	return &clocks{together: together, parent: map[string]string{}}
}

func (c *clocks) root(name string) string {
	for c.parent[name] != "" {
		name = c.parent[name]
	}
	return name
}

func (c *clocks) aligned(a, b string) bool    { return c.root(a) == c.root(b) }
func (c *clocks) comparable(a, b string) bool { return c.together || c.unsure || c.aligned(a, b) }

func (c *clocks) join(a, b string) {
	if a, b = c.root(a), c.root(b); a != b {
		c.parent[b] = a
	}
}

// sinks checks what each sink takes, that no two write the same files, and
// that what the stages need is kept.
func (j *judgement) sinks() {
	for i, sink := range j.r.Sinks {
		path := "sinks." + sink.Name
		if sink.At != "source" && sink.At != "" && !j.known(path+".at", sink.At) {
			continue
		}
		broken := j.holes(path)
		takes := j.taken(path, &sink)
		if broken {
			j.keep(j.channelNames("")) // what it was meant to keep is unknown
			continue
		}
		j.keep(takes)
		for _, other := range j.r.Sinks[:i] {
			if other.Sink == sink.Sink && bytes.Equal(other.Config, sink.Config) && j.overlap(&sink, &other) {
				j.failKey(path, codeConflict, fmt.Sprintf("it would write what sink %q writes", other.Name), "remove one, or let them take different channels")
			}
			if sink.Feeds != "" && other.Feeds != "" && j.overlap(&sink, &other) {
				j.fail(path+".feeds", codeConflict, fmt.Sprintf("sink %q feeds the stages with the same channels", other.Name), "stages read the tags of a channel once: leave it out at one of them")
			}
		}
	}
	for i, stage := range j.r.Stages {
		for _, use := range stage.channels() {
			path := index("pipeline", i) + ".config." + use.key
			if info, ok := j.channels[use.name]; ok && !info.kept && !j.holes("sinks") && !j.c.broken[path] {
				j.fail(path, codeConflict, fmt.Sprintf("no sink keeps %s", use.name), "stages work on kept tags: let a sink take it")
			}
		}
	}
}

// taken lists the channels that reach a sink, and reports what cannot.
func (j *judgement) taken(path string, sink *Sink) []string {
	here := j.channelNames("")
	if sink.At != "source" {
		here = j.channelNames(sink.At)
	}
	if sink.Takes == nil {
		return here
	}
	for i, name := range sink.Takes {
		at := index(path+".takes", i)
		if isStage(j.r.Stages, name) {
			j.fail(at, codeUnsupported, fmt.Sprintf("a sink for the result of stage %q is not supported yet", name), "leave the sink out: results are written to the run directory")
			continue
		}
		if !j.channel(at, name) {
			continue
		}
		if !slices.Contains(here, name) {
			j.fail(at, codeUnused, fmt.Sprintf("%s is not a channel of node %s, where this sink is", name, sink.At), "write at: source, or take a channel of "+sink.At)
		}
		if slices.Index(sink.Takes, name) < i {
			j.fail(at, codeDuplicate, fmt.Sprintf("%s is taken twice", name), "remove one")
		}
	}
	return sink.Takes
}

func isStage(stages []Stage, name string) bool {
	return name != "" && slices.ContainsFunc(stages, func(s Stage) bool { return s.Name == name })
}

func (j *judgement) keep(names []string) {
	for _, name := range names {
		if info, ok := j.channels[name]; ok {
			info.kept = true
			j.channels[name] = info
		}
	}
}

// overlap reports whether two sinks take a channel both.
func (j *judgement) overlap(a, b *Sink) bool {
	takes := func(s *Sink, name string) bool {
		at := s.At == "source" || j.channels[name].node == s.At
		return at && (s.Takes == nil || slices.Contains(s.Takes, name))
	}
	return slices.ContainsFunc(j.channelNames(""), func(name string) bool { return takes(a, name) && takes(b, name) })
}

func (j *judgement) expect() {
	for _, e := range j.r.Expect {
		path := "expect." + e.Channel
		if !j.channel(path, e.Channel) || j.holes(path) {
			continue
		}
		switch {
		case e.RateMin == nil && e.RateMax == nil:
			j.failKey(path+".rate", codeMissing, "no bound", "write rate: {min: 1 kHz}, {max: 1 MHz} or both")
		case e.RateMin != nil && e.RateMax != nil && *e.RateMin > *e.RateMax:
			j.fail(path+".rate.min", codeConflict, fmt.Sprintf("the lowest rate %s is above the highest, %s", *e.RateMin, *e.RateMax), "swap them")
		}
	}
}

// simulate checks the names of the simulation against the nodes: only nodes with
// simulated controllers have one.
func (j *judgement) simulate() {
	if j.r.Simulate == nil {
		return
	}
	for name := range j.r.Simulate.Nodes {
		path := "simulate." + name
		switch {
		case slices.Contains(j.nodes, name):
			if hint, none := j.plugins.noneSimulated(name); none {
				j.failKey(path, codeUnused, fmt.Sprintf("node %s has no simulated controller", name), hint)
			}
		case !j.misnamed("nodes"):
			j.c.forget(path) // what stands in it was meant otherwise
			j.failKey(path, codeUnknownName, fmt.Sprintf("no node is named %q", name), didOr(name, append(names(simulateTable.keys), j.nodes...)))
		}
	}
}
