package recipe

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// allResults, of a sink that takes it, are those of every stage.
const allResults = "results"

// ResultSink is a sink that takes what stages have found: the master's business, at the
// end of a run.
type ResultSink struct {
	Name   string          `json:"name"`
	Sink   string          `json:"sink"`   // plugin
	Stages []string        `json:"stages"` // names of stages, or results
	Config json.RawMessage `json:"config"`
}

// Takes says whether the sink takes what a stage has found.
func (s ResultSink) Takes(stage string) bool {
	return slices.Contains(s.Stages, allResults) || slices.Contains(s.Stages, stage)
}

// ofResults says whether what a sink takes are no channels but names of stages.
func ofResults(takes []string) bool {
	return len(takes) > 0 && !slices.ContainsFunc(takes, func(name string) bool { return name == merged || strings.Contains(name, ".") })
}

// takesResults is ofResults of a sink as it is written.
func takesResults(sink *value) bool {
	takes := sink.get("takes")
	if takes == nil {
		return false
	}
	if takes.kind == scalarNode {
		return ofResults([]string{takes.text})
	}
	var names []string
	for _, item := range takes.items {
		names = append(names, item.text)
	}
	return ofResults(names)
}

// resultSinks checks the sinks of what stages find.
func (j *judgement) resultSinks() {
	for _, s := range j.r.ResultSinks {
		path := "sinks." + s.Name
		if j.holes(path) {
			continue
		}
		if j.c.values[path+".at"].word() != "source" {
			j.fail(path+".at", codeConflict, "stages are executed by the master, and what they find is written there", "leave at out")
		}
		if j.c.values[path+".feeds"] != nil {
			j.fail(path+".feeds", codeConflict, "stages read tags, and this sink takes what they find", "leave feeds out")
		}
		for i, name := range s.Stages {
			at := index(path+".takes", i)
			if j.c.values[at] == nil { // it stands without brackets
				at = path + ".takes"
			}
			switch {
			case slices.Index(s.Stages, name) < i:
				j.fail(at, codeDuplicate, fmt.Sprintf("%s is taken twice", name), "remove one")
			case name == allResults || isStage(j.r.Stages, name) || j.holes("pipeline"):
			default:
				j.fail(at, codeUnknownName, fmt.Sprintf("no stage is named %q", name), didOr(name, append([]string{allResults}, j.stageNames()...))+"; a channel is written node.channel")
			}
		}
		if len(j.r.Stages) == 0 && slices.Contains(s.Stages, allResults) && !j.holes("pipeline") {
			j.fail(path+".takes", codeConflict, "the recipe has no stages, so nothing is found that this sink could take", "add a pipeline, or remove the sink")
		}
	}
}

func (j *judgement) stageNames() (names []string) {
	for _, s := range j.r.Stages {
		names = append(names, s.Name)
	}
	return names
}

func isStage(stages []Stage, name string) bool {
	return name != "" && slices.ContainsFunc(stages, func(s Stage) bool { return s.Name == name })
}

// results checks the plugins of sinks that take what stages find, and their configs.
func (p *pluginChecker) results(r *Recipe) {
	for _, s := range r.ResultSinks {
		section := "sinks." + s.Name
		if offer := p.plugins.sink(s.Sink); offer != nil && offer.Results == nil {
			p.c.fail(p.c.place(section+".sink", false), section+".sink", codeConflict, fmt.Sprintf("plugin %s takes tags of channels, and not what stages find", s.Sink),
				"name one that says it takes results, such as sink-file, or let it take channels")
			continue
		}
		p.check(section, use{role: "sink", name: s.Sink, config: s.Config, takes: allResults})
	}
}
