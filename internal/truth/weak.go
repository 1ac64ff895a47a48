package main

import (
	"math"

	"tsrun/internal/pairs"
)

const (
	weakPairs   = 40.0 // per second
	weakSeconds = 60.0
	weakJitter  = 73.0 // ps, of each detector
)

// weak is light of so few pairs that all of a minute are needed. The bound is what the
// pairs' own jitter leaves, if each were known: sigma / sqrt(N) of the offset in their
// middle, and sqrt(12) times as much over the length for the frequency. What is stated is
// more: so few pairs do not say that the clock does not wander by some ps in a second, and
// below 2.1 times the bound what is stated of clocks that do would not hold (weakClocks).
var weak = table{name: "weak", about: "40 pairs a second in 1 to 30 thousand counts, detectors of 73 ps, 60 s, ±5 us, ±1 ppm; want: found, at the bound", run: func(r *report) {
	r.row("counts per second", "clocks", "records", "not found", "offsets in 3 sd", "rms pull", "rms error ps", "bound ps", "mean sd over bound", "frequencies in 3 sd", "rms pull", "rms error ppb", "bound ppb")
	bound := weakJitter * math.Sqrt2 / math.Sqrt(weakPairs*weakSeconds)
	boundPpb := bound * math.Sqrt(12) / (weakSeconds * 1e12) * 1e9
	for _, c := range []struct {
		singles    float64
		syntonized bool
	}{{1e3, false}, {10e3, false}, {30e3, false}, {1e3, true}, {10e3, true}, {30e3, true}} {
		singles, o, drift, clocks := c.singles, defaults, 2e-6, "free"
		if c.syntonized {
			o.MaxDrift, drift, clocks = 0, 0, "syntonized"
		}
		n := r.seeds(50, 2)
		all := make([]answer, n)
		each(n, func(i int) {
			spread := float64(i)/float64(n) - 0.5
			all[i] = aligned(pairs.Experiment{Seed: r.seed(71_000 + i), Seconds: weakSeconds, SinglesA: singles, SinglesB: singles, Pairs: weakPairs,
				JitterA: weakJitter, JitterB: weakJitter, Frequency: drift * spread, Offset: 1 + int64(1e7*spread)}, o)
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
		r.row(singles, clocks, n, lost, within(pulls, 3), rms(pulls), rms(offsets), bound, mean(sds), within(frequencyPulls, 3), rms(frequencyPulls), rms(frequencies), boundPpb)
		r.want(lost == 0, "%g counts: %d are not found", singles, lost)
		r.want(within(pulls, 3) >= 0.98 && within(frequencyPulls, 3) >= 0.98, "%g counts: %.3f of the offsets and %.3f of the frequencies are in 3 sd", singles, within(pulls, 3), within(frequencyPulls, 3))
		r.want(r.part || mean(sds) < 2.6 && rms(offsets) < 1.3*bound, "%g counts: the deviations are %.2f of the bound, the errors %.2f", singles, mean(sds), rms(offsets)/bound)
	}
}}
