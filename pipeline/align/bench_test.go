package align_test

import (
	"context"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

func BenchmarkAlign(b *testing.B) {
	usual := align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift}
	for _, bench := range []struct {
		name string
		e    pairs.Experiment
		o    align.Options
	}{
		{"1s", pairs.Experiment{Seconds: 1, Frequency: 1e-7}, usual},
		{"12s", pairs.Experiment{Seconds: 12, Frequency: 1e-7}, usual},
		{"12s-10ppm", pairs.Experiment{Seconds: 12, Frequency: 1e-5}, usual},
		{"60s-of-3s", pairs.Experiment{Seconds: 60, Frequency: 1e-5, Offset: 1_500_345_678_901}, align.Options{Search: 3 * second, MaxDrift: 20 * ppm}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			bench.e.Seed = 3
			x, y, tr := bench.e.Make()
			var r align.Alignment
			var err error
			for b.Loop() {
				if r, err = align.Align(context.Background(), x, y, bench.o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/align")
			b.ReportMetric(r.Offset.Minus(tr.OffsetAt(r.Reference)), "ps-off")
		})
	}
	b.Run("refused", func(b *testing.B) {
		x, y, _ := pairs.Experiment{Seconds: 2, Pairs: -1, Seed: 4}.Make()
		for b.Loop() {
			if _, err := align.Align(context.Background(), x, y, usual); err == nil {
				b.Fatal("found pairs where there are none")
			}
		}
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/align")
	})
}
