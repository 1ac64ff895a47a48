package stage

import (
	"maps"
	"slices"

	"tsrun/pipeline/correlate"
)

// clocks knows how the controllers' clocks were found to differ. A correction
// belongs to the clock and not to the channel it was found with: all channels
// of a controller are stamped by one.
type clocks struct {
	together bool // one edge started all: what is not known to differ is zero
	edges    map[string]map[string]correlate.Correction
}

func newClocks(together bool) *clocks {
	return &clocks{together: together, edges: map[string]map[string]correlate.Correction{}}
}

// found records where target's clock stands on reference's scale.
func (c *clocks) found(reference, target string, k correlate.Correction) {
	c.edge(reference, target, k)
	c.edge(target, reference, k.Inverse())
}

func (c *clocks) edge(from, to string, k correlate.Correction) {
	if c.edges[from] == nil {
		c.edges[from] = map[string]correlate.Correction{}
	}
	c.edges[from][to] = k
}

// between returns what carries b's times to a's clock, over as few other
// clocks as needed. known says whether anything was found about the two; ok,
// whether their tags may be compared at all.
func (c *clocks) between(a, b string) (k correlate.Correction, known, ok bool) {
	if a == b {
		return k, false, true
	}
	reached := map[string]correlate.Correction{a: {}}
	for level := []string{a}; len(level) > 0; {
		var next []string
		for _, from := range level {
			for _, to := range slices.Sorted(maps.Keys(c.edges[from])) {
				if _, seen := reached[to]; !seen {
					reached[to] = correlate.Chain(reached[from], c.edges[from][to])
					next = append(next, to)
				}
			}
		}
		level = next
	}
	k, known = reached[b]
	return k, known, known || c.together
}
