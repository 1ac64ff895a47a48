package align_test

import (
	"context"
	"fmt"
	"testing"

	"tsrun/pipeline/align"
)

func BenchmarkAlign(b *testing.B) {
	for _, seconds := range []float64{1, 12} {
		x, y, tr := experiment{seconds: seconds, df: 1e-7, seed: 3}.make()
		b.Run(fmt.Sprintf("%gs", seconds), func(b *testing.B) {
			var r align.Alignment
			var err error
			for b.Loop() {
				r, err = align.Align(context.Background(), x, y, align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/align")
			b.ReportMetric(r.Offset.Float()-tr.offsetAt(r.Reference), "ps-off")
		})
	}
	x, y, _ := experiment{seconds: 2, pairs: -1, seed: 4}.make()
	b.Run("refused", func(b *testing.B) {
		for b.Loop() {
			if _, err := align.Align(context.Background(), x, y, align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift}); err == nil {
				b.Fatal("found pairs where there are none")
			}
		}
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/align")
	})
}
