package recipe

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"tsrun/sdk/quantity"
)

// Stage is one step of processing between tags and results. Its JSON form has the
// config under the name of the kind.
type Stage struct {
	Name   string // unique; the stage's kind where the recipe gives none
	Kind   string
	Config json.RawMessage // as the kind reads it
}

// MarshalJSON writes the config under the name of the kind.
func (s Stage) MarshalJSON() ([]byte, error) {
	name, errName := json.Marshal(s.Name)
	kind, errKind := json.Marshal(s.Kind)
	text := fmt.Appendf(nil, `{"name":%s,"stage":%s`, name, kind)
	if s.Config != nil {
		text = fmt.Appendf(text, `,%s:%s`, kind, s.Config)
	}
	return append(text, '}'), errors.Join(errName, errKind)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Stage) UnmarshalJSON(text []byte) error {
	var head struct {
		Name string `json:"name"`
		Kind string `json:"stage"`
	}
	var keys map[string]json.RawMessage
	err := errors.Join(json.Unmarshal(text, &head), json.Unmarshal(text, &keys))
	*s = Stage{head.Name, head.Kind, keys[head.Kind]}
	return err
}

// StageKind is what a recipe knows of a kind of stage. The package that carries
// stages out describes them; see [Options].
type StageKind interface {
	Kind() string     // as a recipe names it
	Fields() []*Field // the keys of its config
	// Config reads a config in JSON, of which keys that were found wrong are left out.
	Config(text json.RawMessage) (StageConfig, error)
}

// StageConfig is the config of one stage.
type StageConfig interface {
	// Uses are the channels that the stage reads.
	Uses() []ChannelUse
	// Check finds what no single key can tell.
	Check(c *StageCheck)
}

// Follower is a [StageConfig] of which clocks are followed while a run goes on.
type Follower interface {
	// Follows are the reference's channel and the target's of each clock.
	Follows(r *Recipe) [][2]string
}

// ChannelUse is one mention of a channel in the config of a stage.
type ChannelUse struct {
	Key     string // "start", "of.0"
	Channel string // "alice.signal"
}

// ChannelUses are the mentions in a list under a key.
func ChannelUses(key string, channels []string) (uses []ChannelUse) {
	for i, name := range channels {
		uses = append(uses, ChannelUse{index(key, i), name})
	}
	return uses
}

// stageConfigs are the configs of a recipe's stages, in order; nil of those that
// were found wrong.
type stageConfigs []stageConfig

type stageConfig struct{ StageConfig }

func (s stageConfig) channels() []ChannelUse {
	if s.StageConfig == nil {
		return nil
	}
	return s.Uses()
}

// readStages reads the configs of stages, and gives each the form that its kind
// writes. As in decode, an error is a defect of the kind.
func readStages(r *Recipe, kinds []StageKind) (configs stageConfigs, err error) {
	for i := range r.Stages {
		s := &r.Stages[i]
		config := stageConfig{}
		if k := slices.IndexFunc(kinds, func(k StageKind) bool { return k.Kind() == s.Kind }); k >= 0 && s.Config != nil {
			if config.StageConfig, err = kinds[k].Config(s.Config); err != nil {
				return nil, err
			}
			if s.Config, err = json.Marshal(config.StageConfig); err != nil {
				return nil, err
			}
		}
		configs = append(configs, config)
	}
	return configs, nil
}

// stagesTable describes the stages of a recipe.
func stagesTable(kinds []StageKind) *Field {
	var names []string
	variants := map[string][]*Field{}
	for _, k := range kinds {
		names = append(names, k.Kind())
		variants[k.Kind()] = k.Fields()
	}
	return &Field{name: "pipeline", shape: shapeList,
		doc: "What is computed from the tags, in this order, once the master has them; raw files are never changed.",
		each: &Field{name: "STAGE", shape: shapeObject, doc: "One step of processing.", keys: []*Field{
			{name: "stage", shape: shapeChoice, required: true, choices: names, doc: "What it does."},
			{name: "name", shape: shapeText, form: stageForm, doc: "What its result is called; the stage where it is left out."},
			{name: "config", shape: shapeVariant, required: true, selector: "stage", variants: variants, doc: "Depends on the stage.",
				encode: func(v *value, into map[string]any) { into[v.variant] = v.json() }},
		}}}
}

// tableWith describes a recipe whose stages are of these kinds.
func tableWith(kinds []StageKind) *Field {
	whole := *table
	whole.keys = slices.Clone(table.keys)
	for i, f := range whole.keys {
		if f.name == "pipeline" {
			whole.keys[i] = stagesTable(kinds)
		}
	}
	return &whole
}

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
		if config := j.stageConfigs[i].StageConfig; config != nil {
			config.Check(&StageCheck{j, path + ".config", clocks})
		}
	}
}

// StageCheck holds the config of a stage against the rest of its recipe. Its
// methods report what is wrong at the keys that they are given.
type StageCheck struct {
	j      *judgement
	path   string
	clocks *clocks
}

func (c *StageCheck) fail(key, code, message, hint string) {
	c.j.fail(join(c.path, key), code, message, hint)
}

// Conflict reports that a key contradicts another.
func (c *StageCheck) Conflict(key, message, hint string) { c.fail(key, codeConflict, message, hint) }

// Missing reports a key that is not there, and is needed.
func (c *StageCheck) Missing(key, message, hint string) { c.fail(key, codeMissing, message, hint) }

// Unsure says that what the stage was meant to connect is not known.
func (c *StageCheck) Unsure() { c.clocks.unsure = true }

// OtherClocks is [Recipe.OtherClocks] of the recipe.
func (c *StageCheck) OtherClocks(channel string) (one []string, several [][]string) {
	return c.j.r.OtherClocks(channel)
}

// WrongValue reports that a key has a value that it cannot have.
func (c *StageCheck) WrongValue(key, message, hint string) { c.fail(key, codeValue, message, hint) }

// Unused reports a name, of the candidates a likely one is proposed for, that
// means nothing here.
func (c *StageCheck) Unused(key, message, got string, candidates []string) {
	c.j.failKey(join(c.path, key), codeUnused, message, didOr(got, candidates))
}

// Broken reports whether anything was already found wrong in the config, or
// below a key of it.
func (c *StageCheck) Broken(key string) bool { return c.j.holes(join(c.path, key)) }

// Duration is for how long the recipe records.
func (c *StageCheck) Duration() quantity.Time { return c.j.r.Acquire.Duration }

// Shots is how many shots are taken.
func (c *StageCheck) Shots() int { return c.j.r.Acquire.Shots() }

// Channels checks that channels exist and differ from each other.
func (c *StageCheck) Channels(uses []ChannelUse) {
	for i, use := range uses {
		if c.channel(use) {
			c.once(uses, i, "name different channels")
		}
	}
}

// Compare checks channels of which a stage subtracts the first from the others:
// they exist, differ, and are of one clock or of clocks that were aligned.
func (c *StageCheck) Compare(uses []ChannelUse) {
	for i, use := range uses[min(1, len(uses)):] {
		if first := slices.IndexFunc(uses, func(u ChannelUse) bool { return u.Channel == use.Channel }); first > 0 && first <= i && use.Channel != "" {
			c.once(uses, i+1, "name different channels")
		} else {
			c.comparable(uses[0], use)
		}
	}
}

// once reports a channel that was named before.
func (c *StageCheck) once(uses []ChannelUse, i int, hint string) {
	name := uses[i].Channel
	if slices.ContainsFunc(uses[:i], func(u ChannelUse) bool { return u.Channel == name }) {
		c.fail(uses[i].Key, codeDuplicate, fmt.Sprintf("%s is named twice", name), hint)
	}
}

func (c *StageCheck) channel(use ChannelUse) bool {
	return c.j.channel(join(c.path, use.Key), use.Channel)
}

func (c *StageCheck) clockOf(use ChannelUse) string { return c.j.channels[use.Channel].controller }

// clocked says whether the controllers of two channels are known. Where the input of one
// was found wrong, nothing can be said of its clock.
func (c *StageCheck) clocked(a, b ChannelUse) bool { return c.clockOf(a) != "" && c.clockOf(b) != "" }

// comparable checks two channels that a stage subtracts from each other.
func (c *StageCheck) comparable(a, b ChannelUse) {
	if c.pair(a, b) && c.clocked(a, b) && !c.clocks.comparable(c.clockOf(a), c.clockOf(b)) {
		c.Conflict(b.Key, fmt.Sprintf("%s and %s are stamped by different clocks", a.Channel, b.Channel),
			fmt.Sprintf("put a stage before this one: {stage: align, config: {reference: %s, target: %s}}", a.Channel, b.Channel))
	}
}

// pair checks two channels and that they differ.
func (c *StageCheck) pair(a, b ChannelUse) bool {
	goodA, goodB := c.channel(a), c.channel(b)
	if !goodA || !goodB {
		return false
	}
	if a.Channel == b.Channel {
		c.Conflict(b.Key, fmt.Sprintf("both channels are %s", a.Channel), "name two different channels")
		return false
	}
	return true
}

// Connect checks the channels of a stage that finds the clock of the targets on
// that of the references: each side is of one controller, and nothing connects
// the two yet. Later stages may compare their channels. It returns whether the
// first of each side may be aligned at all.
func (c *StageCheck) Connect(references, targets []ChannelUse) bool {
	known := c.pair(references[0], targets[0]) && c.clocked(references[0], targets[0])
	c.oneClock(references)
	c.oneClock(targets)
	if !known {
		c.clocks.unsure = true // what it was meant to connect is not known
		return false
	}
	first, second, at := c.clockOf(references[0]), c.clockOf(targets[0]), targets[0].Key
	if first == second {
		c.Conflict(at, "both channels are stamped by one controller, with one clock", "align channels of different controllers")
	} else if c.clocks.aligned(first, second) {
		c.Conflict(at, "these clocks are aligned already, by an earlier stage or target", "remove one of the two")
	}
	c.clocks.join(first, second)
	return true
}

// oneClock checks that several channels, of which the first was checked, differ
// and are of one controller.
func (c *StageCheck) oneClock(uses []ChannelUse) {
	for i, use := range uses[1:] {
		switch {
		case !c.channel(use):
		case slices.ContainsFunc(uses[:i+1], func(o ChannelUse) bool { return o.Channel == use.Channel }):
			c.once(uses, i+1, "remove one")
		case c.clocked(uses[0], use) && c.clockOf(use) != c.clockOf(uses[0]):
			c.Conflict(use.Key, fmt.Sprintf("%s and %s are stamped by different clocks", uses[0].Channel, use.Channel), "name channels of one controller")
		}
	}
}

// OtherClocks are the channels of all controllers but that of the named one: of those
// with a single channel, and of those with several.
func (r *Recipe) OtherClocks(channel string) (one []string, several [][]string) {
	own := ""
	controllers, names := []string{}, map[string][]string{}
	for _, n := range r.Nodes {
		for _, ch := range n.Channels {
			key, name := n.Name+"."+ch.Controller, n.Name+"."+ch.Name
			if name == channel {
				own = key
			}
			if names[key] == nil {
				controllers = append(controllers, key)
			}
			names[key] = append(names[key], name)
		}
	}
	for _, key := range controllers {
		switch {
		case key == own:
		case len(names[key]) == 1:
			one = append(one, names[key][0])
		default:
			several = append(several, names[key])
		}
	}
	return one, several
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
