package main

import (
	"fmt"
	"math"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// g2Light is light whose detections in two records are independent, so that g2 is
// 1 in every bin of every length.
var g2Light = table{name: "g2-light", about: "g2 of Poisson light, whose truth is 1: all bins of all records", run: func(r *report) {
	r.row("light", "expected a bin", "records", "bins", "counted / expected", "chi2/n", "within 3 sd", "in the worst bin", "expected of the worst")
	const ms, us, ns = 1_000_000_000, 1_000_000, 1_000
	for _, c := range []lightCase{
		{name: "1 count a bin", rate: 1e5, seconds: 0.2, o: correlate.G2Options{Range: us, Bin: 500}},
		{name: "5 counts a bin", rate: 1e5, seconds: 0.2, o: correlate.G2Options{Range: 5 * us, Bin: 2500}},
		{name: "20 counts a bin", rate: 1e5, seconds: 0.2, o: correlate.G2Options{Range: 20 * us, Bin: 10 * ns}},
		{name: "400 counts a bin", rate: 1e5, seconds: 0.2, o: correlate.G2Options{Range: 400 * us, Bin: 200 * ns}},
		{name: "100 ms of 10 k/s, to 90 ms", rate: 1e4, seconds: 0.1, o: correlate.G2Options{Range: 90 * ms, Bin: ms}},
		{name: "30 ms of 100 k/s, to 27 ms", rate: 1e5, seconds: 0.03, o: correlate.G2Options{Range: 27 * ms, Bin: 300 * us}},
		{name: "beyond both ends", rate: 1e4, seconds: 0.1, o: correlate.G2Options{Range: 110 * ms, Bin: ms}},
		{name: "beyond both ends, short bins", rate: 1e4, seconds: 0.02, o: correlate.G2Options{Range: 22 * ms, Bin: 20 * us}},
		{name: "B 30 ms late", rate: 1e4, seconds: 0.1, late: 0.03, o: correlate.G2Options{Range: 100 * ms, Bin: ms}},
		{name: "B half as long", rate: 1e4, seconds: 0.1, late: 0.025, early: 0.025, o: correlate.G2Options{Range: 100 * ms, Bin: ms}},
		{name: "B when A has ended", rate: 1e4, seconds: 0.1, late: 0.055, endA: 0.05, o: correlate.G2Options{Range: 110 * ms, Bin: ms}},
		{name: "B 19 of 20 ms late", rate: 1e5, seconds: 0.02, late: 0.019, o: correlate.G2Options{Range: 100 * us, Bin: us}},
		{name: "far bins are 1", rate: 1e5, seconds: 0.2, late: 0.05, o: correlate.G2Options{Range: 5 * us, Bin: 2500, Far: 2 * us}},
		{name: "far, long delays", rate: 1e4, seconds: 0.1, late: 0.02, o: correlate.G2Options{Range: 90 * ms, Bin: ms, Far: 50 * ms}},
		{name: "clocks 100 ppm apart", rate: 1e5, seconds: 0.2, frequency: 1e-4, o: correlate.G2Options{Range: 5 * us, Bin: 2500}},
		{name: "300 and 30 tags", rate: 3e3, times: 0.1, seconds: 0.1, o: correlate.G2Options{Range: 80 * ms, Bin: 5 * ms}},
		{name: "with itself", rate: 1e5, seconds: 0.2, self: true, o: correlate.G2Options{Range: 5 * us, Bin: 2500}},
		{name: "with itself, long delays", rate: 1e4, seconds: 0.1, self: true, o: correlate.G2Options{Range: 90 * ms, Bin: ms}},
	} {
		c.measure(r)
	}
}}

type lightCase struct {
	name        string
	rate, times float64 // of A, B's in its parts; 0: 1
	seconds     float64
	late, early float64 // s, of B
	endA        float64 // s; 0: with the record
	frequency   float64 // of B's clock
	self        bool
	o           correlate.G2Options
}

// count plays one record and counts it.
func (c lightCase) count(seed uint64) correlate.G2 {
	if c.times == 0 {
		c.times = 1
	}
	e := pairs.Experiment{Seed: seed, Seconds: c.seconds, SinglesA: c.rate, SinglesB: c.rate * c.times, Pairs: -1,
		LateB: c.late, EarlyB: c.early, Frequency: c.frequency}
	if c.endA > 0 {
		e.NoA = []pairs.Span{{From: c.endA, To: c.seconds + 1}}
	}
	a, b, truth := e.Make()
	line := correlate.Line{Reference: truth.Start, Offset: truth.Offset, Frequency: quantity.Drift(c.frequency * 1e15)}
	correction, err := correlate.NewCorrection(line)
	if err != nil {
		panic(err) // the lines are those above
	}
	inA, inB := correlate.Channel{Tags: tag.NewReader(a)}, correlate.Channel{Tags: tag.NewReader(b), Correction: correction}
	if c.self {
		inA.Record, inB = "one", correlate.Channel{Tags: tag.NewReader(a), Record: "one"}
	}
	g, err := correlate.CountG2(inA, inB, c.o)
	if err != nil {
		panic(err)
	}
	return g
}

// measure compares every bin of every record with 1.
func (c lightCase) measure(r *report) {
	n, share := 200, 0.99
	if r.part {
		n, share = 40, 0.98 // in long delays all bins of a record err together
	}
	found := make([]correlate.G2, n)
	each(n, func(i int) { found[i] = c.count(r.seed(8000 + i)) })
	bins := len(found[0].Counts)
	var all []float64
	var ratios []float64
	worst, most := worstBin{chance: 1, share: 1}, 0.0
	for k := range bins {
		var pulls []float64
		for _, g := range found {
			if e := g.Expected[k]; e > 0 {
				pulls = append(pulls, float64((g.G2[k]-1)/g.SD[k]))
				most = max(most, float64(e))
			}
		}
		worst.see(k, pulls)
		all = append(all, pulls...)
	}
	for _, g := range found {
		var x, y float64
		for k, e := range g.Expected {
			if e > 0 {
				x, y = x+float64(g.Counts[k]), y+float64(e)
			}
		}
		ratios = append(ratios, x/y)
	}
	mean, sd := moments(ratios)
	sd /= math.Sqrt(float64(n))
	chi := rms(all) * rms(all)
	r.row(c.name, most, n, len(all), fmt.Sprintf("%.5f ± %.5f", mean, sd), chi, fmt.Sprintf("%.2f %%", 100*within(all, 3)), fmt.Sprintf("%.1f %%", 100*worst.share),
		fmt.Sprintf("%.1f %%", 100-100*float64(mostOf(n, bins))/float64(n)))
	r.want(worst.chance*float64(bins) > 1e-3, "%s: bin %d is within 3 sd in %.1f %%, which one of all bins is by chance in %.2g", c.name, worst.bin, 100*worst.share, worst.chance*float64(bins))
	r.want(within(all, 3) >= share, "%s: %.2f %% of bins are within 3 sd", c.name, 100*within(all, 3))
	r.want(math.Abs(mean-1) < 4.5*sd+1e-3, "%s: counted over expected is %.5f ± %.5f", c.name, mean, sd)
	r.want(chi < 1.3 && chi > 0.5, "%s: chi2/n is %.2f", c.name, chi)
}

// worstBin is the bin of several records whose values lie beyond three deviations
// with the least probability.
type worstBin struct {
	bin           int
	chance, share float64
}

func (w *worstBin) see(bin int, pulls []float64) {
	if len(pulls) == 0 {
		return
	}
	share := within(pulls, 3)
	out := int(math.Round((1 - share) * float64(len(pulls))))
	if p := atLeast(out, len(pulls), beyond3); p < w.chance {
		*w = worstBin{bin, p, share}
	}
}

// moments are the mean of values and their standard deviation.
func moments(values []float64) (mean, sd float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sd += (v - mean) * (v - mean) / float64(len(values)-1)
	}
	return mean, math.Sqrt(sd)
}
