package main

import (
	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// steady are clocks that keep to a straight line.
var steady = table{name: "steady", about: "offset of steady clocks, 5000 pairs a second in 30 thousand counts, 212 ps, 12 s", run: func(r *report) {
	r.row("clock", "records", "refused", "rms error ps", "rms pull", "largest pull")
	for _, c := range []struct {
		name string
		e    pairs.Experiment
		o    align.Options
	}{
		{"-7 ppm, 5 ms", pairs.Experiment{Frequency: -7e-6, Offset: 5 * millisecond}, defaults},
		{"+19 ppm, +0.9 s (search 3 s)", pairs.Experiment{Frequency: 19e-6, Offset: 900 * millisecond}, within20ppm(3000 * millisecond)},
	} {
		n := r.seeds(20, 2)
		errors, pulls := make([]float64, n), make([]float64, n)
		refused := make([]bool, n)
		each(n, func(i int) {
			e := c.e
			e.Seed, e.Seconds, e.SinglesA, e.SinglesB = r.seed(9000+i), 12, 30e3, 30e3
			a := aligned(e, c.o)
			if refused[i] = a.err != nil; !refused[i] {
				errors[i], pulls[i] = a.off(), a.pull()
			}
		})
		lost := 0
		for _, no := range refused {
			if no {
				lost++
			}
		}
		r.row(c.name, n, lost, rms(errors), rms(pulls), largest(pulls))
		r.want(lost == 0, "%s: %d of %d are refused", c.name, lost, n)
		r.want(within(pulls, 4) == 1, "%s: a pull of %.1f", c.name, largest(pulls))
	}
}}
