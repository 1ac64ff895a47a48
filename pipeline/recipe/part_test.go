package recipe

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheckPart(t *testing.T) {
	for _, path := range []string{"testdata/good.yaml", "testdata/right/everything.yaml", "testdata/right/hardware.yaml"} {
		r := load(t, path).Recipe
		for _, n := range r.Nodes {
			if err := r.ForNode(n.Name).CheckPart(n.Name); err != nil {
				t.Errorf("%s: %s: %v", path, n.Name, err)
			}
		}
	}
	for want, change := range map[string]func(*Recipe){
		"does not describe node alice alone": func(r *Recipe) { r.Nodes = nil },
		"acquire.duration":                   func(r *Recipe) { r.Acquire.Duration = -1 },
		"acquire.segment":                    func(r *Recipe) { r.Acquire.Segment = 0 },
		"transfer.chunk":                     func(r *Recipe) { r.Transfer.Chunk = 1 << 40 },
		"transfer.streams":                   func(r *Recipe) { r.Transfer.Streams = 1 << 20 },
		"trigger.lead":                       func(r *Recipe) { r.Trigger.Lead = 0 },
		"faults.patience":                    func(r *Recipe) { r.Faults.Patience = -1 },
		"trigger.method":                     func(r *Recipe) { r.Trigger.Method = "now" },
		"trigger.compensation":               func(r *Recipe) { r.Trigger.Compensation = map[string]Compensation{"alice": {Time: 1 << 60}} },
		"driver":                             func(r *Recipe) { r.Nodes[0].Controllers[0].Driver = "../../bin/sh" },
		"channels":                           func(r *Recipe) { r.Nodes[0].Channels[0].Name = "../x" },
		"is there twice":                     func(r *Recipe) { r.Nodes[0].Channels = append(r.Nodes[0].Channels, r.Nodes[0].Channels[0]) },
		"no controller":                      func(r *Recipe) { r.Nodes[0].Channels[0].Controller = "other" },
		"sinks":                              func(r *Recipe) { r.Sinks[0].Name = "../raw" },
		"edge":                               func(r *Recipe) { r.Nodes[0].Channels[0].Edge = "both" },
		"delay":                              func(r *Recipe) { r.Nodes[0].Channels[0].Delay = 1 << 62 },
	} {
		r := load(t, "testdata/good.yaml").Recipe.ForNode("alice")
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var sent Recipe
		if err := json.Unmarshal(text, &sent); err != nil {
			t.Fatal(err)
		}
		change(&sent)
		if err := sent.CheckPart("alice"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// FuzzCheckPart: nothing that a slave could be sent makes it panic.
func FuzzCheckPart(f *testing.F) {
	f.Add([]byte(`{"nodes":[{"name":"alice","channels":[{"controller":"tc","input":-1}]}],"sinks":[{}]}`))
	f.Add([]byte(`{"nodes":[{"name":"alice"}],"trigger":{"compensation":{"":9223372036854775807}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r Recipe
		if json.Unmarshal(text, &r) == nil {
			_ = r.CheckPart("alice") // some are right
		}
	})
}
