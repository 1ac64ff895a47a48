package recipe

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"tsrun/sdk"
)

// checkPlugins compares each config with the schema of the plugin that it is
// for. What it cannot check, because the plugin lives on another PC, is noted.
func checkPlugins(c *checker, r *Recipe, stages stageConfigs, plugins *plugins) (notes Problems) {
	p := &pluginChecker{c: c, plugins: plugins, compared: map[string]bool{}, request: sdk.CheckRequest{
		Hardware:   r.Trigger.Method == "hardware",
		DurationNs: r.Acquire.Duration.Duration().Nanoseconds(),
		SegmentNs:  r.Acquire.Segment.Duration().Nanoseconds(),
	}}
	p.thresholds(r)
	if plugins.catalog == nil {
		return nil
	}
	for _, n := range r.Nodes {
		for _, controller := range n.Controllers {
			path := "nodes." + n.Name + ".controllers." + controller.Name
			channels := p.channels(n, func(c Channel) bool { return c.Controller == controller.Name })
			use := use{role: "driver", name: controller.Driver, config: controller.Config, elsewhere: n.Host == "remote", channels: channels, node: n.Name}
			if p.plugins.simulators(n.Name)[controller.Driver] != nil && r.Simulate != nil && !c.holes("simulate."+n.Name) {
				use.simulation = r.Simulate.Nodes[n.Name]
			}
			p.check(path, use)
		}
	}
	p.shared(r)
	for _, sink := range r.Sinks {
		at := func(n Node) bool { return sink.At == n.Name || sink.At == "source" }
		remote := slices.ContainsFunc(r.Nodes, func(n Node) bool { return n.Host == "remote" && at(n) })
		local := slices.ContainsFunc(r.Nodes, func(n Node) bool { return n.Host == "local" && at(n) })
		var channels []sdk.CheckChannel
		for _, n := range r.Nodes {
			if at(n) && len(channels) == 0 { // one node's are enough to judge a config
				channels = p.channels(n, func(c Channel) bool { return sink.Keeps(n.Name + "." + c.Name) })
			}
		}
		p.check("sinks."+sink.Name, use{role: "sink", name: sink.Sink, config: sink.Config, elsewhere: remote && !local, channels: channels})
	}
	p.results(r)
	p.merged(r)
	p.keptInFiles(r, stages)
	return p.notes
}

// keptInFiles checks that what stages read is kept in files of tags, as far as
// the plugins of the sinks say what they keep.
func (p *pluginChecker) keptInFiles(r *Recipe, stages stageConfigs) {
	keeps := map[string]sdk.Keeps{}
	for _, sink := range r.Sinks {
		offer := p.plugins.sink(sink.Sink)
		if offer == nil {
			continue // reported, or on another PC
		}
		keeps[sink.Name] = offer.Keeps
		if path := "sinks." + sink.Name + ".feeds"; sink.Feeds != "" && offer.Keeps != "" && offer.Keeps != sdk.AllTags {
			p.c.fail(p.c.place(path, false), path, codeConflict, fmt.Sprintf("plugin %s keeps no files of tags that stages could read", sink.Sink), "let a sink feed them that does, such as sink-file")
		}
	}
	for i, stage := range stages {
		for _, use := range stage.channels() {
			path := index("pipeline", i) + ".config." + use.Key
			var others []string
			unknown := p.c.broken[path]
			for _, name := range r.Sources(use.Channel) {
				switch keeps[name] {
				case "", sdk.AllTags:
					unknown = true // or fine
				default:
					others = append(others, name)
				}
			}
			if !unknown && others != nil {
				p.c.fail(p.c.place(path, false), path, codeConflict, fmt.Sprintf("no sink keeps files of the tags of %s: they go to %s", use.Channel, strings.Join(others, ", ")), "stages read files of tags: add a sink that keeps them, such as {sink: sink-file}")
			}
		}
	}
}

// channels are those channels of a node that can be read.
func (p *pluginChecker) channels(n Node, takes func(Channel) bool) (channels []sdk.CheckChannel) {
	for _, c := range n.Channels {
		path := "nodes." + n.Name + ".channels." + c.Name
		readable := p.c.values[path+".on"] != nil && !p.c.broken[path+".threshold"] &&
			p.c.values[path+".edge"] != nil && p.c.values[path+".delay"] != nil
		if readable && takes(c) {
			channels = append(channels, sdk.CheckChannel{Name: c.Name, Input: c.Input, ThresholdUv: c.Microvolts(),
				Falling: c.Edge == "falling", DelayPs: int64(c.Delay)})
		}
	}
	return channels
}

type pluginChecker struct {
	c        *checker
	plugins  *plugins
	request  sdk.CheckRequest // what all plugins are asked
	notes    Problems
	compared map[string]bool // simulations with a schema, by node and plugin
}

func (p *pluginChecker) note(path, message, hint string) {
	p.notes = append(p.notes, p.c.place(path, false).problem(path, codePlugin, message, hint))
}

// use is what a recipe wants of a plugin.
type use struct {
	role, name         string // role is "driver" or "sink"
	config, simulation []byte // simulation is nil where there is none, or it has mistakes
	elsewhere          bool   // on another PC
	channels           []sdk.CheckChannel
	node               string // of a driver
	takes              string // of a sink: "results", what stages find; "merged", the tags of all nodes
}

// check judges one plugin, its config and the channels that it is for.
func (p *pluginChecker) check(section string, u use) {
	path := section + "." + u.role
	if p.c.broken[path] || u.name == "" {
		return
	}
	plugin, err := p.plugins.find(u.name)
	if err != nil && u.elsewhere {
		p.note(path, fmt.Sprintf("plugin %s is not on this PC: its config is checked where it runs", u.name), "")
		return
	}
	at := p.c.place(path, false)
	if err != nil {
		message, hint := splitAdvice(err)
		p.c.fail(at, path, codePlugin, message, hint)
		return
	}
	offer := plugin.Driver
	if u.role == "sink" {
		offer = plugin.Sink
	}
	if taken := takenBy(offer, u.takes); taken != nil {
		offer = &sdk.Offer{Name: offer.Name, Schema: taken.Schema}
	}
	switch {
	case plugin.Undescribed:
		p.note(path, fmt.Sprintf("nothing describes plugin %s: its config is checked when it starts", u.name), "")
	case offer == nil:
		p.c.fail(at, path, codeWrongKind, fmt.Sprintf("plugin %s is not a %s", u.name, u.role), "name a plugin that is one")
	default:
		p.schemas(section, path, offer, u)
	}
	if offer != nil && plugin.Check != nil {
		p.ask(section, path, plugin, u)
	}
	if offer != nil && !u.elsewhere {
		p.files(offer.Schema, section+".config")
		if u.simulation != nil {
			p.files(offer.Simulation.Schema, "simulate."+u.node)
		}
	}
}

// files checks that the files to read that a config names are there.
func (p *pluginChecker) files(schema []byte, path string) {
	filesIn(schema, p.c.values[path], func(v *value, title string) {
		if info, err := os.Stat(v.text); !p.c.broken[v.path] && (err != nil || !info.Mode().IsRegular()) {
			p.c.fail(v.at, v.path, codeValue, fmt.Sprintf("no %s at %s", title, v.node.text), "the name is relative to the file it is written in")
		}
	})
}

// schemas compares config and simulation with the plugin's schemas.
func (p *pluginChecker) schemas(section, path string, offer *sdk.Offer, u use) {
	compare := func(section string, schema, config []byte) {
		if p.c.broken[section] {
			return
		}
		if err := p.config(section, schema, config); err != nil {
			p.c.fail(p.c.place(path, false), path, codePlugin, fmt.Sprintf("read schema of plugin %s: %v", u.name, err), "build the plugin again")
		}
	}
	compare(section+".config", offer.Schema, u.config)
	if u.simulation != nil && !p.compared[u.node+" "+u.name] {
		p.compared[u.node+" "+u.name] = true
		compare("simulate."+u.node, offer.Simulation.Schema, u.simulation)
	}
}

// ask lets the plugin find what its schemas do not tell.
func (p *pluginChecker) ask(section, path string, plugin Plugin, u use) {
	request := p.request
	request.Config, request.Channels = u.config, u.channels
	if request.Driver = u.name; u.role == "sink" {
		request.Driver, request.Sink, request.Results, request.Merged = "", u.name, u.takes == allResults, u.takes == merged
	}
	wholeConfig := !p.c.holes(section + ".config")
	if !wholeConfig { // its channels can be judged all the same
		request.Config = []byte("{}")
	}
	if u.simulation != nil && !p.c.holes("simulate."+u.node) {
		request.Simulation = u.simulation
	}
	mistakes, err := plugin.Check(request)
	if err != nil {
		p.note(path, fmt.Sprintf("plugin %s did not check its config, which is done when it starts: %v", u.name, err), "")
	}
	for _, m := range mistakes {
		p.mistake(section, u.node, m, wholeConfig)
	}
}

// mistake places what a plugin's own check found.
func (p *pluginChecker) mistake(section, node string, m sdk.CheckMistake, wholeConfig bool) {
	below, inSimulation := strings.CutPrefix(m.Field, "simulate.")
	if path := "nodes." + node + "." + m.Field; node != "" && strings.HasPrefix(m.Field, "channels.") && p.c.values[path] != nil {
		if !p.c.broken[path] { // else something was said already
			p.c.fail(p.c.place(path, false), path, codeConfig, m.Message, m.Hint)
		}
	} else if node != "" && (inSimulation || m.Field == "simulate") {
		path := "simulate." + node
		if inSimulation {
			path = join(path, below)
		}
		if !p.c.broken[path] { // else another controller of the node has said so
			p.c.fail(p.c.place(path, !inSimulation), path, codeValue, m.Message, m.Hint)
		}
	} else if wholeConfig {
		path := join(section+".config", m.Field)
		p.c.fail(p.c.place(path, false), path, codeConfig, m.Message, m.Hint)
	}
}

// thresholds checks that each channel has one where its controller has
// thresholds, and none where the controller has none.
func (p *pluginChecker) thresholds(r *Recipe) {
	for _, n := range r.Nodes {
		for _, c := range n.Channels {
			channel := "nodes." + n.Name + ".channels." + c.Name
			path := channel + ".threshold"
			if p.c.broken[path] {
				continue
			}
			switch needed, refused := p.needsThreshold(n, c.Controller); {
			case c.Threshold == nil && needed:
				p.c.fail(p.c.place(channel, true), path, codeMissing, `missing key "threshold"`, whatFor(key("nodes.NODE.channels.CHANNEL.threshold")))
			case c.Threshold != nil && refused:
				p.c.fail(p.c.place(path, false), path, codeUnused, fmt.Sprintf("the inputs of controller %s have no thresholds", c.Controller), "remove it")
			}
		}
	}
}

// needsThreshold says whether the channels of a controller need a threshold, or
// may have none. What the plugin of another PC says is judged there.
func (p *pluginChecker) needsThreshold(n Node, controller string) (needed, refused bool) {
	for _, c := range n.Controllers {
		if c.Name != controller {
			continue
		}
		plugin := p.plugins.known(c.Driver)
		if plugin.Driver != nil {
			return !plugin.Driver.NoThresholds, plugin.Driver.NoThresholds
		}
		return n.Host != "remote" && !plugin.Undescribed, false
	}
	return true, false
}

// shared checks the keys of the simulation that must say the same at each node.
func (p *pluginChecker) shared(r *Recipe) {
	type said struct{ node, value string }
	first := map[string]said{}
	for _, n := range r.Nodes {
		for _, offer := range p.plugins.simulators(n.Name) {
			var schema struct {
				Properties map[string]struct {
					Title  string `json:"title"`
					Shared bool   `json:"shared"`
				} `json:"properties"`
			}
			if json.Unmarshal(offer.Simulation.Schema, &schema) != nil {
				continue // said already
			}
			for key, about := range schema.Properties {
				path := "simulate." + n.Name + "." + key
				v := p.c.values[path]
				if !about.Shared || v == nil || p.c.broken[path] {
					continue
				}
				one, title := first[key], cmp.Or(about.Title, key)
				switch {
				case one.node == "":
					first[key] = said{n.Name, v.text}
				case one.value != v.text:
					p.c.fail(p.c.place(path, false), path, codeConflict, fmt.Sprintf("node %s is on another %s, %s", one.node, title, one.value), "write the same for both")
				}
			}
		}
	}
}

// config places the mistakes of one config. The error is about the schema.
func (p *pluginChecker) config(path string, schema, config []byte) error {
	mistakes, err := CheckConfig(schema, config)
	for _, m := range mistakes {
		section := join(path, m.Path)
		full := join(section, m.Key)
		p.c.fail(p.c.place(full, m.Key != ""), full, m.Code, m.Message, m.Hint)
	}
	return err
}
