package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"time"

	"github.com/invopop/jsonschema"
)

// events are one of each kind.
var events = []Event{Begun{}, StateChanged{}, Waiting{}, NodeJoined{}, Away{}, Back{}, DeviceIdentified{}, Armed{}, Fired{}, Started{}, Compensated{}, Watched{}, Progress{}, Transfer{}, FileVerified{},
	Sync{}, Pairs{}, TagsLost{}, Warning{}, Problem{}, Analysing{}, StageDone{}, Finished{}}

// EventSchema returns the JSON Schema of an event as [Stamped] is written. It
// lets keys pass that it does not know, as readers should.
func EventSchema() ([]byte, error) {
	var kinds []any
	for _, e := range events {
		kind, err := schemaOfEvent(e)
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, kind)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "tsrun event", "oneOf": kinds,
		"description": "one line of tsrun RECIPE --json; an integer beyond 2^53 stands there as a text too, under its key with _text behind it",
	})
	return out.Bytes(), err
}

// schemaOfEvent is that of one kind, with what every event has.
func schemaOfEvent(e Event) (map[string]any, error) {
	reflector := jsonschema.Reflector{Anonymous: true, AllowAdditionalProperties: true, DoNotReference: true, Mapper: writesItself}
	text, err := json.Marshal(reflector.ReflectFromType(reflect.TypeOf(e)))
	if err != nil {
		return nil, err
	}
	var schema struct {
		Properties map[string]any `json:"properties"`
		Required   []string       `json:"required"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, err
	}
	if _, ok := e.(Sync); ok { // without a value, as long as nothing is known
		schema.Required = []string{"stage", "reference", "target", "state"}
	}
	orNull(schema.Properties)
	schema.Properties["event"] = map[string]any{"const": e.kind()}
	schema.Properties["version"] = map[string]any{"const": EventVersion}
	schema.Properties["time"] = map[string]any{"type": "string", "format": "date-time"}
	return map[string]any{"title": e.kind(), "type": "object", "properties": schema.Properties,
		"required": append([]string{"event", "version", "time"}, schema.Required...)}, nil
}

// orNull lets lists and maps be null, as those that hold nothing may be.
func orNull(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			if key == "type" && (below == "array" || below == "object") {
				v[key] = []any{below, "null"}
			}
			orNull(below)
		}
	case []any:
		for _, below := range v {
			orNull(below)
		}
	}
}

// writesItself lets every value pass of a type that writes its own JSON.
func writesItself(t reflect.Type) *jsonschema.Schema {
	marshaler := reflect.TypeFor[json.Marshaler]()
	switch {
	case t == reflect.TypeFor[time.Time]():
		return nil
	case t.Kind() != reflect.Pointer && (t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler)):
		return &jsonschema.Schema{}
	}
	return nil
}
