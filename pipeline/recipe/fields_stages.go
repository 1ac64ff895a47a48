package recipe

import (
	"regexp"

	"tsrun/sdk/quantity"
)

// What the keys of a stage's config may be. Each is optional, and has no default,
// unless one of the methods says otherwise.

// LongestWindow bounds searches and histograms.
const LongestWindow = 100 * quantity.Second

// femtoseconds of a picosecond, in which periods are counted.
const femtoseconds = 1000

// Required makes a key that a recipe must have.
func (f *Field) Required() *Field {
	f.required = true
	return f
}

// Optional makes a key that a recipe may leave out.
func (f *Field) Optional() *Field {
	f.required = false
	return f
}

// Default says what a key is where it is left out, as a recipe would write it.
func (f *Field) Default(text string) *Field {
	f.initial = text
	return f
}

// TimeField is a time from low to high.
func TimeField(name, doc string, low, high quantity.Time) *Field {
	return &Field{name: name, shape: shapeQuantity, amount: times, limits: between(low, high), doc: doc}
}

// PeriodField is the period of light, from low to high.
func PeriodField(name, doc string, low, high quantity.Time) *Field {
	return &Field{name: name, shape: shapeQuantity, amount: periods, limits: between(femtoseconds*low, femtoseconds*high), doc: doc}
}

// DriftField is a difference of frequencies from low to high.
func DriftField(name, doc string, low, high quantity.Drift) *Field {
	return &Field{name: name, shape: shapeQuantity, amount: drifts, limits: between(low, high), doc: doc}
}

// ChoiceField is one of some words; the first is the default.
func ChoiceField(name, doc string, choices ...string) *Field {
	return &Field{name: name, shape: shapeChoice, initial: choices[0], choices: choices, doc: doc}
}

// ChannelField is the name of a channel, which a recipe must have.
func ChannelField(name, doc string) *Field {
	return &Field{name: name, shape: shapeText, required: true, form: channelForm, doc: doc}
}

// ChannelsField is a list of at least and at most so many channels, which a
// recipe must have.
func ChannelsField(name, doc string, least, most int) *Field {
	return &Field{name: name, shape: shapeList, required: true, limits: between(int64(least), int64(most)), doc: doc,
		each: ChannelField("CHANNEL", "One channel.")}
}

// SideField is a channel, or a list of up to so many; a list enters the JSON under
// the name for several, and the first of it under the field's own too.
func SideField(name, several, doc string, most int) *Field {
	f := ChannelsField(name, doc, 1, most)
	f.lone = true
	f.encode = func(v *value, into map[string]any) {
		if v.kind == scalarNode {
			into[name] = v.scalar
			return
		}
		into[name] = v.items[0].json()
		if len(v.items) > 1 {
			into[several] = v.json()
		}
	}
	return f
}

// ClocksField is a list of up to so many channels, or a word that stands for all; it
// enters the JSON as a list, under another name.
func ClocksField(name, asJSON, doc, word string, most int) *Field {
	channel := ChannelField("CHANNEL", "One channel.")
	channel.form = &form{
		pattern: regexp.MustCompile(`^(` + word + `|[a-z0-9][a-z0-9_-]*\.[a-z0-9][a-z0-9_-]*)$`),
		what:    channelForm.what, like: "write [node.channel, node.channel], or " + word,
	}
	return &Field{name: name, shape: shapeList, lone: true, limits: between[int64](1, int64(most)), doc: doc, each: channel,
		encode: func(v *value, into map[string]any) {
			if v.kind == scalarNode {
				into[asJSON] = []any{v.scalar}
				return
			}
			into[asJSON] = v.json()
		}}
}

// PerChannelField maps channels to times from low to high.
func PerChannelField(name, doc, eachDoc string, low, high quantity.Time) *Field {
	return &Field{name: name, shape: shapeMap, form: channelForm, doc: doc, each: TimeField("NODE.CHANNEL", eachDoc, low, high)}
}
