package recipe

import (
	"bytes"
	"fmt"
	"slices"
)

// sinks checks what each sink takes, that no two write the same files, and
// that what the stages need is kept.
func (j *judgement) sinks() {
	for i, sink := range j.r.Sinks {
		path := "sinks." + sink.Name
		if sink.At != "source" && sink.At != "" && !j.known(path+".at", sink.At) {
			continue
		}
		if sink.Sink == liveSink {
			j.liveMistaken(path, &sink)
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
	for i, stage := range j.stageConfigs {
		for _, use := range stage.channels() {
			path := index("pipeline", i) + ".config." + use.Key
			if info, ok := j.channels[use.Channel]; ok && !info.kept && !j.holes("sinks") && !j.c.broken[path] {
				j.fail(path, codeConflict, fmt.Sprintf("no sink keeps %s", use.Channel), "stages work on kept tags: let a sink take it")
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
		if j.c.values[at] == nil { // it stands without brackets
			at = path + ".takes"
		}
		if name == merged {
			j.fail(at, codeConflict, "merged is the tags of all nodes, and the others are channels", "let one sink take channels, and another merged")
			continue
		}
		if name == allResults || isStage(j.r.Stages, name) {
			j.fail(at, codeConflict, fmt.Sprintf("%s is what stages find, and the others are channels", name), "let one sink take channels, and another results")
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
