package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"tsrun/internal/pairs"
)

// sparse is pulsed light of which a pulse has about one pair by chance, so that
// no pulse shows by itself.
var sparse = table{name: "sparse", about: "pulsed light of 0.3 to 5 chance pairs a pulse, 12 ns to 10 ms, search 0.1 ms to 2.5 s", run: func(r *report) {
	r.row("light", "records", "right", "ambiguous", "refused otherwise", "refused though solvable", "solvable", "false", "largest pull")
	for _, c := range []struct {
		name    string
		related bool
		apart   func(rng *rand.Rand) float64
	}{
		{"pairs of one laser", true, func(*rand.Rand) float64 { return 1 }},
		{"two lasers of one rate", false, func(*rand.Rand) float64 { return 1 }},
		{"two lasers, up to 20 ppm apart", false, func(rng *rand.Rand) float64 { return 1 + 4e-5*(rng.Float64()-0.5) }},
		{"two lasers, 1/2 to 3/2", false, func(rng *rand.Rand) float64 {
			return []float64{0.5, 2. / 3, 1.5}[rng.IntN(3)] + 2e-5*(rng.Float64()-0.5)
		}},
	} {
		n := r.seeds(60, 1)
		all := make([]pulsedAnswer, n)
		each(n, func(i int) {
			seed := r.seed(83_000 + i)
			rng := rand.New(rand.NewPCG(seed, 83))
			e, search := fewPhotons(seed, rng)
			if c.related {
				e.Pairs = (0.02 + 0.3*rng.Float64()*rng.Float64()) * e.SinglesA
				e.PulsedA, e.PulsedB = max(e.PulsedA-e.Pairs/0.3, 0), max(e.PulsedB-e.Pairs/0.3, 0)
			} else {
				e.PulsePeriodB = e.PulsePeriod * c.apart(rng)
			}
			all[i] = answerPulsed(e, search)
			if r.verbose {
				fmt.Println(c.name, i, fmt.Sprintf("search %.3g ms", float64(search)/1e9), all[i])
			}
		})
		missed, solvable := 0, 0
		for _, a := range all {
			if c.related && a.z >= 10 && a.main >= leastSure {
				solvable++
				if a.err != nil {
					missed++
				}
			}
		}
		t := tallyOf(all, func(a pulsedAnswer) bool { return !c.related || math.Abs(a.off()) > 1e4 })
		r.row(c.name, n, t.right, t.ambiguous, t.otherwise, missed, solvable, t.wrong, largest(t.pulls))
		r.want(t.wrong == 0, "%s: %d answers are false", c.name, t.wrong)
		r.want(20*missed <= solvable, "%s: %d of %d are refused though the main pulse stands out by 10 standard deviations", c.name, missed, solvable)
	}
}}

// leastSure is how many pairs tell one place of all that are looked at from
// chance: of fewer, a deviation says little.
const leastSure = 16

// fewPhotons is light of a laser at each node, with so few photons that a pulse
// has about one pair by chance, and how wide to search.
func fewPhotons(seed uint64, rng *rand.Rand) (pairs.Experiment, int64) {
	period := 12e3 * math.Pow(1e10/12e3, rng.Float64())
	seconds := 2 + 8*rng.Float64()
	chance := 0.3 * math.Pow(5/0.3, rng.Float64())
	singles := math.Sqrt(chance/seconds*1e12/period) * (0.7 + 0.6*rng.Float64())
	e := pairs.Experiment{Seed: seed, Seconds: seconds, PulsePeriod: period, PulseWidth: 50, SinglesA: singles, SinglesB: singles,
		Pairs: -1, EtaA: 0.3, EtaB: 0.3, Frequency: 2e-5 * (rng.Float64() - 0.5)}
	light := 0.7 + 0.3*rng.Float64()
	e.PulsedA, e.PulsedB = light*singles, light*singles
	search := int64(math.Pow(10, 8+4.4*rng.Float64()))
	e.Offset = 1 + int64(float64(search)*1.8*(rng.Float64()-0.5))
	return e, search
}
