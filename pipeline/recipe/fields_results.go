package recipe

import (
	"strconv"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// longestWindow bounds searches and histograms.
const longestWindow = 100 * quantity.Second

// femtoseconds of a picosecond, in which periods are counted.
const femtoseconds = 1000

func channelField(name, doc string) *field {
	return &field{name: name, shape: shapeText, required: true, form: channelForm, doc: doc}
}

// channelsField is a channel, or a list of several that are of one clock; those
// enter the JSON under another name, the first of them under the field's own too.
func channelsField(name, several, doc string) *field {
	return &field{name: name, shape: shapeList, lone: true, required: true, limits: &limits{1, maxDetectors}, doc: doc,
		each: channelField("CHANNEL", "One channel."),
		encode: func(v *value, into map[string]any) {
			if v.kind == scalarNode {
				into[name] = v.scalar
				return
			}
			into[name] = v.items[0].json()
			if len(v.items) > 1 {
				into[several] = v.json()
			}
		}}
}

// maxDetectors is how many channels of a node align takes together.
const maxDetectors = 64

// How align finds a clock.
const (
	ByPairs   = "pairs"
	ByMarkers = "markers"
)

var stagesTable = &field{name: "pipeline", shape: shapeList,
	doc: "What is computed from the tags, in this order, once the master has them; raw files are never changed.",
	each: &field{name: "STAGE", shape: shapeObject, doc: "One step of processing.", keys: []*field{
		{name: "stage", shape: shapeChoice, required: true, choices: []string{"align", "coincidences", "scan", "histogram", "g2", "rates"},
			doc: "What it does."},
		{name: "name", shape: shapeText, form: nameForm, doc: "What its result is called; the stage where it is left out."},
		{name: "config", shape: shapeVariant, required: true, selector: "stage", encode: encodeStage, doc: "Depends on the stage.",
			variants: map[string][]*field{
				"align":        alignKeys,
				"coincidences": coincidencesKeys,
				"scan":         scanKeys,
				"histogram":    histogramKeys,
				"g2":           g2Keys,
				"rates":        ratesKeys,
			}},
	}}}

var alignKeys = []*field{
	channelsField("reference", "references", "Channel whose clock is kept; a list of several of one controller finds the clock with the pairs of all, and how much later those of each come."),
	channelsField("target", "targets", "Channel whose clock is found, or a list of several: the offset, target minus reference, is subtracted from the target's tags, and all others of its controller, in every later stage."),
	{name: "by", shape: shapeChoice, initial: ByPairs, choices: []string{ByPairs, ByMarkers},
		doc: "pairs: of photons; markers: both channels record one signal, such as a pulse per second."},
	{name: "search", shape: shapeQuantity, amount: times, initial: "20 ms", limits: between(quantity.Nanosecond, 20*quantity.Second),
		doc: "The offset lies within plus or minus this, and what the nodes are known to have started apart."},
	{name: "max_drift", shape: shapeQuantity, amount: drifts, initial: "20 ppm", limits: between(0, 1e6*quantity.PartPerBillion),
		doc: "The frequencies of the clocks differ by at most this: 0 ppb where both follow one reference."},
}

var sinksTable = &field{name: "sinks", shape: shapeNamed, required: true, form: nameForm,
	doc: "Where tags are kept, by name.",
	each: &field{name: "SINK", shape: shapeObject, doc: "One output.", keys: []*field{
		{name: "sink", shape: shapeText, required: true, form: pluginForm, doc: "Plugin that keeps them, like sink-file."},
		{name: "at", shape: shapeText, initial: "source", form: nameForm,
			doc: "source: at each node, for its own channels; or the name of one node."},
		{name: "takes", shape: shapeList, limits: &limits{1, 1000}, doc: "The channels it keeps; all where it is left out.",
			each: &field{name: "CHANNEL", shape: shapeText, form: takesForm, doc: "One channel."}},
		{name: "feeds", shape: shapeChoice, choices: []string{"stages"},
			doc: "stages: they read the tags that this sink keeps. Where no sink says so, they read those of the first in the recipe that keeps tags in files."},
		pluginConfig(),
	}}}

var expectTable = &field{name: "expect", shape: shapeMap, form: channelForm, encode: encodeExpect,
	doc: "What a good run looks like, by channel; judged at the end. A miss marks the run and never hides data.",
	each: &field{name: "NODE.CHANNEL", shape: shapeObject, doc: "Expectations of one channel.", keys: []*field{
		{name: "rate", shape: shapeObject, required: true, doc: "Mean rate of tags over the run.", keys: []*field{
			{name: "min", shape: shapeQuantity, amount: frequencies, doc: "Lowest rate that is good."},
			{name: "max", shape: shapeQuantity, amount: frequencies, doc: "Highest rate that is good."},
		}},
	}}}

var light = sdk.DefaultLight()

var simulateTable = &field{name: "simulate", shape: shapeObject, encode: encodeSimulate,
	doc: "The light and the controllers that their plugins simulate; the run is then marked SIMULATED.",
	keys: []*field{
		{name: "seed", shape: shapeInteger, initial: strconv.FormatUint(light.Seed, 10), limits: &limits{0, 1<<63 - 1},
			doc: "The light is a pure function of this number and of time."},
		{name: "pairs", shape: shapeObject, implied: true, doc: "Source of photon pairs, seen by every input.", keys: []*field{
			{name: "rate", shape: shapeQuantity, amount: frequencies, initial: light.Pairs.Rate.String(), limits: between(0, sdk.MaxPairRate),
				doc: "Mean rate of pairs; 0 Hz is darkness."},
			{name: "jitter", shape: shapeQuantity, amount: times, initial: light.Pairs.Jitter.String(), limits: between(0, sdk.MaxJitter),
				doc: "RMS jitter of each detection."},
		}},
	},
	others: &field{name: "NODE", shape: shapeConfig, form: nodeForm,
		doc: "How the simulated controllers of a node differ from perfect ones; the schema of their plugin says what may stand here."},
}

// encodeStage puts a stage's config under the stage's own name.
func encodeStage(v *value, into map[string]any) { into[v.variant] = v.json() }

// encodeExpect makes the list that Recipe has of the map that people write.
func encodeExpect(v *value, into map[string]any) {
	list := []any{}
	for _, channel := range v.keys {
		item := map[string]any{"channel": channel.name}
		if rate := channel.get("rate"); rate != nil {
			for _, bound := range rate.keys {
				item["rate_"+bound.name] = bound.json()
			}
		}
		list = append(list, item)
	}
	into["expect"] = list
}

// encodeSimulate moves the nodes' sections into a map of their own.
func encodeSimulate(v *value, into map[string]any) {
	nodes, out := map[string]any{}, map[string]any{"nodes": nil}
	for _, k := range v.keys {
		if k.other {
			nodes[k.name] = k.json()
		} else {
			out[k.name] = k.json()
		}
	}
	out["nodes"] = nodes
	into["simulate"] = out
}
