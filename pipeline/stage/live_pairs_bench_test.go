package stage

import (
	"syscall"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/track"
)

// What the pairs of one segment cost, of as many tags as are looked at.
func BenchmarkLivePairs(b *testing.B) {
	tagsA, tagsB, truth := pairs.Experiment{Seed: 1, Seconds: 1, SinglesA: 1e6, SinglesB: 1e6}.Make()
	p, err := NewLivePairs(&recipe.Recipe{}, "align", "alice.signal", "bob.idler")
	if err != nil {
		b.Fatal(err)
	}
	clock := []align.Value{{State: align.Tracking, Knot: track.Knot{Time: truth.Start, Offset: truth.OffsetAt(truth.Start), Frequency: truth.Frequency * 1e9}}}
	spent := func() float64 {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
	}
	begun := spent()
	for b.Loop() {
		if _, ok, err := p.Count(0, 0, tagsA, tagsB, clock); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
	b.ReportMetric((spent()-begun)/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(len(tagsA)+len(tagsB)), "tags")
}
