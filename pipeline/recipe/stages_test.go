package recipe_test

import (
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/stage"
)

func init() { recipe.SetKindsOfStages(stage.Kinds()) }
