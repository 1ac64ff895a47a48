package main

import (
	"math"

	"tsrun/internal/pairs"
	"tsrun/pipeline/track"
)

// wandering clocks, and what their deviations are in theory (Riley, NIST SP 1065, tables
// of power laws; the time deviation is that of times averaged over the whole of tau).
var wandering = []struct {
	named
	allan func(tau float64) float64
	time  func(tau float64) float64 // ps
}{
	{named{"white FM 3e-10", pairs.Experiment{WhiteFM: 3e-10}},
		func(tau float64) float64 { return 3e-10 / math.Sqrt(tau) },
		func(tau float64) float64 { return 3e-10 * 1e12 * math.Sqrt(tau/6) }},
	{named{"random-walk FM 2e-11", pairs.Experiment{RandomWalkFM: 2e-11}},
		func(tau float64) float64 { return 2e-11 * math.Sqrt(tau/3) },
		func(tau float64) float64 { return 2e-11 * 1e12 * tau * math.Sqrt(tau/3*walkModified/3) }},
}

// walkModified is the modified Allan variance of random-walk FM as a part of the Allan
// variance, for averages of many phases.
const walkModified = 33. / 40

// deviations holds the Allan and the time deviations that are stated of a clock against
// theory.
var deviations = table{name: "deviations", about: "Allan and time deviations of clocks, 1000 pairs a second in 5 thousand counts, 212 ps, 600 s; points of all records by octaves; want: those of theory in 3 sd", run: func(r *report) {
	r.row("clock", "tau s", "points", "ADEV over theory, rms", "in 3 sd", "TDEV over theory, rms", "in 3 sd", "TDEV ps", "what jitter adds ps")
	for i, c := range wandering {
		n := r.seeds(24, 2)
		all := make([][]track.AllanPoint, n)
		each(n, func(k int) {
			e := c.e
			e.Seed, e.Seconds, e.SinglesA, e.SinglesB, e.Pairs, e.Frequency = r.seed(73_000+100*i+k), 600, 5e3, 5e3, 1e3, 3e-7
			if a := aligned(e, defaults); a.Track != nil {
				all[k] = a.Track.Allan
			}
		})
		octaves, least, most := map[int]*octave{}, math.MaxInt, math.MinInt
		for k, points := range all {
			r.want(len(points) >= 8, "%s: record %d has %d points", c.name, k, len(points))
			for _, p := range points {
				of := int(math.Round(math.Log2(p.Tau)))
				if octaves[of] == nil {
					octaves[of] = &octave{}
				}
				octaves[of].add(p, c.allan(p.Tau), c.time(p.Tau))
				least, most = min(least, of), max(most, of)
			}
		}
		var pulls []float64
		for of := least; of <= most; of++ {
			if o := octaves[of]; o != nil {
				r.row(c.name, math.Pow(2, float64(of)), len(o.allan), rms(o.allan), within(o.allanPulls, 3), rms(o.time), within(o.timePulls, 3), rms(o.times), rms(o.floors))
				pulls = append(append(pulls, o.allanPulls...), o.timePulls...)
			}
		}
		// Points of one record at several times are of the same wander: a record that is out at
		// one is out at its neighbours.
		r.want(within(pulls, 3) >= 0.97, "%s: %.3f of the points are in 3 sd", c.name, within(pulls, 3))
	}
}}

// octave is what records say of a clock at about one time.
type octave struct {
	allan, time, allanPulls, timePulls, times, floors []float64
}

func (o *octave) add(p track.AllanPoint, allan, time float64) {
	o.allan, o.allanPulls = append(o.allan, p.Deviation/allan), append(o.allanPulls, (p.Deviation-allan)/p.SD)
	if p.TimeSD == 0 {
		return // the record holds too few of it
	}
	o.time, o.timePulls = append(o.time, p.Time/time), append(o.timePulls, (p.Time-time)/p.TimeSD)
	o.times, o.floors = append(o.times, p.Time), append(o.floors, p.TimeFloor)
}
