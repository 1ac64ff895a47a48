package correlate_test

import (
	"math"
	"slices"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
)

// source is a pair source of which both channels record the same 3 s.
func source(seed uint64, experiment pairs.Experiment) (a, b []uint64, truth pairs.Truth) {
	experiment.Seed, experiment.Offset = seed, 1
	if experiment.Seconds == 0 {
		experiment.Seconds = 0.5
	}
	return experiment.Make()
}

// The peak of a pair source has no holes: each bin agrees with the truth, which is
// 1 and the pairs over those of uncorrelated light, also where the first or the
// last tags of both channels are partners.
func TestPeakHasNoHoles(t *testing.T) {
	const rate, jitter, bin = 20e3, 80.0, 50
	var off pulls
	for seed := range uint64(20) {
		a, b, truth := source(seed, pairs.Experiment{SinglesA: rate, SinglesB: rate, Pairs: rate * 0.8, EtaA: 0.9, EtaB: 0.9, JitterA: jitter, JitterB: jitter})
		r := g2Of(t, a, b, correlate.G2Options{Range: 200, Bin: bin})
		for k, g := range r.G2 {
			low := float64(r.Start+int64(k)*bin) - 0.5 - float64(truth.Offset)
			part := 0.5 * (math.Erf((low+bin)/truth.Sigma/math.Sqrt2) - math.Erf(low/truth.Sigma/math.Sqrt2))
			want := 1 + rate*0.8*part/(rate*rate*bin*1e-12)
			off = append(off, (float64(g)-want)/float64(r.SD[k]))
		}
	}
	_, sd := off.moments()
	outside := 0
	for _, p := range off {
		if math.Abs(p) > 3 {
			outside++
		}
	}
	if outside > 2 || sd > 1.25 || sd < 0.8 {
		t.Errorf("%d of %d bins are beyond 3 sd, which scatter by %.2f of it", outside, len(off), sd)
	}
}

// No tag changes what is expected of uncorrelated light by more than its share:
// not the first or last, whoever its partner is, and not one that came long before
// the light or long after it.
func TestOneTagHasItsShare(t *testing.T) {
	a, b, _ := source(3, pairs.Experiment{SinglesA: 6e3, SinglesB: 6e3, Pairs: 4e3, EtaA: 0.9, EtaB: 0.9})
	for _, o := range []correlate.G2Options{{Range: 400, Bin: 50}, {Range: 200_000_000_000, Bin: 5_000_000_000}} {
		whole := g2Of(t, a, b, o)
		look := func(what string, a, b []uint64) {
			r := g2Of(t, a, b, o)
			for k, e := range r.Expected {
				if math.Abs(float64(e/whole.Expected[k])-1) > 0.01 {
					t.Errorf("bins of %d ps, %s: bin %d expects %g, not %g", o.Bin, what, k, e, whole.Expected[k])
					return
				}
			}
		}
		without := func(tags []uint64, i int) []uint64 { return slices.Delete(slices.Clone(tags), i, i+1) }
		for _, i := range []int{0, 1, 2, 700, len(a) / 2, len(a) - 2, len(a) - 1} {
			look("without a tag of A", without(a, i), b)
		}
		for _, i := range []int{0, 1, 2, 700, len(b) / 2, len(b) - 2, len(b) - 1} {
			look("without a tag of B", a, without(b, i))
		}
		look("with a tag long before", append([]uint64{a[0] - 20e12}, a...), b)
		look("with a tag long after", a, append(slices.Clone(b), b[len(b)-1]+20e12))
	}
}

// A deviation holds where one tag is in very many pairs.
func TestDeviationAtLongDelays(t *testing.T) {
	var long, few pulls
	for seed := range uint64(40) {
		l := light{seconds: 0.1, see: []float64{0, 0}, noise: []float64{10_000, 10_000}}
		tags := l.tags(100 + seed)
		for k, r := 0, g2Of(t, tags[0], tags[1], correlate.G2Options{Range: 90_000_000_000, Bin: 10_000_000_000}); k < len(r.G2); k++ {
			long = append(long, (float64(r.G2[k])-1)/float64(r.SD[k]))
		}
		for k, r := 0, g2Of(t, tags[0], tags[1], correlate.G2Options{Range: 50_000_000, Bin: 500_000}); k < len(r.G2); k++ {
			few = append(few, (float64(r.G2[k])-1)/float64(r.SD[k]))
		}
	}
	if _, sd := long.moments(); sd < 0.75 || sd > 1.25 {
		t.Errorf("at delays as long as the record g2 scatters by %.2f of its deviation", sd)
	}
	if _, sd := few.moments(); sd < 0.85 || sd > 1.05 {
		t.Errorf("at 5 counts a bin g2 scatters by %.2f of its deviation", sd)
	}
	for _, p := range few {
		if math.Abs(p) > 5 {
			t.Errorf("a bin of few counts is off by %.1f deviations", p)
		}
	}
}
