package main

import (
	"fmt"
	"math"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

const (
	weakPairs   = 40.0 // per second
	weakSeconds = 60.0
	weakJitter  = 73.0 // ps, of each detector
)

// weakLight is one row: how the clocks run and what is asked of the answers, and in how
// many counts per second the pairs are.
type weakLight struct {
	clocks           string
	singles          float64
	records, seed    int
	o                align.Options
	drift            float64 // from its half below 0 to its half above
	held, wide, near float64 // answers in 3 deviations, deviations and errors over the bound
}

var weakLights = []weakLight{
	{"free", 1e3, 50, 71_000, defaults, 2e-6, 0.98, 2.6, 1.3},
	{"free", 10e3, 50, 71_000, defaults, 2e-6, 0.98, 2.6, 1.3},
	{"free", 30e3, 50, 71_000, defaults, 2e-6, 0.98, 2.6, 1.3},
	{"of one reference", 1e3, 500, 72_000, syntonized, 0, 0.99, 1.06, 1.15},
	{"of one reference", 10e3, 200, 73_000, syntonized, 0, 0.99, 1.06, 1.15},
}

// syntonized is what is known of clocks that follow one reference and began within 20 us.
var syntonized = align.Options{Search: 20_000_000}

// weak is light of so few pairs that all of a minute are needed. The bound is what the
// pairs' own jitter leaves, if each were known: sigma / sqrt(N) of the offset in their
// middle, and sqrt(12) times as much over the length for the frequency. Of free clocks what is
// stated is more: so few pairs do not say that the clock does not wander by some ps in a
// second, and below 2.1 times the bound what is stated of clocks that do would not hold
// (weakClocks).
var weak = table{name: "weak", about: "40 pairs a second in 1 to 30 thousand counts, detectors of 73 ps, 60 s, ±5 us, ±1 ppm or one reference; want: found, at the bound", run: func(r *report) {
	r.row("clocks", "counts per second", "records", "not found", "offsets in 3 sd", "rms pull", "rms error ps", "bound ps", "mean sd over bound", "frequencies in 3 sd", "rms pull", "rms error ppb", "bound ppb")
	bound := weakJitter * math.Sqrt2 / math.Sqrt(weakPairs*weakSeconds)
	boundPpb := bound * math.Sqrt(12) / (weakSeconds * 1e12) * 1e9
	for _, l := range weakLights {
		n := r.seeds(l.records, 2)
		all := make([]answer, n)
		each(n, func(i int) {
			spread := float64(i)/float64(n) - 0.5
			all[i] = aligned(pairs.Experiment{Seed: r.seed(l.seed + i), Seconds: weakSeconds, SinglesA: l.singles, SinglesB: l.singles, Pairs: weakPairs,
				JitterA: weakJitter, JitterB: weakJitter, Frequency: l.drift * spread, Offset: 1 + int64(1e7*spread)}, l.o)
		})
		var lost int
		var offsets, pulls, sds, frequencies, frequencyPulls []float64
		for _, a := range all {
			if a.err != nil {
				lost++
				continue
			}
			offsets, pulls, sds = append(offsets, a.off()), append(pulls, a.pull()), append(sds, a.OffsetSD/bound)
			off := a.Frequency - a.truth.FrequencyBetween(a.Start, a.end())*1e9
			frequencies, frequencyPulls = append(frequencies, off), append(frequencyPulls, off/a.FrequencySD)
		}
		r.row(l.clocks, l.singles, n, lost, within(pulls, 3), rms(pulls), rms(offsets), bound, mean(sds), within(frequencyPulls, 3), rms(frequencyPulls), rms(frequencies), boundPpb)
		name := fmt.Sprintf("%s, %g counts", l.clocks, l.singles)
		r.want(lost == 0, "%s: %d are not found", name, lost)
		r.want(within(pulls, 3) >= l.held && within(frequencyPulls, 3) >= l.held, "%s: %.3f of the offsets and %.3f of the frequencies are in 3 sd", name, within(pulls, 3), within(frequencyPulls, 3))
		r.want(r.part || mean(sds) < l.wide && rms(offsets) < l.near*bound, "%s: the deviations are %.2f of the bound, the errors %.2f", name, mean(sds), rms(offsets)/bound)
	}
}}
