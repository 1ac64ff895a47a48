package correlate

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// drawn is a Poisson number.
func drawn(r *rand.Rand, mean float64) uint64 {
	if mean > 200 {
		return uint64(max(0, math.Round(mean+math.Sqrt(mean)*r.NormFloat64())))
	}
	n, p, least := uint64(0), r.Float64(), math.Exp(-mean)
	for ; p > least; n++ {
		p *= r.Float64()
	}
	return n
}

// What a fit states holds: three deviations in 99 %, of few counts and of many.
func TestFitHolds(t *testing.T) {
	for name, truth := range map[string]PeakFit{
		"many":       {Centre: 137.4, Sigma: 310, Counts: 40_000, Level: 60},
		"few":        {Centre: -900, Sigma: 250, Counts: 90, Level: 0.5},
		"no level":   {Centre: 20, Sigma: 180, Counts: 400, Level: 0.01},
		"a faint":    {Centre: 1000, Sigma: 400, Counts: 3_000, Level: 900},
		"two narrow": {Centre: 25, Sigma: 60, Counts: 5_000, Level: 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(len(name))))
			const trials, bins, bin, start = 400, 100, 100, -5000
			found, off := 0, 0
			for range trials {
				counts := make([]uint64, bins)
				for k := range counts {
					counts[k] = drawn(r, truth.At(start+int64(k)*bin, bin))
				}
				f := FitPeak(start, bin, counts)
				if f == nil {
					continue
				}
				found++
				for _, d := range []float64{(f.Centre - truth.Centre) / f.CentreSD, (f.Sigma - truth.Sigma) / f.SigmaSD, (f.Counts - truth.Counts) / f.CountsSD} {
					if math.Abs(d) > 3 {
						off++
					}
				}
			}
			if found < trials*9/10 {
				t.Errorf("%d of %d are found", found, trials)
			}
			if off > 3*found/50 { // 1 % of three numbers each would be 0.03; twice that
				t.Errorf("%d of %d numbers are more than three deviations off", off, 3*found)
			}
		})
	}
}

// Where nothing stands out there is no fit.
func TestNoFitOfNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	found := 0
	for range 2000 {
		counts := make([]uint64, 100)
		for k := range counts {
			counts[k] = drawn(r, 7)
		}
		if FitPeak(0, 10, counts) != nil {
			found++
		}
	}
	if found > 2 {
		t.Errorf("%d of 2000 records without a peak have one", found)
	}
	for name, counts := range map[string][]uint64{"none": nil, "zeros": make([]uint64, 50), "one bin": {5000}, "all in one bin": append(make([]uint64, 40), append([]uint64{9000}, make([]uint64, 40)...)...)} {
		if f := FitPeak(0, 10, counts); f != nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// Whatever the counts are, a fit has numbers.
func TestFitOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64Range(0, 1<<40)), 0, 60).Draw(t, "counts")
		f := FitPeak(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "start"), rapid.Int64Range(-1, 1<<40).Draw(t, "bin"), counts)
		if f == nil {
			return
		}
		for _, v := range []float64{f.Centre, f.CentreSD, f.Sigma, f.SigmaSD, f.Counts, f.CountsSD, f.Level, f.LevelSD, f.ChiSquare} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%+v", f)
			}
		}
	})
}
