package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestPluginTakesMerged: what is told reaches the sink, its failure is part of the answer,
// and what is no request is an error.
func TestPluginTakesMerged(t *testing.T) {
	type config struct {
		Fails bool `json:"fails"`
		MergedChoice
	}
	var told Merged
	p := Plugin{Name: "s", Sinks: []SinkType{TakingMerged(NewSink("s", struct{}{}, nil), config{MergedChoice: MergedDefaults()}, func(_ context.Context, m Merged, c config) (MergedAnswer, error) {
		told = m
		if c.Fails {
			return MergedAnswer{Messages: 3}, fmt.Errorf("wrapped: %w", &Failure{Message: "no", Hint: "do"})
		}
		return MergedAnswer{Tags: uint64(c.Queue), Ended: true}, nil
	})}}
	answer := func(request string) (a MergedAnswer, says string, code int) {
		var out, complaints bytes.Buffer
		if code = run(p, []string{"merged"}, strings.NewReader(request), &out, &complaints); code == 0 {
			if err := json.Unmarshal(out.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
		}
		return a, complaints.String(), code
	}
	if a, _, code := answer(`{"version":1,"sink":"s","config":{},"run":"r","socket":"/x"}`); code != 0 || a != (MergedAnswer{Version: MergedVersion, Tags: 64, Ended: true}) || told != (Merged{"r", "/x"}) {
		t.Errorf("%d %+v, told %+v", code, a, told)
	}
	if a, _, code := answer(`{"version":1,"sink":"s","config":{"fails":true}}`); code != 0 || a != (MergedAnswer{Version: MergedVersion, Messages: 3, Failed: "wrapped: no", Hint: "do"}) {
		t.Errorf("%d %+v", code, a)
	}
	if a, _, code := answer(`{"version":1,"sink":"s","config":{"of":5}}`); code != 0 || a.Failed == "" {
		t.Errorf("%d %+v", code, a)
	}
	for request, says := range map[string]string{"": "read request", "{": "read request", `{"version":2,"sink":"s"}`: "this plugin knows 1", `{"version":1,"sink":"other"}`: "takes merged tags"} {
		if _, said, code := answer(request); code != 1 || !strings.Contains(said, says) {
			t.Errorf("%q: %d %s", request, code, said)
		}
	}
	d, err := p.Describe()
	if err != nil || d.Sinks[0].Merged == nil || !strings.Contains(string(d.Sinks[0].Merged.Schema), `"reference"`) || d.Sinks[0].Results != nil {
		t.Errorf("%v %+v", err, d)
	}
	if text, err := d.Document(); err != nil || !strings.Contains(text, "With `takes: merged`") {
		t.Errorf("%v %s", err, text)
	}
}
