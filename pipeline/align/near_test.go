package align

import (
	"fmt"
	"testing"

	"tsrun/internal/pairs"
)

// TestNearIsCheap plans the search for light near where other pairs have told a clock: it takes
// a hundredth of what a brief search of the whole takes at most, and finds light as weak. Of
// many nodes nearly all pairs are looked at so.
func TestNearIsCheap(t *testing.T) {
	for _, c := range []struct{ rate, seconds float64 }{{50, 600}, {2500, 40}, {1e5, 10}, {1e5, 40}, {5e5, 4}} {
		t.Run(fmt.Sprintf("%g Hz for %g s", c.rate, c.seconds), func(t *testing.T) {
			a, b, _ := pairs.Experiment{Seed: 1, Seconds: c.seconds, SinglesA: c.rate, SinglesB: c.rate, Pairs: -1}.Make()
			planned := func(o Options) (cost, reward float64) {
				s, err := newSearcher(t.Context(), a, b, o)
				if err != nil {
					t.Fatal(err)
				}
				s.reach = o.Search
				first, _ := s.slightly()
				if p, ok := s.brighter(first); ok {
					return first.cost + p.all, p.reward
				}
				return first.cost, first.reward
			}
			wide, found := planned(Options{Search: DefaultSearch, MaxDrift: DefaultMaxDrift, Brief: true})
			near, foundNear := planned(Options{Search: knownWithin, MaxDrift: knownDrift, Brief: true, near: true})
			if near > wide/100 || foundNear < found {
				t.Errorf("near costs %.3g ms and finds %.3g, all %.3g ms and %.3g", near/1e6, foundNear, wide/1e6, found)
			}
		})
	}
}
