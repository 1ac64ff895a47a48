package correlate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestSteadyLightIsNotMoved: what is said of steady light by its rate alone is what moved
// tags say; light whose tags follow one another more or less often is moved all the same.
func TestSteadyLightIsNotMoved(t *testing.T) {
	const n, gap, half = 200_000, 1e6, 50_000 // tags; ps
	at := evenly(10_000_000)
	play := func(dead float64, twice float64) (tags []uint64) {
		rng := rand.New(rand.NewPCG(5, 81))
		for now := 0.0; len(tags) < n; {
			now += dead + rng.ExpFloat64()*gap
			tags = append(tags, uint64(now))
			if rng.Float64() < twice {
				tags = append(tags, uint64(now+10_000))
				now += 10_000
			}
		}
		return tags
	}
	for name, c := range map[string]struct {
		tags                  []uint64
		known, part, repeated bool
	}{
		"none":       {nil, false, false, false},
		"one":        {[]uint64{7}, false, false, false},
		"two alike":  {[]uint64{7, 7}, false, false, false},
		"rare":       {play(0, 0)[:500], false, false, false},
		"steady":     {play(0, 0), true, false, false},
		"half blind": {play(half/2, 0), true, true, false},
		"repeated":   {play(0, 0.05), true, false, true},
	} {
		var quick, moved blindness
		quick.look(c.tags, at, half, true)
		moved.look(c.tags, at, half, false)
		for how, b := range map[string]blindness{"steady": quick, "moved": moved} {
			if b.known != c.known || b.part > 0 != c.part || b.repeated > 0 != c.repeated {
				t.Errorf("%s, %s: %+v", name, how, b)
			}
		}
		if math.Abs(quick.part-moved.part) > 0.05 || math.Abs(quick.repeated-moved.repeated) > 0.005 || math.Abs(quick.sd-moved.sd) > 0.2*moved.sd {
			t.Errorf("%s: steady %+v, moved %+v", name, quick, moved)
		}
	}
}
