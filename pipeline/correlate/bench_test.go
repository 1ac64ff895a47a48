package correlate_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

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

// BenchmarkHistogram compares counting, on one core and on all, with reading
// memory on one core. Rounds of each take turns, and medians are reported, of
// the ratios too: neighbours on the machine slow both.
func BenchmarkHistogram(b *testing.B) {
	const n = 4_000_000
	x, y := poissonTags(n, 1), poissonTags(n, 2)
	large := make([]uint64, 1<<24)
	for i := range large {
		large[i] = uint64(i)
	}
	for _, of := range []struct {
		name string
		o    correlate.HistogramOptions
	}{
		{"sparse", correlate.HistogramOptions{Range: 5_000, Bin: 10}},
		{"dense", correlate.HistogramOptions{Range: 10_000_000, Bin: 1000}},
		{"corrected", correlate.HistogramOptions{Range: 5_000, Bin: 10, Correction: line(b, correlate.Line{Reference: x[n/2], Offset: 12345, Frequency: 20_000_000})}},
	} {
		b.Run(of.name, func(b *testing.B) {
			count := func() {
				if _, err := correlate.Count(x, y, of.o); err != nil {
					b.Fatal(err)
				}
			}
			var perCore, memory, ofRead, gain []float64
			for b.Loop() {
				for range 15 {
					cores := runtime.GOMAXPROCS(1)
					read := seconds(func() { total = sum(large) }) / float64(len(large))
					one := seconds(count) / (2 * n)
					runtime.GOMAXPROCS(cores)
					all := seconds(count) / (2 * n)
					perCore, memory = append(perCore, 1/one), append(memory, 1/read)
					ofRead, gain = append(ofRead, read/one), append(gain, one/all)
				}
			}
			b.ReportMetric(median(perCore)/1e6, "Mtags/s-core")
			b.ReportMetric(median(memory)/1e6, "Mtags/s-read")
			b.ReportMetric(median(ofRead), "of-read")
			b.ReportMetric(median(gain), fmt.Sprintf("x-on-%d-cores", runtime.GOMAXPROCS(0)))
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkCorrection applies a line on one core.
func BenchmarkCorrection(b *testing.B) {
	tags := poissonTags(1<<22, 1)
	fixed := make([]uint64, 0, len(tags))
	c := line(b, correlate.Line{Reference: tags[len(tags)/2], Offset: 12345, Frequency: 20_000_000})
	var apply []float64
	for b.Loop() {
		for range 9 {
			apply = append(apply, seconds(func() { fixed = c.ApplyAll(fixed[:0], tags) }))
		}
	}
	b.ReportMetric(1e9*median(apply)/float64(len(tags)), "ns/tag")
	b.ReportMetric(0, "ns/op")
}

// total keeps the compiler from leaving out what it is the result of.
var total uint64

// sum reads tags as fast as one core does.
func sum(tags []uint64) (s uint64) {
	var p, q, r uint64
	for ; len(tags) >= 4; tags = tags[4:] {
		s, p, q, r = s+tags[0], p+tags[1], q+tags[2], r+tags[3]
	}
	return s + p + q + r
}

func seconds(f func()) float64 {
	begin := time.Now()
	f()
	return time.Since(begin).Seconds()
}

func median(x []float64) float64 { return slices.Sorted(slices.Values(x))[len(x)/2] }

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
