package stage

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"tsrun/pipeline/align"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// How align finds a clock.
const (
	ByPairs   = "pairs"
	ByMarkers = "markers"
)

// AlignConfig finds target's clock against reference's: B minus A with A the
// reference. What it finds corrects every later stage.
type AlignConfig struct {
	Reference  string         `json:"reference"`            // "alice.signal"
	References []string       `json:"references,omitempty"` // all channels, where there are several; the first is Reference
	Target     string         `json:"target,omitempty"`
	Targets    []string       `json:"targets,omitempty"` // all channels of the target's controller
	Others     []string       `json:"others,omitempty"`  // instead of a target: a channel of each controller whose clock is found, or "all"
	By         string         `json:"by"`                // ByPairs or ByMarkers
	Search     quantity.Time  `json:"search"`            // the offset lies within plus or minus this
	MaxDrift   quantity.Drift `json:"max_drift"`         // and the frequencies differ by at most this
	Over
}

// Channels are all channels of the reference and of the target.
func (c AlignConfig) Channels() (references, targets []string) {
	references, targets = c.References, c.Targets
	if len(references) == 0 {
		references = []string{c.Reference}
	}
	if len(targets) == 0 {
		targets = []string{c.Target}
	}
	return references, targets
}

// Uses are all channels.
func (c AlignConfig) Uses() []recipe.ChannelUse {
	if c.Several() {
		uses := []recipe.ChannelUse{{Key: "reference", Channel: c.Reference}}
		if !slices.Equal(c.Others, []string{all}) {
			uses = append(uses, recipe.ChannelUses("targets", c.Others)...)
		}
		return uses
	}
	references, targets := c.sides()
	return append(references, targets...)
}

// sides are the channels of the reference and of the target: a lone one stands
// without a list.
func (c AlignConfig) sides() (references, targets []recipe.ChannelUse) {
	side := func(key string, names []string) []recipe.ChannelUse {
		if len(names) == 1 {
			return []recipe.ChannelUse{{Key: key, Channel: names[0]}}
		}
		return recipe.ChannelUses(key, names)
	}
	a, b := c.Channels()
	return side("reference", a), side("target", b)
}

// Follows are the clocks that are followed while a run goes on: not those of markers, of
// which a segment may hold none.
func (c AlignConfig) Follows(r *recipe.Recipe) (clocks [][2]string) {
	if c.By == ByMarkers {
		return nil
	}
	for _, one := range c.Each(r) {
		clocks = append(clocks, [2]string{one.Reference, one.Target})
	}
	return clocks
}

// maxDetectors is how many channels of a node are taken together.
const maxDetectors = 64

var alignFields = []*recipe.Field{
	recipe.SideField("reference", "references", "Channel whose clock is kept; a list of several of one controller finds the clock with the pairs of all, and how much later those of each come.", maxDetectors),
	recipe.SideField("target", "targets", "Channel whose clock is found, or a list of several of one controller: the offset, target minus reference, is subtracted from the target's tags, and all others of its controller, in every later stage.", maxDetectors).Optional(),
	recipe.ClocksField("targets", "others", "Instead of target: a channel of each of several controllers, whose clocks are found together from the light of every two of them; all: of every controller that has one channel.", all, MaxClocks-1),
	recipe.ChoiceField("by", "pairs: of photons; markers: both channels record one signal, such as a pulse per second.", ByPairs, ByMarkers),
	recipe.TimeField("search", "The offset lies within plus or minus this, and what the nodes are known to have started apart.",
		quantity.Nanosecond, 20*quantity.Second).Default("20 ms"),
	recipe.DriftField("max_drift", "The frequencies of the clocks differ by at most this: 0 ppb where both follow one reference, so that the clock is believed to keep to a line unless the light contradicts it.",
		0, 1e6*quantity.PartPerBillion).Default("20 ppm"),
}

// Check finds what no single key of the config can tell.
func (c AlignConfig) Check(to *recipe.StageCheck) {
	if c.Several() || c.Target == "" && !to.Broken("target") {
		c.checkSeveral(to)
		return
	}
	references, targets := c.sides()
	if to.Shots() > 1 && (c.By == ByMarkers || len(references)+len(targets) > 2) {
		to.Conflict("reference", "each shot of acquire.repeat is aligned by itself, which takes the photons of one channel of each node", "name one reference and one target, and leave by out")
		return
	}
	if to.Connect(references, targets) && c.By == ByMarkers && len(references)+len(targets) > 2 {
		to.Conflict("by", "markers are of one channel each", "name one reference and one target")
	}
}

// AlignStage is an align stage of a recipe.
type AlignStage struct {
	Name string
	AlignConfig
}

// AlignStages are those of a recipe, in order.
func AlignStages(r *recipe.Recipe) (stages []AlignStage, err error) {
	for _, s := range r.Stages {
		if s.Kind == alignName {
			config, err := read[AlignConfig](s.Config)
			if err != nil {
				return nil, fmt.Errorf("stage %q: %w", s.Name, err)
			}
			stages = append(stages, AlignStage{s.Name, config})
		}
	}
	return stages, nil
}

// alignKind finds the target's clock, follows it through the whole record, and
// remembers it for later stages.
var alignKind = kind[AlignConfig, AlignSummary]{name: alignName, fields: alignFields, work: (*analysis).align, words: alignWords}

const alignName = "align"

// align finds the target's clock, follows it through the whole record, and
// remembers it for later stages. Its first file is the summary itself, written
// also when nothing was found; the second is the track.
func (a *analysis) align(c AlignConfig, result *run.Result) (s AlignSummary, err error) {
	if c.Several() {
		return a.alignSeveral(c, result)
	}
	found, summary, err := a.findClock(c)
	if err != nil {
		return summary, err
	}
	if summary.Refused {
		a.manifest.Notice(run.Reason{Condition: run.Tainted,
			Message: fmt.Sprintf("stage %q found no offset of %s against %s: %s", result.Stage, c.Target, c.Reference, summary.Reason)})
	} else {
		a.clocks.found(a.clockOf(c.Reference), a.clockOf(c.Target), found.Correction())
		a.noticeClock(result.Stage, c, found)
		a.noticeStart(result.Stage, c, found)
	}
	err = a.json(result, summary)
	if err == nil && !summary.Refused && found.Track != nil {
		err = a.table(result, strings.Join(KnotColumns, ","), []string{c.Reference, c.Target}, func(w io.Writer) error {
			return WriteKnots(w, found.Track.Knots)
		})
	}
	summary.Alignment = summary.Alignment.WithoutKnots() // a track has as many knots as the run was long
	return summary, err
}

// foundClock is a target's clock through a whole record.
type foundClock struct {
	align.Parts
	channels []ChannelDelay // of several channels
	lead     int            // of channels, whose offset it is
	shots    []align.Shot   // where the run took several
}

// findClock aligns the channels of a stage, as far as their segments are here.
// A refusal is a summary, too.
func (a *analysis) findClock(c AlignConfig) (foundClock, AlignSummary, error) {
	references, targets := c.Channels()
	find := a.alignPairs
	switch {
	case c.By == ByMarkers:
		find = a.alignMarkers
	case len(references)+len(targets) > 2:
		find = a.alignMany
	case a.shots() > 1:
		find = a.alignShots
	}
	found, err := find(c)
	summary, err := NewAlignSummary(c.Reference, c.Target, found.Alignment, err)
	summary.Channels, summary.Parts, summary.Shots = found.channels, found.Count, alignedShots(found.shots)
	if found.lead < len(found.channels) {
		lead := found.channels[found.lead]
		summary.Reference, summary.Target = lead.Reference, lead.Target
	}
	summary.Simulated = a.simulated(append(references, targets...)...)
	return found, summary, err
}

// alignPairs finds the clock from the photons of one channel of each node.
func (a *analysis) alignPairs(c AlignConfig) (foundClock, error) {
	o := a.look.Of(AlignOptions(a.manifest, c, 0))
	found, err := a.alignTwo(c.Reference, c.Target, o, align.AlignStreams)
	return foundClock{Parts: found}, err
}

// noticeClock tells the run what an align stage has against it.
func (a *analysis) noticeClock(stage string, c AlignConfig, found foundClock) {
	a.noticeParts(stage, c, found)
	if found.Track != nil {
		noticeJumps(a.manifest, stage, c.Target, found.Track.Steps)
	}
}

// noticeParts tells the run of what an align stage did not find.
func (a *analysis) noticeParts(stage string, c AlignConfig, found foundClock) {
	for _, g := range found.Refused {
		a.manifest.Notice(run.Reason{Condition: run.Tainted, AtPs: &g.From,
			Message: fmt.Sprintf("stage %q found no offset of %s against %s from %s to %s", stage, c.Target, c.Reference, text.Seconds(g.From), text.Seconds(g.To))})
	}
}
