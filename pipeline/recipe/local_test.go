package recipe_test

import (
	"path/filepath"
	"strings"
	"testing"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/stage"
)

// TestLocalPart: each node's part of each recipe that ships is a recipe.
func TestLocalPart(t *testing.T) {
	paths, err := filepath.Glob("../../recipes/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal(err)
	}
	for _, path := range append(paths, "testdata/right/everything.yaml") {
		whole, err := recipe.Load(path, recipe.Options{Stages: stage.Kinds()})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range whole.Recipe.Nodes {
			sets, _, err := whole.Recipe.LocalPart(n.Name, false)
			if err != nil && whole.Recipe.Trigger.Method == "hardware" {
				sets, _, err = whole.Recipe.LocalPart(whole.Recipe.Trigger.Master, false)
			}
			if err != nil {
				t.Errorf("%s, %s: %v", path, n.Name, err)
				continue
			}
			part, err := recipe.Load(path, recipe.Options{Set: sets, Stages: stage.Kinds()})
			if err != nil {
				t.Errorf("%s, %s: %v\n%s", path, n.Name, err, strings.Join(sets, "\n"))
				continue
			}
			if r := part.Recipe; len(r.Nodes) != 1 || r.Nodes[0].Host != "local" || len(r.Stages) > 0 || r.Network.Secured() || r.Network.Ports.Status != 0 || len(r.Name) > 32 {
				t.Errorf("%s, %s: %+v", path, n.Name, r)
			}
		}
	}
	whole, err := recipe.Load(paths[0], recipe.Options{Stages: stage.Kinds()})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := whole.Recipe.LocalPart("carol", false); err == nil || !strings.Contains(err.Error(), "one of: ") {
		t.Errorf("a node that is not there: %v", err)
	}
}
