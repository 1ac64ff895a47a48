package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"tsrun/internal/pairs"
)

// wide are searches of seconds, in records of which the nodes share a part.
var wide = table{name: "wide", about: "records of different lengths that share a part, within a search of 3 s", run: func(r *report) {
	r.row("records", "aligned", "refused", "false", "rms pull", "largest pull")
	n := r.seeds(80, 8)
	pulls, refused := make([]float64, n), make([]bool, n)
	each(n, func(i int) {
		rng := rand.New(rand.NewPCG(r.seed(i), 84))
		e := shareSome(r.seed(84_000+i), rng)
		a := aligned(e, within20ppm(3000*millisecond))
		if refused[i] = a.err != nil; !refused[i] {
			pulls[i] = a.pull()
		}
		if r.verbose {
			fmt.Printf("%d A %v B %.3g to %.3g s, offset %.3g s, %d pairs: pull %.3g %v\n", i, e.NoA, e.LateB, e.Seconds-e.EarlyB, float64(e.Offset)/1e12, a.truth.Recorded, pulls[i], a.err)
		}
	})
	var right []float64
	lost, wrong := 0, 0
	for i, pull := range pulls {
		switch {
		case refused[i]:
			lost++
		case math.Abs(pull) > 5:
			wrong++
		default:
			right = append(right, pull)
		}
	}
	r.row(n, len(right), lost, wrong, rms(right), largest(right))
	r.want(lost == 0, "%d of %d are refused", lost, n)
	r.want(wrong == 0, "%d of %d answers are false", wrong, n)
}}

// shareSome is two records that begin and end at any time, and share at least
// half a second.
func shareSome(seed uint64, rng *rand.Rand) pairs.Experiment {
	for {
		e := pairs.Experiment{Seed: seed, Seconds: 12, SinglesA: 6e3, SinglesB: 6e3, Pairs: 2e3, Frequency: 3e-5 * (rng.Float64() - 0.5),
			Offset: int64(5.8e12 * (rng.Float64() - 0.5))}
		a := [2]float64{12 * rng.Float64(), 12 * rng.Float64()}
		b := [2]float64{12 * rng.Float64(), 12 * rng.Float64()}
		if math.Min(a[1], b[1])-math.Max(a[0], b[0]) < 0.5 {
			continue
		}
		e.NoA = []pairs.Span{{From: -1, To: a[0]}, {From: a[1], To: 13}}
		e.LateB, e.EarlyB = b[0], 12-b[1]
		return e
	}
}
