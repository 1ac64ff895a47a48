package main

import (
	"fmt"
	"math"
	"slices"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

// g2Pairs are pair sources. In a bin there are the pairs that have its delay over
// those of uncorrelated light, 1 more than rate of pairs x part of the peak /
// (rate of A x rate of B x bin).
var g2Pairs = table{name: "g2-pairs", about: "g2 of pair sources in bins of 50 ps about zero, and what one tag changes", run: func(r *report) {
	r.row("source", "records", "g2 at the peak", "rms pull", "within 3 sd", "most that leaving out a tag changes")
	for _, c := range []named{
		{"20 k/s, 16 k pairs/s, 3 s", pairs.Experiment{Seconds: 3, SinglesA: 20e3, SinglesB: 20e3, Pairs: 16e3, EtaA: 0.9, EtaB: 0.9}},
		{"1 k/s, 0.8 k pairs/s, 3 s", pairs.Experiment{Seconds: 3, SinglesA: 1e3, SinglesB: 1e3, Pairs: 800, EtaA: 0.9, EtaB: 0.9}},
		{"100 k/s, 5 k pairs/s, 1 s", pairs.Experiment{Seconds: 1}},
		{"20 k/s, 5 k pairs/s, B half as long", pairs.Experiment{Seconds: 1, SinglesA: 20e3, SinglesB: 20e3, LateB: 0.3, EarlyB: 0.2}},
	} {
		n := r.seeds(50, 10)
		found := make([][]float64, n)
		most, highest := make([]float64, n), make([]float64, n)
		c.e.JitterA, c.e.JitterB, c.e.Offset = 80, 80, 1
		each(n, func(i int) {
			e := c.e
			e.Seed = r.seed(6000 + i)
			a, b, truth := e.Make()
			whole := peakOf(a, b)
			for k, g := range whole.G2 {
				found[i] = append(found[i], (float64(g)-correlatedOf(truth, whole.Start+int64(k)*whole.Bin, whole.Bin))/float64(whole.SD[k]))
			}
			highest[i] = correlatedOf(truth, 0, whole.Bin)
			for _, at := range []int{0, 1, len(a) / 2, len(a) - 1} {
				less := peakOf(slices.Delete(slices.Clone(a), at, at+1), b)
				most[i] = max(most[i], math.Abs(float64(less.Expected[0]/whole.Expected[0])-1))
			}
		})
		pulls := slices.Concat(found...)
		r.row(c.name, n, highest[0], rms(pulls), fmt.Sprintf("%.1f %%", 100*within(pulls, 3)), fmt.Sprintf("%.3f %%", 100*slices.Max(most)))
		r.want(within(pulls, 3) >= 0.99, "%s: %.1f %% of bins are within 3 sd", c.name, 100*within(pulls, 3))
		r.want(slices.Max(most) <= 0.01, "%s: a tag changes what is expected by %.2f %%", c.name, 100*slices.Max(most))
	}
}}

func peakOf(a, b []uint64) correlate.G2 {
	g, err := correlate.CountG2(correlate.Channel{Tags: tag.NewReader(a)}, correlate.Channel{Tags: tag.NewReader(b)}, correlate.G2Options{Range: 200, Bin: 50})
	if err != nil {
		panic(err) // of options that are those above
	}
	return g
}

// correlatedOf is the true g2 of the bin that begins at low, in ps.
func correlatedOf(truth pairs.Truth, low, bin int64) float64 {
	below := func(delay float64) float64 {
		return 0.5 * math.Erf((delay-0.5-float64(truth.Offset))/truth.Sigma/math.Sqrt2) // a whole ps stands for the nearest times
	}
	part := below(float64(low+bin)) - below(float64(low))
	return 1 + truth.Pairs*part/(truth.SinglesA*truth.SinglesB*float64(bin)*1e-12)
}
