package recipe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckConfig(t *testing.T) {
	const schema = `{
		"type": "object", "additionalProperties": false, "required": ["address"],
		"properties": {
			"address": {"type": "string", "description": "where it is"},
			"record": {"anyOf": [{"const": "single"}, {"type": "string", "format": "quantity-time", "pattern": "^[0-9]"}]},
			"inputs": {"type": "array", "maxItems": 2, "items": {"type": "object", "additionalProperties": false, "properties": {"level": {"type": "string", "format": "quantity-voltage"}}}},
			"port": {"type": "integer", "minimum": 1, "description": "port of the device"}
		}}`
	tests := []struct {
		config string
		want   []Mistake
	}{
		{`{"address": "x", "record": "single", "inputs": [{"level": "1 V"}], "port": 7}`, nil},
		{`{"address": "x", "record": "5 s"}`, nil},
		{`{}`, []Mistake{{"", "address", "missing", `missing key "address"`, "where it is"}}},
		{`{"adress": "x"}`, []Mistake{{"", "adress", "unknown-key", `unknown key "adress"`, `did you mean "address"?`}}},
		{`{"address": "x", "record": 5}`, []Mistake{{"record", "", "quantity", "a time needs a unit", "write 5 s, not 5"}}},
		{`{"address": "x", "inputs": [{"level": "1 V"}, {"level": "1 A"}]}`,
			[]Mistake{{"inputs.1.level", "", "quantity", `"A" is no unit of a voltage`, "write one of uV, mV, V"}}},
		{`{"address": "x", "port": 0}`, []Mistake{{"port", "", "config", "minimum: got 0, want 1", "port of the device"}}},
		{`{"address": 1}`, []Mistake{{"address", "", "wrong-type", "string is due here, not number", "where it is"}}},
	}
	for _, tt := range tests {
		got, err := CheckConfig([]byte(schema), []byte(tt.config))
		if err != nil {
			t.Errorf("%s: %v", tt.config, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s:\n%s", tt.config, diff)
		}
	}
}

// A schema of a plugin reaches nothing outside of itself.
func TestSchemasStandAlone(t *testing.T) {
	for _, schema := range []string{`{"$ref": "file:///etc/passwd"}`, `{"$ref": "http://127.0.0.1:1/x.json"}`, `{"$ref": "other.json"}`} {
		_, err := CheckConfig([]byte(schema), []byte(`{}`))
		if err == nil || !strings.Contains(err.Error(), "must stand alone") {
			t.Errorf("%s: error %v", schema, err)
		}
	}
}

// FuzzCheckConfig feeds schemas of strange plugins: an error or mistakes, but
// no panic.
func FuzzCheckConfig(f *testing.F) {
	f.Add([]byte(`{"type": "object", "properties": {"a": {"format": "quantity-time"}}}`), []byte(`{"a": 5}`))
	f.Add([]byte(`{"$ref": "#"}`), []byte(`{}`))
	f.Add([]byte(`{"properties": {"a": {"$ref": "#/$defs/~0~1"}}, "$defs": {"~/": {"enum": [1, null]}}}`), []byte(`{"a": [2]}`))
	f.Add([]byte(`{"required": ["x"], "dependentRequired": {"a": ["b"]}, "not": {}}`), []byte(`{"a": {"b": 1e400}}`))
	f.Fuzz(func(t *testing.T, schema, config []byte) {
		mistakes, err := CheckConfig(schema, config)
		if err != nil && len(mistakes) > 0 {
			t.Errorf("both an error and mistakes: %v, %v", err, mistakes)
		}
		for _, m := range mistakes {
			if m.Code == "" || m.Message == "" {
				t.Errorf("mistake %+v", m)
			}
		}
	})
}
