package master

import (
	"testing"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/transfer"
)

// TestRecipeAllowsWhatTheTransferTakes: the two packages know nothing of each
// other.
func TestRecipeAllowsWhatTheTransferTakes(t *testing.T) {
	accepted := 0
	for _, chunk := range []string{"64 KiB", "1 MiB", "2 MiB", "4 MiB", "5 MiB", "16 MiB", "64 MiB"} {
		r, err := recipe.Parse("limits.yaml", []byte(joinRecipe), recipe.Options{Set: []string{"transfer.chunk=" + chunk}})
		if err != nil {
			continue
		}
		accepted++
		if r.Recipe.Transfer.Chunk > transfer.MaxChunk {
			t.Errorf("chunks of %s are accepted and cannot be sent", chunk)
		}
	}
	if accepted < 3 {
		t.Errorf("%d sizes are accepted", accepted)
	}
}
