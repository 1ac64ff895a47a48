package fact

import (
	"testing"

	"pgregory.net/rapid"
)

func TestSharedWay(t *testing.T) {
	way := func(there, doubt int64) *CommandPath { return &CommandPath{ThereNs: there, DoubtNs: doubt} }
	for name, c := range map[string]struct {
		paths  []*CommandPath
		ns     int64
		shared bool
	}{
		"nothing was timed":      {nil, 0, false},
		"one":                    {[]*CommandPath{way(100, 30)}, 100, true},
		"one that is not known":  {[]*CommandPath{way(100, 100)}, 0, true},
		"alike":                  {[]*CommandPath{way(100, 30), way(220, 30)}, 160, true},
		"different":              {[]*CommandPath{way(100, 30), way(221, 30)}, 0, false},
		"one cannot be timed":    {[]*CommandPath{way(100, 30), nil}, 0, true},
		"different, one unknown": {[]*CommandPath{way(100, 1), way(1000, 1), way(10, 10)}, 0, true},
		"two of three alike":     {[]*CommandPath{way(1000, 1), way(100, 30), way(110, 30)}, 0, false},
	} {
		if ns, shared := SharedWay(c.paths); ns != c.ns || shared != c.shared {
			t.Errorf("%s: %d, %v", name, ns, shared)
		}
	}
}

// Whatever nodes and master say, a compensation stays within its bounds.
func TestSharedIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 50_000_000
		there := rapid.Int64().Draw(t, "there")
		c := Compensation{RecipeNs: rapid.Int64Range(-most, most).Draw(t, "recipe"), MeasuredNs: &there}
		if got := c.Shared(rapid.Int64().Draw(t, "shared"), most); got.UsedNs > most || got.UsedNs < -most {
			t.Fatalf("%+v", got)
		}
		p := CommandPath{Questions: 64, RoundTripNs: rapid.Int64().Draw(t, "trip"), ThereNs: there, DoubtNs: rapid.Int64().Draw(t, "doubt"), SpreadNs: rapid.Int64().Draw(t, "spread")}
		if ns, _ := SharedWay([]*CommandPath{&p, {ThereNs: 100, DoubtNs: 1}}); p.Plausible() && ns < 0 {
			t.Fatalf("%d of %+v", ns, p)
		}
	})
}
