package correlate_test

import (
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
		{"corrected", correlate.HistogramOptions{Range: 5_000, Bin: 10, Correction: line(b, correlate.Line{Reference: x[n/2], Offset: 12345, Frequency: 20_000_000})}},
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
		if _, err := correlate.Coincide(channelsOf(x, y), correlate.CoincidenceOptions{Window: 1000}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2*n*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtags/s")
}

// line is the correction along one line.
func line(t interface {
	Helper()
	Fatal(...any)
}, l correlate.Line) correlate.Correction {
	t.Helper()
	c, err := correlate.NewCorrection(l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
