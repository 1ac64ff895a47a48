package run

import (
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/quantity"
)

// clocks knows how the controllers' clocks were found to differ. A correction
// belongs to the clock and not to the channel it was found with: all channels
// of a controller are stamped by one.
type clocks struct {
	together bool // one edge started all: what is not known to differ is zero
	edges    map[string]map[string]correlate.Line
}

func newClocks(together bool) *clocks {
	return &clocks{together: together, edges: map[string]map[string]correlate.Line{}}
}

// found records where target's clock stands on reference's scale.
func (c *clocks) found(reference, target string, k correlate.Line) {
	c.edge(reference, target, k)
	c.edge(target, reference, inverse(k))
}

func (c *clocks) edge(from, to string, k correlate.Line) {
	if c.edges[from] == nil {
		c.edges[from] = map[string]correlate.Line{}
	}
	c.edges[from][to] = k
}

// between returns what carries b's times to a's clock, over as few other
// clocks as needed. known says whether anything was found about the two; ok,
// whether their tags may be compared at all.
func (c *clocks) between(a, b string) (k correlate.Line, known, ok bool) {
	if a == b {
		return k, false, true
	}
	reached := map[string]correlate.Line{a: {}}
	for level := []string{a}; len(level) > 0; {
		var next []string
		for _, from := range level {
			for _, to := range sortedKeys(c.edges[from]) {
				if _, seen := reached[to]; !seen {
					reached[to] = chain(reached[from], c.edges[from][to])
					next = append(next, to)
				}
			}
		}
		level = next
	}
	k, known = reached[b]
	return k, known, known || c.together
}

// inverse carries A's times to B's clock where k carries B's to A's: from
// B = A + O + F(A-R) follows A = B - O + G(B-(R+O)) with G = 1/(1+F) - 1.
func inverse(k correlate.Line) correlate.Line {
	f := float64(k.Frequency) * 1e-15
	return correlate.Line{
		Reference: k.Reference + uint64(k.Offset),
		Offset:    -k.Offset,
		Frequency: quantity.Drift(math.Round(-float64(k.Frequency) / (1 + f))),
	}
}

// chain carries C's times to A's clock, given B's to A's and C's to B's. The
// reference is the moment of the second, so that nothing is extrapolated but
// the first.
func chain(first, second correlate.Line) correlate.Line {
	if second == (correlate.Line{}) {
		return first
	}
	at := first.Apply(second.Reference)
	product := float64(first.Frequency) * 1e-15 * float64(second.Frequency)
	return correlate.Line{
		Reference: at,
		Offset:    int64(second.Reference + uint64(second.Offset) - at),
		Frequency: first.Frequency + second.Frequency + quantity.Drift(math.Round(product)),
	}
}
