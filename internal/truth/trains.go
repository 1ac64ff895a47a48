package main

import (
	"fmt"
	"math"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// trains are sources of pulses that come in other ways than evenly, and
// detectors that change them.
var trains = table{name: "trains", about: "pulses in bursts, of drifting lasers, in gates, seen by several or slow detectors: no answer may be a wrong pulse", run: func(r *report) {
	r.row("light", "records", "right", "ambiguous", "refused otherwise", "false", "largest pull")
	n := r.seeds(10, 1)
	for k, shape := range trainShapes() {
		all := make([]pulsedAnswer, n)
		each(n, func(i int) {
			e := shape.e
			e.Seed = r.seed(87_000 + 100*k + i)
			e.Pairs *= []float64{1, 0.3, 0.1}[i%3]
			e.Frequency, e.Offset = 2e-5*(math.Mod(0.618*float64(i+1), 1)-0.5), 5*millisecond
			light := e.SinglesA - e.Pairs/0.3
			e.EtaA, e.EtaB, e.PulsedA, e.PulsedB = 0.3, 0.3, 0.9*light, 0.9*light
			all[i] = answerPulsed(e, align.DefaultSearch)
			all[i].beside = middleOf(e.DelaysB) - middleOf(e.DelaysA)
			if r.verbose {
				fmt.Println(shape.name, i, all[i])
			}
		})
		reach := 1e4 + middleOf(shape.e.DelaysB)
		t := tallyOf(all, func(a pulsedAnswer) bool { return math.Abs(a.off()+a.beside) > reach })
		r.row(shape.name, n, t.right, t.ambiguous, t.otherwise, t.wrong, largest(t.pulls))
		r.want(t.wrong == 0, "%s: %d answers are a wrong pulse", shape.name, t.wrong)
	}
}}

// middleOf is the mean of delays, 0 of none.
func middleOf(delays []float64) (mean float64) {
	for _, d := range delays {
		mean += d / float64(len(delays))
	}
	return mean
}

func trainShapes() []named {
	const us = 1e6 // ps
	with := func(period, singles float64, change func(e *pairs.Experiment)) pairs.Experiment {
		e := pairs.Experiment{Seconds: 3, SinglesA: singles, SinglesB: singles, Pairs: singles / 10, PulsePeriod: period, PulseWidth: 50}
		change(&e)
		return e
	}
	return []named{
		{"80 MHz, 30 ns dead", with(12_500, 30e3, func(e *pairs.Experiment) { e.DeadTime = 30e3 })},
		{"80 MHz, 1 us dead, 5 % afterpulses", with(12_500, 30e3, func(e *pairs.Experiment) { e.DeadTime, e.Afterpulse = us, 0.05 })},
		{"1 MHz, pulses scatter by 10 ps", with(us, 20e3, func(e *pairs.Experiment) { e.PulseWidth = 10 })},
		{"1 MHz, pulses scatter by 500 ps", with(us, 20e3, func(e *pairs.Experiment) { e.PulseWidth = 500 })},
		{"1 MHz, 1 ppm/s faster", with(us, 20e3, func(e *pairs.Experiment) { e.PulseDrift = 1e-6 })},
		{"10 kHz, 3 ppm/s faster", with(100*us, 2e3, func(e *pairs.Experiment) { e.PulseDrift = 3e-6 })},
		{"76 MHz, every 10th pulse", with(1e7/76, 30e3, func(e *pairs.Experiment) {})},
		{"76 MHz, 10 pulses every us", with(1e6/76, 30e3, func(e *pairs.Experiment) { e.Burst, e.BurstPeriod = 10, us })},
		{"two pulses 5 ns apart at 1 MHz", with(5e3, 20e3, func(e *pairs.Experiment) { e.Burst, e.BurstPeriod = 2, us })},
		{"two pulses 10 us apart at 1 kHz", with(10*us, 500, func(e *pairs.Experiment) { e.Burst, e.BurstPeriod = 2, 1000*us })},
		{"gates of 1 us every 10 us", with(0, 100e3, func(e *pairs.Experiment) { e.GatePeriod, e.GateOpen = 10*us, us })},
		{"20 MHz in gates of 5 us every 10 us", with(50e3, 40e3, func(e *pairs.Experiment) { e.GatePeriod, e.GateOpen = 10*us, 5*us })},
		{"20 MHz, two detectors a side, 1.1 and 1.7 ns apart", with(50e3, 30e3, func(e *pairs.Experiment) {
			e.DelaysA, e.DelaysB = []float64{0, 1100}, []float64{0, 1700}
		})},
		{"1 MHz, two detectors of B 300 ns apart", with(us, 20e3, func(e *pairs.Experiment) { e.DelaysB = []float64{300e3, 0} })},
	}
}
