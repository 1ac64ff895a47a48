package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// nothingShapes are light that both nodes see but no pairs, and pairs that are
// not where they are looked for, in records of so many seconds.
func nothingShapes(seconds float64) []named {
	const us, ms = 1e6, 1e9 // ps
	none := pairs.Experiment{Seconds: seconds, SinglesA: 30e3, SinglesB: 30e3, Pairs: -1, Offset: 5 * millisecond, Frequency: -7e-6}
	with := func(change func(e *pairs.Experiment)) pairs.Experiment {
		e := none
		change(&e)
		return e
	}
	flicker := func(hertz float64) pairs.Experiment {
		return with(func(e *pairs.Experiment) { e.Flicker, e.FlickerHz = 0.9, hertz })
	}
	lamp := func(period float64) pairs.Experiment {
		return with(func(e *pairs.Experiment) {
			e.SinglesA, e.SinglesB, e.GatePeriod, e.GateOpen = 60e3, 60e3, period, period/2
		})
	}
	tags := func(n float64) pairs.Experiment {
		return with(func(e *pairs.Experiment) { e.Seconds, e.SinglesA, e.SinglesB = 12, n/12, n/12 })
	}
	laser := func(period, singles, apart float64) pairs.Experiment {
		return with(func(e *pairs.Experiment) {
			e.Seconds, e.SinglesA, e.SinglesB, e.PulsedA, e.PulsedB = 2*seconds, singles, singles, 0.9*singles, 0.9*singles
			e.PulsePeriod, e.PulsePeriodB, e.PulseWidth = period, period*apart, 50
		})
	}
	return []named{
		{"even light", none},
		{"bunched light, 10 us", with(func(e *pairs.Experiment) { e.Bunching = 10 * us })},
		{"bunched light, 1 ms", with(func(e *pairs.Experiment) { e.Bunching = ms })},
		{"common 50 Hz", flicker(50)}, {"common 1 kHz", flicker(1e3)}, {"common 100 kHz", flicker(1e5)},
		{"lamp on and off, 50 Hz", lamp(20 * ms)}, {"lamp on and off, 1 kHz", lamp(ms)}, {"lamp on and off, 20 kHz", lamp(50 * us)},
		{"common flashes of 1 ms", with(func(e *pairs.Experiment) { e.FlashWidth, e.FlashHz = ms, 30 })},
		{"common flashes of 1 us", with(func(e *pairs.Experiment) { e.FlashWidth, e.FlashHz = us, 1000 })},
		{"saturated, 5 us dead", with(func(e *pairs.Experiment) { e.SinglesA, e.SinglesB, e.DeadTime = 300e3, 300e3, 5*us })},
		{"saturated, 5 us dead, 50 Hz", with(func(e *pairs.Experiment) {
			e.SinglesA, e.SinglesB, e.DeadTime, e.Flicker = 300e3, 300e3, 5*us, 0.9
		})},
		{"5 % afterpulses", with(func(e *pairs.Experiment) { e.Afterpulse, e.DeadTime = 0.05, 50e3 })},
		{"steps of 100 ns", with(func(e *pairs.Experiment) { e.StepA, e.StepB = 100e3, 100e3 })},
		{"steps of 1 us", with(func(e *pairs.Experiment) { e.StepA, e.StepB = us, us })},
		{"17 tags", tags(17)}, {"300 tags", tags(300)},
		{"A's laser of 1 MHz, B's even light", with(func(e *pairs.Experiment) { e.PulsedA, e.PulsePeriod, e.PulseWidth = 27e3, us, 50 })},
		{"pairs 60 ms beside a search of 20 ms", with(func(e *pairs.Experiment) { e.Pairs, e.Offset = 3000, 60*millisecond })},
		{"pairs 60 ppm apart, 20 allowed", with(func(e *pairs.Experiment) { e.Pairs, e.Frequency = 3000, 60e-6 })},
		{"lasers of 76 MHz, 5 ppm apart", laser(1e6/76, 30e3, 1+5e-6)},
		{"lasers of 76 MHz, 0.13 % apart", laser(1e6/76, 30e3, 1.0013)},
		{"lasers of 50 MHz", laser(20e3, 30e3, 1)},
		{"lasers of 1 MHz", laser(us, 30e3, 1)},
		{"lasers of 1 MHz, 5 ppm apart", laser(us, 30e3, 1+5e-6)},
		{"lasers of 100 kHz", laser(10*us, 10e3, 1)},
		{"lasers of 20 kHz", laser(50*us, 4e3, 1)},
		{"lasers of 3 kHz", laser(ms/3, 900, 1)},
	}
}

// nothing is records that do not say where B's clock is: there is no answer.
// What flashes so rarely and so briefly that each flash tells is found.
var nothing = table{name: "nothing", about: "light that is no pairs, and pairs that are not where they are looked for: there is no answer", run: func(r *report) {
	r.row("light", "records", "refused", "answered")
	n := r.seeds(20, 1)
	seconds := 1.0
	if r.part {
		seconds = 0.3
	}
	for k, shape := range nothingShapes(seconds) {
		if r.part && k%2 == 1 {
			continue // a part looks at every second kind of light
		}
		all := make([]pulsedAnswer, n)
		each(n, func(i int) {
			e := shape.e
			e.Seed = r.seed(85_000 + 100*k + i)
			all[i] = answerPulsed(e, align.DefaultSearch)
			if r.verbose {
				fmt.Println(shape.name, i, all[i])
			}
		})
		codes, answered := map[string]int{}, 0
		for _, a := range all {
			if codes[a.code]++; a.err == nil {
				answered++
			}
		}
		delete(codes, "")
		r.row(shape.name, n, counted(codes), answered)
		r.want(answered == 0, "%s: %d are answered", shape.name, answered)
	}
	flashes := pairs.Experiment{Seconds: 1, SinglesA: 20e3, SinglesB: 20e3, Pairs: -1, Offset: 5 * millisecond, FlashWidth: 10e3, FlashHz: 1000}
	var pulls []float64
	for i := range n {
		flashes.Seed = r.seed(89_000 + i)
		if a := answerPulsed(flashes, align.DefaultSearch); a.err == nil {
			pulls = append(pulls, a.pull())
		}
	}
	r.row("rare flashes of 10 ns (found)", n, n-len(pulls), len(pulls))
	r.want(len(pulls) == n && within(pulls, 5) == 1, "rare flashes: %d of %d found, the largest pull is %.3g", len(pulls), n, largest(pulls))
}}

// counted tells how often each was there.
func counted(codes map[string]int) string {
	var all []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		all = append(all, fmt.Sprintf("%d %s", codes[code], code))
	}
	return strings.Join(all, ", ")
}
