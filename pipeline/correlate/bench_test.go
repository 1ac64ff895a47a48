package correlate_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tsrun/pipeline/correlate"
)

// poissonTags makes n tags of 1 Mcps.
func poissonTags(n int, seed uint64) []uint64 {
	rng := rand.New(rand.NewPCG(seed, 5))
	tags := make([]uint64, n)
	t := 4e13
	for i := range tags {
		t += rng.ExpFloat64() * 1e6
		tags[i] = uint64(t)
	}
	return tags
}

func BenchmarkHistogram(b *testing.B) {
	const n = 2_000_000
	x, y := poissonTags(n, 1), poissonTags(n, 2)
	for _, of := range []struct {
		name string
		o    correlate.HistogramOptions
	}{
		{"sparse", correlate.HistogramOptions{Range: 5_000, Bin: 10}},
		{"dense", correlate.HistogramOptions{Range: 10_000_000, Bin: 1000}},
		{"corrected", correlate.HistogramOptions{Range: 5_000, Bin: 10, Correction: correlate.Correction{Reference: x[n/2], Offset: 12345, Frequency: 20_000_000}}},
	} {
		b.Run(of.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := correlate.Count(x, y, of.o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(2*n*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtags/s")
		})
	}
}

func BenchmarkCoincidences(b *testing.B) {
	const n = 2_000_000
	x, y := poissonTags(n, 1), poissonTags(n, 2)
	for b.Loop() {
		if _, err := correlate.Coincide(x, y, correlate.CoincidenceOptions{Window: 1000}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2*n*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtags/s")
}

func BenchmarkAlign(b *testing.B) {
	for _, seconds := range []float64{1, 12} {
		x, y, tr := experiment{seconds: seconds, df: 1e-7, seed: 3}.make()
		b.Run(fmt.Sprintf("%gs", seconds), func(b *testing.B) {
			var r correlate.Alignment
			var err error
			for b.Loop() {
				r, err = correlate.Align(x, y, correlate.AlignOptions{Search: correlate.DefaultSearch, MaxDrift: correlate.DefaultMaxDrift})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/align")
			b.ReportMetric(r.Offset-tr.offsetAt(r.Reference), "ps-off")
		})
	}
	x, y, _ := experiment{seconds: 2, pairs: -1, seed: 4}.make()
	b.Run("refused", func(b *testing.B) {
		for b.Loop() {
			if _, err := correlate.Align(x, y, correlate.AlignOptions{Search: correlate.DefaultSearch, MaxDrift: correlate.DefaultMaxDrift}); err == nil {
				b.Fatal("found pairs where there are none")
			}
		}
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/align")
	})
}
