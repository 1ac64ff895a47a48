package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
)

// lasers are two that have nothing to do with each other, one at each node.
var lasers = table{name: "lasers", about: "two unrelated lasers of nearly one rate: there is no answer", run: func(r *report) {
	r.row("rates apart", "pairs of lasers", "answered", "said to be ambiguous")
	for _, c := range []struct {
		name  string
		apart func(rng *rand.Rand) float64
	}{
		{"not at all", func(*rand.Rand) float64 { return 0 }},
		{"up to 20 ppm", func(rng *rand.Rand) float64 { return 4e-5 * (rng.Float64() - 0.5) }},
		{"up to 0.13 %", func(rng *rand.Rand) float64 { return 2.6e-3 * (rng.Float64() - 0.5) }},
		{"one twice or three times the other", func(rng *rand.Rand) float64 {
			return float64(1+rng.IntN(2)) + 2e-5*(rng.Float64()-0.5)
		}},
	} {
		n := r.seeds(20, 1)
		all := make([]string, n)
		each(n, func(i int) {
			seed := r.seed(81_000 + i)
			rng := rand.New(rand.NewPCG(seed, 81))
			e := randomPulses(seed, rng.IntN(4) == 0)
			e.Pairs, e.PulsedA, e.PulsedB = -1, 0.9*e.SinglesA, 0.9*e.SinglesB
			e.PulsePeriodB = e.PulsePeriod * (1 + c.apart(rng))
			search := int64(math.Pow(10, 8.5+3*rng.Float64()))
			found := aligned(e, within20ppm(search))
			all[i] = cmp.Or(found.code, "answered")
			if r.verbose {
				fmt.Printf("%d P %.6g us (%.4g), %.3g/s, %.3g s, search %.3g ms: %.6g %v %v\n", i, e.PulsePeriod/1e6, e.PulsePeriodB/e.PulsePeriod-1, e.SinglesA, e.Seconds, float64(search)/1e9, found.Offset.Float(), found.Period, found.err)
			}
		})
		answered, ambiguous := 0, 0
		for _, code := range all {
			switch code {
			case "answered":
				answered++
			case "ambiguous":
				ambiguous++
			}
		}
		r.row(c.name, n, answered, ambiguous)
		r.want(answered == 0, "%s: %d are answered", c.name, answered)
	}
}}
