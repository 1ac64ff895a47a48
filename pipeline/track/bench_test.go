package track_test

import (
	"context"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/track"
)

func BenchmarkFollow(b *testing.B) {
	for _, c := range []struct {
		name string
		e    pairs.Experiment
	}{
		{"12s", pairs.Experiment{Seconds: 12, Frequency: 1e-7, Seed: 1}},
		{"60s", pairs.Experiment{Seconds: 60, Frequency: 1e-5, Seed: 1}},
		{"quartz60s", pairs.Experiment{Seconds: 60, WhiteFM: 1e-9, RandomWalkFM: 1e-9, Seed: 1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			x, y, tr := c.e.Make()
			seed := seedAt(tr, middle(tr))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := track.Follow(context.Background(), x, y, seed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
