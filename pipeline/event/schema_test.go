package event

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"tsrun/internal/schemas"
	"tsrun/pipeline/align"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

func eventSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := EventSchema()
	return schemas.Compile(t, text, err)
}

func TestEventsKeepToTheirSchema(t *testing.T) {
	schema := eventSchema(t)
	m := runtest.FullManifest(t)
	m.Results = []run.Result{{Stage: "align", Kind: "align", Summary: json.RawMessage("null")}, {Stage: "g2", Kind: "g2", Files: []string{"results/g2.csv"}, Summary: json.RawMessage("{}")}}
	found := Sync{Stage: "a", State: align.Tracking, Segment: new(3), Value: &align.Value{State: align.Tracking, Knot: track.Knot{Time: 1<<64 - 1, Offset: quantity.NewFine(-5, 0.5)}}}
	given := append([]Event{found, Finished{Directory: "x", Manifest: m}, Fired{InstantNs: 1795834299072603572, Method: "scheduled"},
		DeviceIdentified{Node: "a", Controller: "tc", Device: fact.Device{Model: "x"}}, StageDone{Result: m.Results[1]}, Finished{Manifest: run.NewManifest("", "", runtest.TwoNodes(), runtest.Noon)}}, events...)
	for _, e := range given {
		text, err := json.Marshal(Stamped{Time: time.Unix(1, 2), Event: e})
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := e.(Finished); ok && f.Manifest == nil {
			continue // every run has one
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, wrong := range []string{`{}`, `{"event":"state"}`, `{"event":"state","version":2,"time":"2026-03-01T12:00:00Z","state":"armed"}`,
		`{"event":"nothing","version":1,"time":"2026-03-01T12:00:00Z"}`, `{"event":"fired","version":1,"time":"2026-03-01T12:00:00Z","instant_ns":"5","method":"x"}`,
		`{"event":"loss","version":1,"time":"2026-03-01T12:00:00Z","node":"a","channel":"b","tags":1,"why":""}`} {
		v, _ := jsonschema.UnmarshalJSON(strings.NewReader(wrong))
		if schema.Validate(v) == nil {
			t.Errorf("%s keeps to the schema", wrong)
		}
	}
}

// docs/events.md has a row for every kind, with its keys.
func TestEventsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		_, after, ok := strings.Cut(string(text), "\n| `"+e.kind()+"` |")
		row, _, _ := strings.Cut(after, "\n")
		if !ok {
			t.Errorf("no row about %s", e.kind())
			continue
		}
		schema, err := schemaOfEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := e.(Sync); ok {
			continue // as sync.jsonl, which another document describes
		}
		for key := range schema["properties"].(map[string]any) {
			if key != "event" && key != "version" && key != "time" && !strings.Contains(row, "`"+key+"`") {
				t.Errorf("the row about %s lacks %s", e.kind(), key)
			}
		}
	}
}
