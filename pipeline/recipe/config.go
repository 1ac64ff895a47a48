package recipe

import (
	"fmt"
	"slices"
	"strings"

	"tsrun/sdk"
)

// Catalog knows the plugins that are installed, without starting any.
type Catalog interface {
	// Plugin returns what is known about a plugin. The error of an unknown one
	// says where it was looked for and, after a semicolon, what to do.
	Plugin(name string) (Plugin, error)
}

// Plugin is what a recipe needs to know about one. A nil schema is a role that
// the plugin does not have.
type Plugin struct {
	Driver, Sink []byte    // JSON Schema of its config
	Keeps        sdk.Keeps // of a sink: what becomes of the tags; "": not said
	Undescribed  bool      // nothing is known but that it is there
	// Check finds mistakes that the schema does not tell, without any effect;
	// nil: the plugin cannot. The error says why it has no answer.
	Check func(sdk.CheckRequest) ([]sdk.CheckMistake, error)
}

// checkPlugins compares each config with the schema of the plugin that it is
// for. What it cannot check, because the plugin lives on another PC, is noted.
func checkPlugins(c *checker, r *Recipe, catalog Catalog) (notes Problems) {
	if catalog == nil {
		return nil
	}
	p := &pluginChecker{c: c, catalog: catalog, request: sdk.CheckRequest{
		Hardware:   r.Trigger.Method == "hardware",
		DurationNs: r.Acquire.Duration.Duration().Nanoseconds(),
		SegmentNs:  r.Acquire.Segment.Duration().Nanoseconds(),
	}}
	for _, n := range r.Nodes {
		for _, controller := range n.Controllers {
			path := "nodes." + n.Name + ".controllers." + controller.Name
			channels := p.channels(n, func(c Channel) bool { return c.Controller == controller.Name })
			p.check(path, "driver", controller.Driver, controller.Config, n.Host == "remote", channels, "nodes."+n.Name)
		}
	}
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
		p.check("sinks."+sink.Name, "sink", sink.Sink, sink.Config, remote && !local, channels, "")
	}
	p.keptInFiles(r)
	return p.notes
}

// keptInFiles checks that what stages read is kept in files of tags, as far as
// the plugins of the sinks say what they keep.
func (p *pluginChecker) keptInFiles(r *Recipe) {
	keeps := map[string]sdk.Keeps{}
	for _, sink := range r.Sinks {
		plugin, err := p.catalog.Plugin(sink.Sink)
		if err != nil {
			continue // reported, or on another PC
		}
		keeps[sink.Name] = plugin.Keeps
		if path := "sinks." + sink.Name + ".feeds"; sink.Feeds != "" && plugin.Keeps != "" && plugin.Keeps != sdk.AllTags {
			p.c.fail(p.c.place(path, false), path, codeConflict, fmt.Sprintf("plugin %s keeps no files of tags that stages could read", sink.Sink), "let a sink feed them that does, such as sink-file")
		}
	}
	for i, stage := range r.Stages {
		for _, use := range stage.channels() {
			path := index("pipeline", i) + ".config." + use.key
			var others []string
			unknown := p.c.broken[path]
			for _, name := range r.Sources(use.name) {
				switch keeps[name] {
				case "", sdk.AllTags:
					unknown = true // or fine
				default:
					others = append(others, name)
				}
			}
			if !unknown && others != nil {
				p.c.fail(p.c.place(path, false), path, codeConflict, fmt.Sprintf("no sink keeps files of the tags of %s: they go to %s", use.name, strings.Join(others, ", ")), "stages read files of tags: add a sink that keeps them, such as {sink: sink-file}")
			}
		}
	}
}

// channels are those channels of a node that can be read.
func (p *pluginChecker) channels(n Node, takes func(Channel) bool) (channels []sdk.CheckChannel) {
	for _, c := range n.Channels {
		path := "nodes." + n.Name + ".channels." + c.Name
		readable := p.c.values[path+".on"] != nil && p.c.values[path+".threshold"] != nil &&
			p.c.values[path+".edge"] != nil && p.c.values[path+".delay"] != nil
		if readable && takes(c) {
			channels = append(channels, sdk.CheckChannel{Name: c.Name, Input: c.Input, ThresholdUv: int64(c.Threshold),
				Falling: c.Edge == "falling", DelayPs: int64(c.Delay)})
		}
	}
	return channels
}

type pluginChecker struct {
	c       *checker
	catalog Catalog
	request sdk.CheckRequest // what all plugins are asked
	notes   Problems
}

func (p *pluginChecker) note(path, message, hint string) {
	p.notes = append(p.notes, p.c.place(path, false).problem(path, codePlugin, message, hint))
}

// check judges one plugin, its config and the channels that it is for, which
// stand in the section of a node; role is "driver" or "sink".
func (p *pluginChecker) check(section, role, name string, config []byte, elsewhere bool, channels []sdk.CheckChannel, node string) {
	path := section + "." + role
	if p.c.broken[path] || name == "" {
		return
	}
	plugin, err := p.catalog.Plugin(name)
	if err != nil && elsewhere {
		p.note(path, fmt.Sprintf("plugin %s is not on this PC: its config is checked where it runs", name), "")
		return
	}
	at := p.c.place(path, false)
	if err != nil {
		message, hint := splitAdvice(err)
		p.c.fail(at, path, codePlugin, message, hint)
		return
	}
	schema := plugin.Driver
	if role == "sink" {
		schema = plugin.Sink
	}
	switch {
	case plugin.Undescribed:
		p.note(path, fmt.Sprintf("nothing describes plugin %s: its config is checked when it starts", name), "")
	case schema == nil:
		p.c.fail(at, path, codeWrongKind, fmt.Sprintf("plugin %s is not a %s", name, role), "name a plugin that is one")
	case !p.c.broken[section+".config"]:
		if err := p.config(section+".config", schema, config); err != nil {
			p.c.fail(at, path, codePlugin, fmt.Sprintf("read schema of plugin %s: %v", name, err), "build the plugin again")
		}
	}
	if schema == nil || plugin.Check == nil {
		return
	}
	request := p.request
	request.Config, request.Channels = config, channels
	if request.Driver = name; role == "sink" {
		request.Driver, request.Sink = "", name
	}
	wholeConfig := !p.c.holes(section + ".config")
	if !wholeConfig { // its channels can be judged all the same
		request.Config = []byte("{}")
	}
	mistakes, err := plugin.Check(request)
	if err != nil {
		p.note(path, fmt.Sprintf("plugin %s did not check its config, which is done when it starts: %v", name, err), "")
	}
	for _, m := range mistakes {
		p.mistake(section, node, m, wholeConfig)
	}
}

// mistake places what a plugin's own check found.
func (p *pluginChecker) mistake(section, node string, m sdk.CheckMistake, wholeConfig bool) {
	if path := node + "." + m.Field; node != "" && strings.HasPrefix(m.Field, "channels.") && p.c.values[path] != nil {
		if !p.c.broken[path] { // else something was said already
			p.c.fail(p.c.place(path, false), path, codeConfig, m.Message, m.Hint)
		}
	} else if wholeConfig {
		path := join(section+".config", m.Field)
		p.c.fail(p.c.place(path, false), path, codeConfig, m.Message, m.Hint)
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
