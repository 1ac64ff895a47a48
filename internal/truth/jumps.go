package main

import (
	"fmt"
	"math"

	"tsrun/internal/pairs"
)

// jumpShapes are records whose clock jumps, or whose light goes out: 12 s, 30 thousand counts, 212 ps.
func jumpShapes() (shapes []named) {
	base := pairs.Experiment{Seconds: 12, SinglesA: 30e3, SinglesB: 30e3, Frequency: -7e-6, Offset: 5_000_000_000}
	add := func(name string, change func(e *pairs.Experiment)) {
		e := base
		change(&e)
		shapes = append(shapes, named{name, e})
	}
	for _, rate := range []float64{5e3, 1e3} {
		for _, ppb := range []float64{5, 10, 20, 50, 200, 1000} {
			add(fmt.Sprintf("%g ppb at 5.3 s, %g pairs/s", ppb, rate), func(e *pairs.Experiment) {
				e.Pairs, e.Steps = rate, []pairs.Step{{At: 5.3, Frequency: ppb * 1e-9}}
			})
		}
		for _, c := range []struct {
			name  string
			steps []pairs.Step
		}{
			{"8 ms at 5.3 s", []pairs.Step{{At: 5.3, Size: 8e9}}},
			{"-8 ms at 5.3 s", []pairs.Step{{At: 5.3, Size: -8e9}}},
			{"30 ms at 5.3 s", []pairs.Step{{At: 5.3, Size: 30e9}}},
			{"30 ns and 20 ppb at 5.3 s", []pairs.Step{{At: 5.3, Size: 30e3, Frequency: 20e-9}}},
			{"8 ms and 20 ppb at 5.3 s", []pairs.Step{{At: 5.3, Size: 8e9, Frequency: 20e-9}}},
			{"100 ppb at 0.6 s", []pairs.Step{{At: 0.6, Frequency: 100e-9}}},
			{"100 ppb at 11.3 s", []pairs.Step{{At: 11.3, Frequency: 100e-9}}},
			{"50 ppb from 4 to 7 s", []pairs.Step{{At: 4, Frequency: 50e-9}, {At: 7, Frequency: -50e-9}}},
			{"8 ms from 4 to 7 s", []pairs.Step{{At: 4, Size: 8e9}, {At: 7, Size: -8e9}}},
			{"100, -300, 500 ppb at 2, 5, 9 s", []pairs.Step{{At: 2, Frequency: 100e-9}, {At: 5, Frequency: -300e-9}, {At: 9, Frequency: 500e-9}}},
			{"-10 ppb and 10 ppb in turn every 3 s", []pairs.Step{{At: 3, Frequency: 10e-9}, {At: 6, Frequency: -10e-9}, {At: 9, Frequency: 10e-9}}},
		} {
			add(fmt.Sprintf("%s, %g pairs/s", c.name, rate), func(e *pairs.Experiment) { e.Pairs, e.Steps = rate, c.steps })
		}
	}
	for _, step := range []float64{30e3, 300, 1e9} {
		add(fmt.Sprintf("%g ns at 5.6 s, dark from 4 to 6 s", step/1e3), func(e *pairs.Experiment) {
			e.Steps, e.NoPairs = []pairs.Step{{At: 5.6, Size: step}}, []pairs.Span{{From: 4, To: 6}}
		})
	}
	add("20 ppb at 5.6 s, dark from 4 to 6 s", func(e *pairs.Experiment) {
		e.Steps, e.NoPairs = []pairs.Step{{At: 5.6, Frequency: 20e-9}}, []pairs.Span{{From: 4, To: 6}}
	})
	add("dark from 4 to 8 s", func(e *pairs.Experiment) { e.NoPairs = []pairs.Span{{From: 4, To: 8}} })
	add("dark from 0 to 3 s", func(e *pairs.Experiment) { e.NoPairs = []pairs.Span{{From: 0, To: 3}} })
	add("dark from 4 to 8 s, white FM 1e-10", func(e *pairs.Experiment) {
		e.NoPairs, e.WhiteFM = []pairs.Span{{From: 4, To: 8}}, 1e-10
	})
	add("B missing from 4 to 8 s", func(e *pairs.Experiment) { e.NoB = []pairs.Span{{From: 4, To: 8}} })
	add("A missing from 2 to 4 s, B from 7 to 9 s", func(e *pairs.Experiment) {
		e.NoA, e.NoB = []pairs.Span{{From: 2, To: 4}}, []pairs.Span{{From: 7, To: 9}}
	})
	return shapes
}

// followed is what one record of a shape gave.
type followed struct {
	code   string // of a refusal
	offset float64
	start  float64
	knots  []float64
	path   []float64 // at 200 times from start to end
	steps  int
	lost   float64 // share of the path with a deviation above 1 us
}

func follow(e pairs.Experiment) followed {
	found := aligned(e, defaults)
	if found.err != nil {
		return followed{code: found.code}
	}
	f := followed{offset: found.pull(), start: found.startPull(), knots: found.knots(), steps: found.steps()}
	const places = 200
	errors, sds := found.path(places)
	f.path = over(errors, sds)[:places]
	for _, sd := range sds[:places] {
		if !(sd < 1e6) {
			f.lost += 1.0 / places
		}
	}
	return f
}

// jumps are clocks that jump, and sources that go dark.
var jumps = table{name: "jumps", about: "clocks that jump, and gaps: 12 s, 30 thousand counts, 212 ps", run: func(r *report) {
	r.row("record", "records", "refused", "jumps found", "offset: largest pull", "start: largest pull", "knots: rms pull", "in 3 sd", "largest", "path: in 3 sd", "largest", "path not known")
	var ofAll []float64
	for _, shape := range jumpShapes() {
		n := r.seeds(20, 1)
		all := make([]followed, n)
		each(n, func(i int) {
			e := shape.e
			e.Seed = r.seed(7100 + i)
			all[i] = follow(e)
		})
		var offsets, starts, knots, path []float64
		refused, steps, lost := 0, 0, 0.0
		codes := ""
		for _, f := range all {
			if f.code != "" {
				refused++
				codes = " " + f.code
				continue
			}
			offsets, starts = append(offsets, f.offset), append(starts, f.start)
			knots, path = append(knots, f.knots...), append(path, f.path...)
			steps += f.steps
			lost += f.lost / float64(n)
		}
		r.row(shape.name, n, fmt.Sprint(refused, codes), steps, largest(offsets), largest(starts), rms(knots), within(knots, 3), largest(knots), within(path, 3), largest(path), lost)
		if refused < n {
			r.want(within(append(offsets, starts...), 4) == 1, "%s: pulls of %.1f and %.1f", shape.name, largest(offsets), largest(starts))
			if r.part { // values of one record are off together: all shapes are judged as one
				ofAll = append(ofAll, math.Min(within(knots, 3), within(path, 3)))
				continue
			}
			r.want(math.Min(within(knots, 3), within(path, 3)) >= 0.99, "%s: knots and path within 3 sd", shape.name)
		}
	}
	if r.part {
		r.want(mean(ofAll) >= 0.99, "all records: %.4f of knots and path within 3 sd", mean(ofAll))
	}
}}
