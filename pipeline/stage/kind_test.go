package stage

import (
	"encoding/json"
	"strings"
	"testing"

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
