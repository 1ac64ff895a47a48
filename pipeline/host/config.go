package host

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

	"tsrun/pipeline/recipe"
	"tsrun/sdk"
)

// CheckConfig checks a configuration against the schema of a driver or sink
// and reports every mistake, as [sdk.Failure]s whose Field is the dotted path
// of the key. An empty configuration sets nothing.
func CheckConfig(schema, config json.RawMessage) []*sdk.Failure {
	if len(bytes.TrimSpace(config)) == 0 {
		config = json.RawMessage("{}")
	}
	broken := func(what string, err error) []*sdk.Failure {
		return []*sdk.Failure{{Code: "bad-schema", Message: fmt.Sprintf("%s: %v", what, err)}}
	}
	rules, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return broken("read the plugin's schema", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{}) // a schema must not fetch anything
	const name = "plugin:config"
	if err := compiler.AddResource(name, rules); err != nil {
		return broken("read the plugin's schema", err)
	}
	compiled, err := compiler.Compile(name)
	if err != nil {
		return broken("read the plugin's schema", err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(config))
	if err != nil {
		return []*sdk.Failure{{Code: "bad-config", Message: fmt.Sprintf("read configuration: %v", err)}}
	}
	var wrong *jsonschema.ValidationError
	if err := compiled.Validate(value); err == nil {
		return nil
	} else if !errors.As(err, &wrong) {
		return broken("check configuration", err)
	}
	var found []*sdk.Failure
	collect(wrong, compiled, &found)
	return found
}

type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("the schema refers to %s; it must stand alone", url)
}

// collect turns the leaves of a validation error into failures.
func collect(e *jsonschema.ValidationError, schema *jsonschema.Schema, found *[]*sdk.Failure) {
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			collect(c, schema, found)
		}
		return
	}
	path := strings.Join(e.InstanceLocation, ".")
	add := func(field, text, hint string) {
		*found = append(*found, &sdk.Failure{Code: "bad-config", Message: "check configuration: " + text, Hint: hint, Field: field})
	}
	below := func(key string) string { return strings.TrimPrefix(path+"."+key, ".") }
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		known := keysAt(schema, e.InstanceLocation)
		for _, key := range k.Properties {
			hint := recipe.DidYouMean(key, known)
			if hint == "" && len(known) > 0 {
				hint = "known keys are: " + strings.Join(known, ", ")
			}
			add(below(key), fmt.Sprintf("unknown key %q", below(key)), hint)
		}
	case *kind.Required:
		for _, key := range k.Missing {
			add(below(key), fmt.Sprintf("key %q is missing", below(key)), "")
		}
	default:
		if path == "" {
			path = "the configuration"
		}
		text := e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
		add(strings.Join(e.InstanceLocation, "."), fmt.Sprintf("%s: %s", path, text), "")
	}
}

// keysAt lists the keys that the schema knows for the object at a place.
func keysAt(schema *jsonschema.Schema, place []string) []string {
	for _, key := range place {
		if schema = schema.Properties[key]; schema == nil {
			return nil
		}
	}
	keys := make([]string, 0, len(schema.Properties))
	for key := range schema.Properties {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
