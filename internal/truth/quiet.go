package main

import (
	"context"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// quiet are clocks that move by less than shows in one record, and some that
// do not move at all. The frequency is the mean over the
// record.
var quiet = table{name: "quiet", about: "quiet clocks, 5000 pairs a second in 30 thousand counts, 212 ps, -7 ppm, 12 s", run: func(r *report) {
	r.row("clock", "records", "refused", "wander", "rms error ps", "sd over bound", "rms pull", "largest pull", "rms pull start", "largest", "rms pull frequency", "largest", "of the record within 3 sd")
	for i, c := range []struct {
		name string
		e    pairs.Experiment
	}{
		{"straight", pairs.Experiment{}},
		{"oven 5e-12, 2e-12", pairs.Experiment{WhiteFM: 5e-12, RandomWalkFM: 2e-12}},
		{"oven 1e-12, 5e-13", pairs.Experiment{WhiteFM: 1e-12, RandomWalkFM: 5e-13}},
		{"white FM 3e-12", pairs.Experiment{WhiteFM: 3e-12}},
		{"white FM 1e-11", pairs.Experiment{WhiteFM: 1e-11}},
		{"sine 3 ps, 9 s", pairs.Experiment{Sine: 3, SinePeriod: 9}},
		{"sine 6 ps, 9 s", pairs.Experiment{Sine: 6, SinePeriod: 9}},
		{"ageing 1e-12/s", pairs.Experiment{Drift: 1e-12}},
		{"ageing 3e-13/s", pairs.Experiment{Drift: 3e-13}},
	} {
		n := r.seeds(20, 2)
		if r.part && i%3 > 0 {
			continue
		}
		t := make([]quietFound, n)
		each(n, func(k int) {
			e := c.e
			e.Seed, e.Seconds, e.SinglesA, e.SinglesB, e.Frequency, e.Offset = r.seed(8000+100*i+k), 12, 30e3, 30e3, -7e-6, 5_000_000_000
			t[k] = quietRecord(e)
		})
		var all quietFound
		for _, f := range t {
			all.add(f)
		}
		r.row(c.name, n, all.refused, all.wander, rms(all.errors), rms(all.wide), rms(all.pulls), largest(all.pulls), rms(all.start), largest(all.start),
			rms(all.frequency), largest(all.frequency), within(all.path, 3))
		r.want(all.refused == 0, "%s: %d refused", c.name, all.refused)
		r.want(r.part || rms(all.pulls) < 1.3 && rms(all.start) < 1.3, "%s: rms pulls of %.2f and at the start %.2f", c.name, rms(all.pulls), rms(all.start))
		r.want(within(all.pulls, 4) == 1 && within(all.start, 4) == 1, "%s: pulls of %.1f and at the start %.1f", c.name, largest(all.pulls), largest(all.start))
		r.want(r.part || within(all.path, 3) >= 0.98, "%s: %.3f of the record within 3 sd", c.name, within(all.path, 3))
	}
}}

// quietFound is what was found in records of one clock.
type quietFound struct {
	refused, wander                             int
	errors, wide, pulls, start, frequency, path []float64
}

func (q *quietFound) add(o quietFound) {
	q.refused += o.refused
	q.wander += o.wander
	q.errors, q.wide, q.pulls = append(q.errors, o.errors...), append(q.wide, o.wide...), append(q.pulls, o.pulls...)
	q.start, q.frequency, q.path = append(q.start, o.start...), append(q.frequency, o.frequency...), append(q.path, o.path...)
}

func quietRecord(e pairs.Experiment) (f quietFound) {
	a, b, truth := e.Make()
	found, err := align.Align(context.Background(), a, b, align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift})
	if err != nil {
		return quietFound{refused: 1}
	}
	if found.Wanders {
		f.wander = 1
	}
	off := found.Offset.Minus(truth.OffsetAt(found.Reference))
	frequency := truth.FrequencyBetween(found.Start, found.Start+uint64(found.Overlap)) * 1e9
	f.errors, f.wide, f.pulls = []float64{off}, []float64{found.OffsetSD / truth.OffsetBound(found.Reference)}, []float64{off / found.OffsetSD}
	f.start = []float64{found.StartOffset.Minus(truth.OffsetAt(found.Start)) / found.StartSD}
	f.frequency = []float64{(found.Frequency - frequency) / found.FrequencySD}
	for k := range 41 {
		t := found.Start + uint64(found.Overlap/40*int64(k))
		offset, sd := found.OffsetAt(t)
		f.path = append(f.path, offset.Minus(truth.OffsetAt(t))/sd)
	}
	return f
}
