package event

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/run/runtest"
)

func TestEventsSayLongIntegersTwice(t *testing.T) {
	stamp := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	for _, c := range []struct {
		event Event
		want  string
	}{
		{StateChanged{State: "joining"}, `{"event":"state","version":1,"time":"2026-03-01T12:00:00.000000005Z","state":"joining"}`},
		{Fired{InstantNs: 1795834299072603572, Method: "scheduled"},
			`{"event":"fired","version":1,"time":"2026-03-01T12:00:00.000000005Z","instant_ns":1795834299072603572,"instant_ns_text":"1795834299072603572","method":"scheduled"}`},
		{TagsLost{Node: "a", Channel: "b", Loss: fact.Loss{AtPs: 1 << 53, Tags: 1<<53 + 1, Why: `"x":1234567890123456789,`}},
			`{"event":"loss","version":1,"time":"2026-03-01T12:00:00.000000005Z","node":"a","channel":"b","at_ps":9007199254740992,"tags":9007199254740993,"tags_text":"9007199254740993","why":"\"x\":1234567890123456789,"}`},
	} {
		text, err := json.Marshal(Stamped{Time: stamp, Event: c.event})
		if err != nil || string(text) != c.want {
			t.Errorf("got  %s\nwant %s (%v)", text, c.want, err)
		}
	}
}

// TestNoEventHasALossyNumber reads the summary of a run as a program does that
// knows floats alone.
func TestNoEventHasALossyNumber(t *testing.T) {
	m := runtest.FullManifest(t)
	m.Trigger.InstantNs = 1795834299072603572
	m.Nodes["bob"].Channels["idler"].LastPs = 1<<64 - 1
	text, err := json.Marshal(Stamped{Time: time.Now(), Event: Finished{Directory: "x", Manifest: m}})
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	found := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, e := range v {
				n, ok := e.(json.Number)
				if ok && len(strings.Trim(n.String(), "-")) >= 17 && !strings.ContainsAny(n.String(), ".eE") {
					found++
					if v[key+"_text"] != n.String() {
						t.Errorf("%s: %s has no text: %v", key, n, v[key+"_text"])
					}
				}
				walk(e)
			}
		case []any:
			for _, e := range v {
				if n, ok := e.(json.Number); ok && len(n.String()) > 16 && !strings.ContainsAny(n.String(), ".eE") {
					t.Errorf("a list holds %s", n)
				}
				walk(e)
			}
		}
	}
	walk(v)
	if found < 2 {
		t.Errorf("%d large numbers", found)
	}
}
