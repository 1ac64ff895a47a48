package recipe

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
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

// Plugin is what a recipe needs to know about one.
type Plugin struct {
	Driver, Sink *sdk.Offer // nil: a role that the plugin does not have
	Undescribed  bool       // nothing is known but that it is there
	// Check finds mistakes that the schema does not tell, without any effect;
	// nil: the plugin cannot. The error says why it has no answer.
	Check func(sdk.CheckRequest) ([]sdk.CheckMistake, error)
}

// plugins are those that a recipe names, each looked up once, and what they say
// of its controllers.
type plugins struct {
	catalog Catalog // nil: nothing is known of any
	found   map[string]found
	nodes   map[string]*simulators
}

type found struct {
	plugin Plugin
	err    error
}

// simulators are the controllers of a node that their plugins simulate.
type simulators struct {
	offers  map[string]*sdk.Offer // those drivers, by the name of the plugin
	could   sdk.When              // what would make another simulated; nil: nothing
	unknown bool                  // some plugin is not known here, or its config has a mistake
}

func newPlugins(catalog Catalog) *plugins {
	return &plugins{catalog: catalog, found: map[string]found{}, nodes: map[string]*simulators{}}
}

// find looks a plugin up.
func (p *plugins) find(name string) (Plugin, error) {
	f, known := p.found[name]
	if !known {
		f.plugin, f.err = p.catalog.Plugin(name)
		p.found[name] = f
	}
	return f.plugin, f.err
}

// driver and sink return what is known of one; nil: nothing.
func (p *plugins) driver(name string) *sdk.Offer { return p.known(name).Driver }
func (p *plugins) sink(name string) *sdk.Offer   { return p.known(name).Sink }

func (p *plugins) known(name string) Plugin {
	if p.catalog == nil || name == "" {
		return Plugin{}
	}
	plugin, err := p.find(name)
	if err != nil {
		return Plugin{}
	}
	return plugin
}

// simulators are the drivers that simulate controllers of a node, by name.
func (p *plugins) simulators(node string) map[string]*sdk.Offer {
	if s := p.nodes[node]; s != nil {
		return s.offers
	}
	return nil
}

// simulate asks the plugins of a node whether they simulate their controllers,
// and reports whether any does.
func (p *plugins) simulate(name string, n *node) bool {
	s := &simulators{offers: map[string]*sdk.Offer{}}
	p.nodes[name] = s
	controllers := n.get("controllers")
	if controllers == nil {
		return false
	}
	for _, e := range controllers.entries {
		driver := ""
		if d := e.value.get("driver"); d != nil {
			driver = d.text
		}
		offer, config := p.driver(driver), configOf(e.value)
		switch {
		case offer == nil || config == nil:
			s.unknown = true
		case offer.Simulated(config):
			s.offers[driver] = offer
		case offer.Simulation != nil:
			s.could = offer.Simulation.When
		}
	}
	return len(s.offers) > 0
}

// configOf is the config of a controller as its plugin gets it; nil: it has a
// mistake.
func configOf(controller *node) json.RawMessage {
	config := controller.get("config")
	if config == nil {
		return json.RawMessage("{}")
	}
	v := newChecker().check(pluginConfig(), config, "config", "config", place{})
	if v == nil {
		return nil
	}
	text, err := json.Marshal(v.json())
	if err != nil {
		return nil
	}
	return text
}

// noneSimulated reports whether a node is known to have no simulated controller,
// and what would make one.
func (p *plugins) noneSimulated(node string) (hint string, none bool) {
	s := p.nodes[node]
	if s == nil || s.unknown || len(s.offers) > 0 {
		return "", false
	}
	if s.could == nil {
		return "remove this section: its plugins simulate none", true
	}
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(s.could)) {
		keys = append(keys, fmt.Sprintf("%s: %v", key, s.could[key]))
	}
	return fmt.Sprintf("write %s in the config of one, or remove this section", strings.Join(keys, ", ")), true
}

// resolveFiles makes whole the names of files in the configs of plugins and in
// the simulation, which their schemas mark with the format "file": they are
// relative to the file that they are written in.
func (p *plugins) resolveFiles(root *value) {
	resolve := func(schema []byte, config *value) {
		filesIn(schema, config, func(v *value, _ string) {
			if !filepath.IsAbs(v.text) && v.at.src != nil {
				v.text = filepath.Join(v.at.src.dir, v.text)
				v.scalar = v.text
			}
		})
	}
	for _, n := range root.get("nodes").each() {
		for _, c := range n.get("controllers").each() {
			if offer := p.driver(c.get("driver").word()); offer != nil {
				resolve(offer.Schema, c.get("config"))
			}
		}
		for _, offer := range p.simulators(n.name) { // one is enough: it is whole then
			resolve(offer.Simulation.Schema, root.get("simulate").get(n.name))
		}
	}
	for _, s := range root.get("sinks").each() {
		switch offer := p.sink(s.get("sink").word()); {
		case offer == nil:
		case takesResults(s):
			if offer.Results != nil {
				resolve(offer.Results.Schema, s.get("config"))
			}
		case takesMerged(s):
			if offer.Merged != nil {
				resolve(offer.Merged.Schema, s.get("config"))
			}
		default:
			resolve(offer.Schema, s.get("config"))
		}
	}
}

// filesIn calls visit for each text of a config that names a file to read, and
// says what its plugin calls it.
func filesIn(schema []byte, config *value, visit func(file *value, title string)) {
	var document any
	if json.Unmarshal(schema, &document) == nil { // else it is said where the config is checked
		eachFile(document, config, visit)
	}
}

func eachFile(schema any, v *value, visit func(*value, string)) {
	about, _ := schema.(map[string]any)
	if v == nil || about == nil {
		return
	}
	if _, isText := v.scalar.(string); isText && v.kind == scalarNode && about["format"] == fileFormat {
		title, _ := about["title"].(string)
		visit(v, cmp.Or(title, "file"))
	}
	known, _ := about["properties"].(map[string]any)
	for _, k := range v.keys {
		eachFile(known[k.name], k, visit)
	}
	for _, item := range v.items {
		eachFile(about["items"], item, visit)
	}
}

// fileFormat marks in a schema a text that names a file to read.
const fileFormat = "file"
