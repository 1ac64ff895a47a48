package stage

import (
	"slices"

	"tsrun/pipeline/recipe"
	"tsrun/sdk/quantity"
)

// Compared are channels that a stage of a recipe compares with each other.
type Compared struct {
	Channels []string
	Window   quantity.Time // of what counts as together; 0: the stage names none
}

// Compares lists what the stages of a recipe compare, those that name a window first.
func Compares(r *recipe.Recipe) (all []Compared, err error) {
	for _, s := range r.Stages {
		switch s.Kind {
		case coincidencesKind.name:
			c, err := read[CoincidencesConfig](s.Config)
			if err != nil {
				return nil, err
			}
			all = append(all, Compared{c.Of, c.Window})
		case histogramKind.name, g2Kind.name:
			c, err := read[G2Config](s.Config)
			if err != nil {
				return nil, err
			}
			all = append(all, Compared{Channels: []string{c.Start, c.Stop}})
		}
	}
	slices.SortStableFunc(all, func(a, b Compared) int {
		if (a.Window == 0) == (b.Window == 0) {
			return 0
		} else if a.Window == 0 {
			return 1
		}
		return -1
	})
	return all, nil
}
