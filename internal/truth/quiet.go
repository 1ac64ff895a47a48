package main

import (
	"math"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// quietClocks move by less than shows in one record, or do not move at all.
var quietClocks = []named{
	{"straight", pairs.Experiment{}},
	{"oven 5e-12, 2e-12", pairs.Experiment{WhiteFM: 5e-12, RandomWalkFM: 2e-12}},
	{"oven 1e-12, 5e-13", pairs.Experiment{WhiteFM: 1e-12, RandomWalkFM: 5e-13}},
	{"white FM 3e-12", pairs.Experiment{WhiteFM: 3e-12}},
	{"white FM 1e-11", pairs.Experiment{WhiteFM: 1e-11}},
	{"sine 3 ps, 9 s", pairs.Experiment{Sine: 3, SinePeriod: 9}},
	{"sine 6 ps, 9 s", pairs.Experiment{Sine: 6, SinePeriod: 9}},
	{"ageing 1e-12/s", pairs.Experiment{Drift: 1e-12}},
	{"ageing 3e-13/s", pairs.Experiment{Drift: 3e-13}},
}

// quiet measures each of these clocks. The frequency is the mean over the record.
var quiet = table{name: "quiet", about: "quiet clocks, 5000 pairs a second in 30 thousand counts, 212 ps, -7 ppm, 12 s", run: func(r *report) {
	r.row("clock", "records", "refused", "wander", "rms error ps", "sd over bound", "rms pull", "largest pull", "rms pull start", "largest", "rms pull frequency", "largest", "of the record within 3 sd")
	var sum quietFound
	for i, c := range quietClocks {
		n := r.seeds(40, 2)
		if r.part && i%3 > 0 {
			continue
		}
		all := quietRecords(n, defaults, func(k int) pairs.Experiment {
			e := c.e
			e.Seed, e.Seconds, e.SinglesA, e.SinglesB, e.Frequency, e.Offset = r.seed(8000+100*i+k), 12, 30e3, 30e3, -7e-6, 5_000_000_000
			return e
		})
		r.quietRow(c.name, n, all)
		r.want(r.part || rms(all.pulls) < 1.3 && rms(all.start) < 1.3, "%s: rms pulls of %.2f and at the start %.2f", c.name, rms(all.pulls), rms(all.start))
		r.want(r.part || within(all.path, 3) >= 0.98, "%s: %.3f of the record within 3 sd", c.name, within(all.path, 3))
		sum.add(all)
	}
	r.quietSum(sum)
}}

// quietElsewhere measures quiet clocks in records of other lengths, rates and
// jitters.
var quietElsewhere = table{name: "quiet-elsewhere", about: "quiet clocks, each of eleven in records of other lengths, pairs a second and jitters", run: func(r *report) {
	clocks := append(quietClocks[:len(quietClocks):len(quietClocks)],
		named{"random walk 1e-11", pairs.Experiment{RandomWalkFM: 1e-11}}, named{"sine 6 ps, 3 s", pairs.Experiment{Sine: 6, SinePeriod: 3}})
	r.row("records", "number", "refused", "wander", "rms error ps", "sd over bound", "rms pull", "largest pull", "rms pull start", "largest", "rms pull frequency", "largest", "of the record within 3 sd")
	var sum quietFound
	for i, c := range []struct {
		name                 string
		seconds, rate, sigma float64
	}{
		{"6 s", 6, 5e3, 212}, {"30 s", 30, 5e3, 212}, {"60 s", 60, 5e3, 212},
		{"12 s, 1000 pairs/s", 12, 1e3, 212}, {"12 s, 20 000 pairs/s", 12, 20e3, 212}, {"12 s, 60 ps", 12, 5e3, 60},
	} {
		n := r.seeds(4*len(clocks), 2)
		all := quietRecords(n, defaults, func(k int) pairs.Experiment {
			e := clocks[k%len(clocks)].e
			e.Seed, e.Seconds, e.Pairs, e.SinglesA, e.SinglesB = r.seed(200_000+1000*i+k), c.seconds, c.rate, 30e3+2*c.rate, 30e3+2*c.rate
			e.JitterA, e.JitterB, e.Frequency, e.Offset = c.sigma/math.Sqrt2, c.sigma/math.Sqrt2, -7e-6, 5_000_000_000
			return e
		})
		r.quietRow(c.name, n, all)
		sum.add(all)
	}
	r.quietSum(sum)
}}

// quietRow is a line of what was found, and what it must be.
func (r *report) quietRow(name string, n int, all quietFound) {
	r.row(name, n, all.refused, all.wander, rms(all.errors), rms(all.wide), rms(all.pulls), largest(all.pulls), rms(all.start), largest(all.start),
		rms(all.frequency), largest(all.frequency), within(all.path, 3))
	r.want(all.refused == 0, "%s: %d refused", name, all.refused)
	r.want(within(all.pulls, 4) == 1 && within(all.start, 4) == 1, "%s: pulls of %.1f and at the start %.1f", name, largest(all.pulls), largest(all.start))
}

// quietSum judges offsets and starts of all clocks as one, but for what so many
// values are off by chance.
func (r *report) quietSum(sum quietFound) {
	pulls := append(sum.pulls, sum.start...)
	r.row("all", len(sum.pulls), sum.refused, sum.wander, "", "", rms(sum.pulls), largest(sum.pulls), rms(sum.start), largest(sum.start), rms(sum.frequency), largest(sum.frequency), within(sum.path, 3))
	least := 0.99 - 2*math.Sqrt(0.99*0.01/float64(len(pulls)))
	r.want(within(pulls, 3) >= least, "all: %.4f of offsets and starts within 3 sd", within(pulls, 3))
	r.want(r.part || within(sum.path, 3) >= 0.99, "all: %.4f of the record within 3 sd", within(sum.path, 3))
}

// quietRecords is what is found in n records.
func quietRecords(n int, o align.Options, record func(k int) pairs.Experiment) (all quietFound) {
	t := make([]quietFound, n)
	each(n, func(k int) { t[k] = quietRecord(record(k), o) })
	for _, f := range t {
		all.add(f)
	}
	return all
}

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

func quietRecord(e pairs.Experiment, o align.Options) (f quietFound) {
	found := aligned(e, o)
	if found.err != nil {
		return quietFound{refused: 1}
	}
	frequency, frequencySD := found.Frequency, found.FrequencySD
	if found.Wanders { // then these are of the middle of the record, and its mean is meant
		f.wander = 1
		frequency, frequencySD = found.Track.Mean(found.Start, found.end())
	}
	mean := found.truth.FrequencyBetween(found.Start, found.end()) * 1e9
	f.errors, f.wide, f.pulls = []float64{found.off()}, []float64{found.OffsetSD / found.truth.OffsetBound(found.Reference)}, []float64{found.pull()}
	f.start, f.frequency = []float64{found.startPull()}, []float64{(frequency - mean) / frequencySD}
	f.path = over(found.path(40))
	return f
}
