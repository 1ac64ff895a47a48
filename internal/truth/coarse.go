package main

import (
	"fmt"
	"math"
	"strings"

	"tsrun/internal/pairs"
)

// coarse are tags that come in steps, of clocks that are locked or nearly so.
// Where all pairs lie on one step the error is within it, and no pull.
var coarse = table{name: "coarse", about: "tags in steps, jitter of 0 to 300 ps a side, drift of 0 to 12 ppb, offset anywhere in a step; 5000 pairs a second in 30 thousand counts, 12 s", run: func(r *report) {
	r.row("step ns", "drift ppb", "records", "refused", "on one step", "rms error ps", "rms sd ps", "rms pull", "largest pull", "rms pull frequency", "rms pull start", "worst pull along the record", "jumps")
	n := r.seeds(5, 1)
	jitters := []float64{-1, 10, 60, 300}
	if r.part {
		jitters = []float64{10, 300}
	}
	var all []float64
	for i, step := range []float64{0, 10, 100, 1000. / 12, 1000, 2000, 4000, 10_000} {
		for k, drift := range []float64{0, 0.08, 1, 12} {
			if r.part && (i+k)%3 > 0 {
				continue
			}
			t := coarseRow(r, n, step, drift, jitters)
			r.row(step/1e3, drift, len(jitters)*n, strings.Join(t.refused, " "), t.one, rms(t.errors), rms(t.sds), rms(t.pulls), largest(t.pulls), rms(t.frequency), rms(t.start), t.worst, t.jumps)
			r.want(len(t.refused) == 0, "steps of %g ps, %g ppb: refused %v", step, drift, t.refused)
			r.want(within(t.pulls, 4) == 1 || len(t.pulls) == 0, "steps of %g ps, %g ppb: a pull of %.1f", step, drift, largest(t.pulls))
			r.want(t.jumps == 0, "steps of %g ps, %g ppb: %d jumps", step, drift, t.jumps)
			all = append(all, t.pulls...)
		}
	}
	r.row("all", "", len(all), "", "", "", "", rms(all), largest(all), "", "", "", "")
	r.want(r.part || math.Abs(rms(all)-1) < 0.3, "rms pull of all is %.2f", rms(all))
}}

// coarseFound is what was found in one row of the table.
type coarseFound struct {
	refused                              []string
	errors, sds, pulls, frequency, start []float64
	worst                                float64
	one, jumps                           int
}

func coarseRow(r *report, n int, step, drift float64, jitters []float64) (all coarseFound) {
	results := make([]coarseFound, n*len(jitters))
	each(len(results), func(i int) {
		jitter := jitters[i%len(jitters)]
		e := pairs.Experiment{Seed: r.seed(100*i + int(step)), Seconds: 12, SinglesA: 30e3, SinglesB: 30e3, Frequency: drift * 1e-9,
			Offset: 5_000_000_000 + int64(i*7919)%int64(max(step, 1)), JitterA: jitter, JitterB: jitter, StepA: step, StepB: step}
		found, f := aligned(e, defaults), &results[i]
		if found.err != nil {
			f.refused = append(f.refused, fmt.Sprintf("%v: %v", jitter, found.err))
			return
		}
		off := found.off()
		if q := max(step, 1); math.Abs(off) < q && step > 0 && drift == 0 && found.OffsetSD > 0.3*q { // said to be anywhere within the step
			f.one = 1
			return
		}
		f.errors, f.sds, f.pulls = []float64{off}, []float64{found.OffsetSD}, []float64{off / found.OffsetSD}
		f.frequency = []float64{(found.Frequency - drift) / found.FrequencySD}
		f.start, f.worst, f.jumps = []float64{found.startPull()}, math.Abs(largest(over(found.path(20)))), found.steps()
	})
	for _, f := range results {
		all.refused = append(all.refused, f.refused...)
		all.errors, all.sds, all.pulls = append(all.errors, f.errors...), append(all.sds, f.sds...), append(all.pulls, f.pulls...)
		all.frequency, all.start = append(all.frequency, f.frequency...), append(all.start, f.start...)
		all.worst = max(all.worst, f.worst)
		all.one += f.one
		all.jumps += f.jumps
	}
	return all
}
