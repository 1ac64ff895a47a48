package recipe

import (
	"strconv"

	"tsrun/sdk"
)

var sinksTable = &Field{name: "sinks", shape: shapeNamed, required: true, form: sinkForm, encode: encodeSinks,
	doc: "Where tags are kept, by name.",
	each: &Field{name: "SINK", shape: shapeObject, doc: "One output.", keys: []*Field{
		{name: "sink", shape: shapeText, required: true, form: pluginForm, doc: "Plugin that keeps them, like sink-file; `live` is in tsrun itself, and sends what it takes."},
		{name: "at", shape: shapeText, initial: "source", form: nameForm,
			doc: "source: at each node, for its own channels; or the name of one node."},
		{name: "takes", shape: shapeList, lone: true, limits: &limits{1, 1000}, encode: encodeTakes,
			doc:  "The channels it keeps; all where it is left out. `merged`: tags of all nodes, their clocks corrected, in order of time. `results`, or names of stages: what these have found, at the master.",
			each: &Field{name: "CHANNEL", shape: shapeText, form: takesForm, doc: "One channel."}},
		{name: "feeds", shape: shapeChoice, choices: []string{"stages"},
			doc: "stages: they read the tags that this sink keeps. Where no sink says so, they read those of the first in the recipe that keeps tags in files."},
		configOfSink(),
	}}}

var expectTable = &Field{name: "expect", shape: shapeMap, form: channelForm, encode: encodeExpect,
	doc: "What a good run looks like, by channel; judged at the end. A miss marks the run and never hides data.",
	each: &Field{name: "NODE.CHANNEL", shape: shapeObject, doc: "Expectations of one channel.", keys: []*Field{
		{name: "rate", shape: shapeObject, required: true, doc: "Mean rate of tags over the run.", keys: []*Field{
			{name: "min", shape: shapeQuantity, amount: frequencies, doc: "Lowest rate that is good."},
			{name: "max", shape: shapeQuantity, amount: frequencies, doc: "Highest rate that is good."},
		}},
	}}}

var light = sdk.DefaultLight()

var simulateTable = &Field{name: "simulate", shape: shapeObject, encode: encodeSimulate,
	doc: "The light and the controllers that their plugins simulate; the run is then marked SIMULATED.",
	keys: []*Field{
		{name: "seed", shape: shapeInteger, initial: strconv.FormatUint(light.Seed, 10), limits: &limits{0, 1<<63 - 1},
			doc: "The light is a pure function of this number and of time."},
		{name: "pairs", shape: shapeObject, implied: true, doc: "Source of photon pairs, seen by every input.", keys: []*Field{
			{name: "rate", shape: shapeQuantity, amount: frequencies, initial: light.Pairs.Rate.String(), limits: between(0, sdk.MaxPairRate),
				doc: "Mean rate of pairs; 0 Hz is darkness."},
			{name: "jitter", shape: shapeQuantity, amount: times, initial: light.Pairs.Jitter.String(), limits: between(0, sdk.MaxJitter),
				doc: "RMS jitter of each detection."},
		}},
	},
	others: &Field{name: "NODE", shape: shapeConfig, form: nodeForm,
		doc: "How the simulated controllers of a node differ from perfect ones; the schema of their plugin says what may stand here."},
}

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
