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
}

// checkPlugins compares each config with the schema of the plugin that it is
// for. What it cannot check, because the plugin lives on another PC, is noted.
func checkPlugins(c *checker, r *Recipe, catalog Catalog) (notes Problems) {
	if catalog == nil {
		return nil
	}
	p := &pluginChecker{c: c, catalog: catalog}
	for _, n := range r.Nodes {
		for _, controller := range n.Controllers {
			path := "nodes." + n.Name + ".controllers." + controller.Name
			p.check(path, "driver", controller.Driver, controller.Config, n.Host == "remote")
		}
	}
	for _, sink := range r.Sinks {
		remote := slices.ContainsFunc(r.Nodes, func(n Node) bool {
			return n.Host == "remote" && (sink.At == n.Name || sink.At == "source")
		})
		local := slices.ContainsFunc(r.Nodes, func(n Node) bool {
			return n.Host == "local" && (sink.At == n.Name || sink.At == "source")
		})
		p.check("sinks."+sink.Name, "sink", sink.Sink, sink.Config, remote && !local)
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

type pluginChecker struct {
	c       *checker
	catalog Catalog
	notes   Problems
}

func (p *pluginChecker) note(path, message, hint string) {
	p.notes = append(p.notes, p.c.place(path, false).problem(path, codePlugin, message, hint))
}

// check judges one plugin and its config; role is "driver" or "sink".
func (p *pluginChecker) check(section, role, name string, config []byte, elsewhere bool) {
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
