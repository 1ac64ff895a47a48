package main

import (
	"context"

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
		{"-7 ppm, 5 ms", pairs.Experiment{Frequency: -7e-6, Offset: 5_000_000_000}, align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift}},
		{"+19 ppm, +0.9 s (search 3 s)", pairs.Experiment{Frequency: 19e-6, Offset: 900_000_000_000}, align.Options{Search: 3_000_000_000_000, MaxDrift: align.DefaultMaxDrift}},
	} {
		n := r.seeds(20, 2)
		errors, pulls := make([]float64, n), make([]float64, n)
		refused := make([]bool, n)
		each(n, func(i int) {
			e := c.e
			e.Seed, e.Seconds, e.SinglesA, e.SinglesB = r.seed(9000+i), 12, 30e3, 30e3
			a, b, truth := e.Make()
			found, err := align.Align(context.Background(), a, b, c.o)
			if err != nil {
				refused[i] = true
				return
			}
			errors[i] = found.Offset.Minus(truth.OffsetAt(found.Reference))
			pulls[i] = errors[i] / found.OffsetSD
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
