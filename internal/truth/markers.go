package main

import (
	"context"
	"math"
	"math/rand/v2"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// tick is what one record of markers came to.
type tick struct {
	refused bool
	code    string
	wrong   bool // answered by more than half a period beside the truth
	pulls   []float64
	sd      float64 // of the offset, ps
}

// ticked aligns the markers of an experiment, of which each node loses some by
// itself, and compares what is said with the truth.
func ticked(e pairs.Experiment, lost float64, o align.Options) tick {
	rng := rand.New(rand.NewPCG(e.Seed, 11))
	a, b := e.Markers()
	a, b = some(a, 1-lost, rng), some(b, 1-lost, rng)
	found, err := align.AlignMarkers(context.Background(), a, b, o)
	said := alignedAs(found, e.Truth(), err)
	if err != nil {
		return tick{refused: true, code: said.code}
	}
	t := tick{sd: found.OffsetSD, wrong: math.Abs(said.off()) > e.MarkerPeriod*1e12/2}
	for _, at := range []uint64{found.Reference, found.Start, said.end()} {
		x, sd := found.OffsetAt(at)
		t.pulls = append(t.pulls, x.Minus(said.truth.OffsetAt(at))/sd)
	}
	return t
}

// some returns the tags that a node keeps.
func some(tags []uint64, part float64, rng *rand.Rand) (kept []uint64) {
	for _, t := range tags {
		if rng.Float64() < part {
			kept = append(kept, t)
		}
	}
	return kept
}

// markers are pulses per second, few and many, of good and of bad receivers.
var markers = table{name: "markers", about: "markers every second, 100 ppb, 5 ms: number and jitter", run: func(r *report) {
	r.row("markers", "jitter ps", "records", "refused", "middle: within 3 sd", "start, end: within 3 sd", "rms pull", "typical sd ps")
	for _, n := range []int{4, 5, 6, 8, 12, 20, 60} {
		for _, jitter := range []float64{0, 1, 100, 30e3, 100e3} {
			records := r.seeds(200, 40)
			ticks := make([]tick, records)
			each(records, func(i int) {
				e := pairs.Experiment{Seed: r.seed(i), Seconds: float64(n), MarkerPeriod: 1, MarkerJitter: jitter, Frequency: 1e-7, Offset: 5 * millisecond}
				ticks[i] = ticked(e, 0, defaults)
			})
			var middle, ends []float64
			refused, sd := 0, 0.0
			for _, t := range ticks {
				if t.refused {
					refused++
					continue
				}
				middle, ends, sd = append(middle, t.pulls[0]), append(ends, t.pulls[1:]...), sd+t.sd/float64(records)
			}
			r.row(n, jitter, records, refused, within(middle, 3), within(ends, 3), rms(middle), sd)
			r.want(refused == 0, "%d markers of %.0f ps: %d of %d are refused", n, jitter, refused, records)
			r.want(within(middle, 3) >= 0.985 && within(ends, 3) >= 0.985, "%d markers of %.0f ps: %.3f and %.3f within 3 sd", n, jitter, within(middle, 3), within(ends, 3))
		}
	}
}}

// losses are markers that each node loses by itself: no pattern.
var losses = table{name: "losses", about: "markers of which each node loses some by itself: no false answer", run: func(r *report) {
	r.row("rate Hz", "lost", "search ms", "records", "answered", "ambiguous", "refused otherwise", "false")
	for _, c := range []struct {
		hertz  float64
		search int64
	}{{1, 20}, {1, 3000}, {100, 50}, {1000, 20}, {10000, 20}} {
		for _, lost := range []float64{0, 0.001, 0.01, 0.03, 0.1} {
			records := r.seeds(100, 4)
			ticks := make([]tick, records)
			each(records, func(i int) {
				e := pairs.Experiment{Seed: r.seed(500 + i), Seconds: max(10, min(60, 600/c.hertz)), MarkerPeriod: 1 / c.hertz, MarkerJitter: 50, Frequency: 1e-7, Offset: 5 * millisecond}
				ticks[i] = ticked(e, lost, within20ppm(c.search*millisecond))
			})
			var answered, ambiguous, otherwise, wrong int
			for _, t := range ticks {
				switch {
				case t.code == "ambiguous":
					ambiguous++
				case t.refused:
					otherwise++
				default:
					answered++
				}
				if t.wrong {
					wrong++
				}
			}
			r.row(c.hertz, lost, c.search, records, answered, ambiguous, otherwise, wrong)
			r.want(wrong == 0, "%.0f Hz, %g lost: %d of %d answers are whole periods off", c.hertz, lost, wrong, answered)
			r.want(otherwise == 0, "%.0f Hz, %g lost: %d are refused, but not as ambiguous", c.hertz, lost, otherwise)
			r.want(float64(c.search) > 500/c.hertz || answered == records, "%.0f Hz, %g lost: %d of %d are answered", c.hertz, lost, answered, records)
		}
	}
}}
