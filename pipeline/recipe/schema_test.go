package recipe

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"tsrun/internal/schemas"
)

// The schema that ships is the one that follows from the table of fields.
func TestSchemaIsFresh(t *testing.T) {
	text, err := Schema(kindsOfStages)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../../recipes/schema.json", string(text))
}

// What the checker takes, an editor does not mark.
func TestSchemaTakesRightRecipes(t *testing.T) {
	schema := editorSchema(t)
	var paths []string
	for _, pattern := range []string{"../../recipes/*.yaml", "testdata/*.yaml", "testdata/right/*.yaml", "testdata/right/lab/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(asJSON(t, string(text))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	const variables = "version: 1\nacquire: {duration: \"${env:LONG:-5 s}\", segment: null}\nnetwork: {ports: {status: \"${env:PORT}\"}}\n"
	if err := schema.Validate(asJSON(t, variables)); err != nil {
		t.Errorf("variables and null: %v", err)
	}
}

func TestSchemaMarksMistakes(t *testing.T) {
	schema := editorSchema(t)
	for _, text := range []string{
		"name: x",
		"version: 2",
		"version: 1\nnmae: x",
		"version: 1\nacquire: {duration: 5}",
		"version: 1\nacquire: {duration: 5 V}",
		"version: 1\ntrigger: {method: soon}",
		"version: 1\nnodes: {Alice: {host: local}}",
		"version: 1\nnodes: {alice: {channels: {signal: {on: tc-1}}}}",
		"version: 1\npipeline: [{stage: align, config: {window: 1 ns}}]",
		"version: 1\npipeline: [{stage: coincidences, config: {of: [alice.signal], window: 1 ns}}]",
		"version: 1\nrealtime: {busy_poll: 50}",
		"version: 1\nrealtime: {priority: high}",
		"version: 1\nsimulate: {pairs: {rate: 1 V}}",
		"version: 1\nsimulate: {bob: 1}",
	} {
		if schema.Validate(asJSON(t, text)) == nil {
			t.Errorf("no mark in:\n%s", text)
		}
	}
}

func editorSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema(kindsOfStages)
	return schemas.Compile(t, text, err)
}

// asJSON turns YAML into what a schema validates.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	var document map[string]any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	out, err := json.Marshal(withTextKeys(document))
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

// withTextKeys gives every map texts for keys, as JSON has and recipes mean.
func withTextKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = withTextKeys(value)
		}
		return v
	case map[any]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[fmt.Sprint(key)] = withTextKeys(value)
		}
		return out
	case []any:
		for i, value := range v {
			v[i] = withTextKeys(value)
		}
	}
	return v
}
