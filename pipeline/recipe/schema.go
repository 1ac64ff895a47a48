package recipe

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// Schema returns the JSON Schema of recipes for editors: keys, descriptions,
// choices and units. It is kept as recipes/schema.json.
//
// It asks for no key but version, because a parent recipe may have the others,
// and allows null and variables everywhere; what it cannot tell, tsrun check
// does.
func Schema(stages []StageKind) ([]byte, error) {
	root := tableWith(stages).schema()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "tsrun recipe"
	root["required"] = []string{"version"}
	root["$defs"] = map[string]any{"elsewhere": map[string]any{
		"description": "null deletes what a parent recipe says; ${env:NAME} and ${env:NAME:-default} are taken from the environment",
		"anyOf":       []any{map[string]any{"type": "null"}, map[string]any{"type": "string", "pattern": `\$\{env:`}},
	}}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// schema describes a field as editors need it.
func (f *Field) schema() map[string]any {
	out := map[string]any{}
	switch f.shape {
	case shapeText:
		out["type"] = "string"
		if f.form != nil {
			out["pattern"] = f.form.pattern.String()
		}
		if f.numeric {
			out["type"] = []string{"string", "integer"}
		}
	case shapeInteger:
		out["type"] = "integer"
		if f.limits != nil {
			out["minimum"], out["maximum"] = f.limits.min, f.limits.max
		}
	case shapeQuantity:
		out["type"], out["pattern"], out["examples"] = "string", f.amount.schema.Pattern, f.amount.schema.Examples
		if f.auto {
			out["pattern"] = `^(auto|(auto *[+-] *)?` + strings.TrimSuffix(strings.TrimPrefix(f.amount.schema.Pattern, "^"), "$") + `)$`
		}
	case shapeChoice:
		out["enum"] = choiceValues(f.choices)
	case shapeObject:
		f.objectSchema(out)
	case shapeMap, shapeNamed:
		out["type"] = "object"
		out["propertyNames"] = map[string]any{"pattern": f.form.pattern.String()}
		out["additionalProperties"] = f.each.wrapped()
	case shapeList:
		out["type"], out["items"] = "array", f.each.wrapped()
		if f.limits != nil {
			out["minItems"], out["maxItems"] = f.limits.min, f.limits.max
		}
		if f.lone {
			out = map[string]any{"anyOf": []any{f.each.schema(), out}}
		}
	case shapeConfig, shapeVariant:
		out["type"] = "object"
		if f.listed {
			out["type"] = []string{"object", "array"}
		}
	}
	return out
}

// choiceValues are the values that an editor sees.
func choiceValues(choices []string) []any {
	out := make([]any, len(choices))
	for i, choice := range choices {
		out[i] = plain(choice)
	}
	return out
}

func (f *Field) objectSchema(out map[string]any) {
	out["type"] = "object"
	out["additionalProperties"] = false
	if f.others != nil {
		out["additionalProperties"] = f.others.wrapped()
	}
	properties := map[string]any{}
	for _, k := range f.keys {
		if k.later[""] != "" {
			continue
		}
		properties[k.name] = k.wrapped()
		if k.variants != nil {
			out["allOf"] = k.variantSchemas()
		}
	}
	out["properties"] = properties
}

// variantSchemas say which keys an object has for each choice of its sibling.
func (f *Field) variantSchemas() []any {
	var out []any
	for _, name := range f.choicesOfVariant() {
		concrete := &Field{shape: shapeObject, keys: f.variants[name]}
		out = append(out, map[string]any{
			"if":   map[string]any{"properties": map[string]any{f.selector: map[string]any{"const": name}}, "required": []string{f.selector}},
			"then": map[string]any{"properties": map[string]any{f.name: concrete.wrapped()}},
		})
	}
	return out
}

// wrapped is the schema of a field as part of another: with its description
// and default, and beside what may stand for any value. Version is what it is.
func (f *Field) wrapped() map[string]any {
	inner := f.schema()
	out := map[string]any{"anyOf": []any{inner, map[string]any{"$ref": "#/$defs/elsewhere"}}}
	if f.name == "version" {
		out = inner
	}
	if f.doc != "" {
		out["description"] = f.doc
	}
	if f.initial != "" && f.shape != shapeConfig {
		out["default"] = f.initialValue()
	}
	return out
}

// plain is what YAML makes of a word: digits are a number, true and false are no text.
func plain(word string) any {
	switch {
	case digits.MatchString(word):
		return json.Number(word)
	case word == "true", word == "false":
		return word == "true"
	}
	return word
}

var digits = regexp.MustCompile(`^[0-9]+$`)

func (f *Field) initialValue() any {
	if f.shape == shapeInteger || f.shape == shapeChoice {
		return plain(f.initial)
	}
	return f.initial
}
