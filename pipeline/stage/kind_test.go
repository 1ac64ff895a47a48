package stage

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
)

// The recipe that a run keeps is read as it was written, whatever release wrote it.
func TestAlignStagesOfAKeptRecipe(t *testing.T) {
	text := `{"pipeline":[{"name":"later","stage":"of-a-later-release","of-a-later-release":{"of":1}},` +
		`{"name":"clocks","stage":"align","align":{"reference":"a.b","target":"c.d","by":"pairs","search":"20 ms","max_drift":"20 ppm","later":1}}]}`
	var r recipe.Recipe
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	aligns, err := AlignStages(&r)
	if err != nil || len(aligns) != 1 || aligns[0].Name != "clocks" || aligns[0].Target != "c.d" || aligns[0].Search.String() != "20 ms" {
		t.Errorf("%+v, %v", aligns, err)
	}
	again, err := json.Marshal(r.Stages)
	if want := text[len(`{"pipeline":`) : len(text)-1]; err != nil || string(again) != want {
		t.Errorf("written again it is %s, %v", again, err)
	}
	for config, saying := range map[string]string{"": "end of JSON", "3": "number", `{"search":7}`: "search"} {
		wrong := &recipe.Recipe{Stages: []recipe.Stage{{Name: "x", Kind: "align", Config: json.RawMessage(config)}}}
		if _, err := AlignStages(wrong); err == nil || !strings.Contains(err.Error(), `stage "x": read config of stage`) || !strings.Contains(err.Error(), saying) {
			t.Errorf("%q: %v", config, err)
		}
	}
	for _, wrong := range []string{"3", `{"stage":3}`, `[]`} {
		if json.Unmarshal([]byte(wrong), new(recipe.Stage)) == nil {
			t.Errorf("%s is a stage", wrong)
		}
	}
}

// A histogram has as many bins in a recipe as at a command.
func TestOneLimitOfBins(t *testing.T) {
	const catalog = `version: 1
name: bins
nodes:
  alice:
    controllers: {tc: {driver: d, config: {address: 192.0.2.1}}}
    channels: {a: {on: tc/1, threshold: 120 mV}, b: {on: tc/2, threshold: 120 mV}}
acquire: {duration: 5 s}
sinks: {raw: {sink: s}}
pipeline:
  - {stage: histogram, config: {start: alice.a, stop: alice.b, range: %d ps, bin: 1 ps}}
`
	for bins, fits := range map[int64]bool{correlate.MaxBins: true, correlate.MaxBins + 2: false} {
		if err := (correlate.HistogramOptions{Range: bins / 2, Bin: 1}).Check(); (err == nil) != fits {
			t.Errorf("a command of %d bins: %v", bins, err)
		}
		_, err := recipe.Parse("bins.yaml", fmt.Appendf(nil, catalog, bins/2), recipe.Options{Stages: Kinds()})
		if (err == nil) != fits {
			t.Errorf("a recipe of %d bins: %v", bins, err)
		}
	}
}
