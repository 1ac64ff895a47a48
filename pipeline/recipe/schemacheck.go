package recipe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tsrun/sdk/quantity"
)

// Mistake is one violation of a plugin's schema by a config.
type Mistake struct {
	Path    string // "pairs.0.rate": of the value, or of the section around Key; "" is the config itself
	Key     string // the key that is unknown or missing there, if that is the mistake
	Code    string
	Message string
	Hint    string
}

// CheckConfig compares a plugin's config with its JSON Schema and returns all
// mistakes. The error is about a schema or a config that cannot be read.
func CheckConfig(schema, config []byte) ([]Mistake, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	compiled, err := compile(document)
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(config))
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	err = compiled.Validate(instance)
	if err == nil {
		return nil, nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return nil, fmt.Errorf("check config: %w", err)
	}
	words := &wording{printer: message.NewPrinter(language.English), schema: document, config: instance}
	words.leaves(invalid)
	return words.withoutMisspelt(), nil
}

// noLoader keeps schemas from reaching out to files and networks.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %s, but must stand alone", url)
}

const schemaURL = "tsrun:///config.json"

// compile prepares a schema, with quantities as formats.
func compile(document any) (*jsonschema.Schema, error) {
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noLoader{})
	compiler.AssertFormat()
	for name, check := range quantity.Formats() {
		compiler.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			if text, ok := v.(string); ok {
				return check(text)
			}
			return nil // "type" has its own opinion
		}})
	}
	if err := compiler.AddResource(schemaURL, document); err != nil {
		return nil, err
	}
	return compiler.Compile(schemaURL)
}

// numbers is how a schema says that the keys of a map are whole numbers.
const numbers = "^[0-9]+$"

// wording turns the library's tree of errors into mistakes.
type wording struct {
	printer        *message.Printer
	schema, config any
	mistakes       []Mistake
}

// leaves reports the innermost causes; the outer ones only say that something
// inside of them is wrong.
func (w *wording) leaves(e *jsonschema.ValidationError) {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			w.leaves(cause)
		}
		return
	}
	path := strings.Join(e.InstanceLocation, ".")
	_, fragment, _ := strings.Cut(e.SchemaURL, "#")
	about, _ := follow(w.schema, strings.Split(fragment, "/")[1:]).(map[string]any)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		known := properties(about)
		for _, key := range k.Properties {
			m := Mistake{path, key, codeUnknownKey, fmt.Sprintf("unknown key %q", key), didOr(key, known)}
			if numbered, _ := about["patternProperties"].(map[string]any); numbered[numbers] != nil {
				m = Mistake{path, key, codeValue, fmt.Sprintf("%q is not a number", key), "write a whole number"}
			}
			w.add(m)
		}
	case *kind.Required:
		for _, key := range k.Missing {
			of, _ := follow(about, []string{"properties", key}).(map[string]any)
			w.add(Mistake{path, key, codeMissing, fmt.Sprintf("missing key %q", key), describe(of)})
		}
	default:
		message, hint, code := w.explain(follow(w.config, e.InstanceLocation), k, about)
		w.add(Mistake{path, "", code, message, hint})
	}
}

// withoutMisspelt drops missing keys that stand there misspelt.
func (w *wording) withoutMisspelt() []Mistake {
	return slices.DeleteFunc(w.mistakes, func(missing Mistake) bool {
		return missing.Code == codeMissing && slices.ContainsFunc(w.mistakes, func(unknown Mistake) bool {
			return unknown.Code == codeUnknownKey && unknown.Path == missing.Path && nearest(unknown.Key, []string{missing.Key}) != ""
		})
	})
}

// add keeps one mistake of each place: of several, as "any of these" makes
// them, what a quantity has to say about it, else the first.
func (w *wording) add(m Mistake) {
	i := slices.IndexFunc(w.mistakes, func(o Mistake) bool { return o.Path == m.Path && o.Key == m.Key })
	switch {
	case i < 0:
		w.mistakes = append(w.mistakes, m)
	case m.Code == codeQuantity:
		w.mistakes[i] = m
	}
}

// explain words one violation by a value. What a quantity has to say about
// it comes before what the schema has.
func (w *wording) explain(value any, e jsonschema.ErrorKind, about map[string]any) (message, hint, code string) {
	text := fmt.Sprint(value)
	if format, ok := about["format"].(string); ok {
		if check := quantity.Formats()[format]; check != nil {
			if err := check(text); err != nil {
				message, hint = splitAdvice(err)
				return message, hint, codeQuantity
			}
		}
	}
	switch k := e.(type) {
	case *kind.Type:
		return fmt.Sprintf("%s is due here, not %s", oneOf(k.Want), k.Got), describe(about), codeType
	case *kind.Enum:
		want := make([]string, len(k.Want))
		for i, one := range k.Want {
			want[i] = fmt.Sprint(one)
		}
		return fmt.Sprintf("%q is not %s", text, oneOf(want)), DidYouMean(text, want), codeValue
	case *kind.Pattern:
		return fmt.Sprintf("%q does not match %s", k.Got, k.Want), describe(about), codeValue
	}
	return strings.ReplaceAll(e.LocalizedString(w.printer), "'", `"`), describe(about), codeConfig
}

// describe returns what a schema says about a key, as a hint.
func describe(schema map[string]any) string {
	text, _ := schema["description"].(string)
	if examples, _ := schema["examples"].([]any); len(examples) > 0 {
		example, err := json.Marshal(examples[0])
		if err == nil {
			text = strings.TrimPrefix(text+"; like "+string(example), "; ")
		}
	}
	return text
}

// properties lists the keys that a schema knows.
func properties(schema map[string]any) (keys []string) {
	known, _ := schema["properties"].(map[string]any)
	for key := range known {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// follow goes into a JSON document by keys and indices, or returns nil.
func follow(document any, path []string) any {
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, step := range path {
		switch d := document.(type) {
		case map[string]any:
			document = d[unescape.Replace(step)]
		case []any:
			document = nil
			for i, item := range d {
				if fmt.Sprint(i) == step {
					document = item
				}
			}
		default:
			return nil
		}
	}
	return document
}
