package align_test

import (
	"math"
	"testing"

	"tsrun/internal/pairs"
)

// TestAlignPlacesSteps lets B's clock jump: each jump is found, in its place
// and of its size, and between them the offset is as good as ever.
func TestAlignPlacesSteps(t *testing.T) {
	tests := []struct {
		name string
		e    pairs.Experiment
	}{
		{"0.4 ns", pairs.Experiment{Seconds: 4, Steps: []pairs.Step{{At: 2.5, Size: 400}}}},
		{"5 ns in the middle", pairs.Experiment{Seconds: 2, Steps: []pairs.Step{{At: 1, Size: -5000}}}},
		{"100 ns", pairs.Experiment{Seconds: 3, Frequency: 1e-6, Steps: []pairs.Step{{At: 0.5, Size: 100e3}}}},
		{"10 us, late", pairs.Experiment{Seconds: 3, Steps: []pairs.Step{{At: 2.3, Size: 10e6}}}},
		{"1 ms", pairs.Experiment{Seconds: 4, Steps: []pairs.Step{{At: 1.2, Size: -1e9}}}},
		{"there and back", pairs.Experiment{Seconds: 4, Steps: []pairs.Step{{At: 1.1, Size: 20e3}, {At: 3.1, Size: -20e3}}}},
		{"of a clock that wanders", pairs.Experiment{Seconds: 6, WhiteFM: 1e-10, RandomWalkFM: 1e-10, Steps: []pairs.Step{{At: 4, Size: 5000}}}},
		{"while the source is dark", pairs.Experiment{Seconds: 5, NoPairs: []pairs.Span{{From: 3.2, To: 3.9}}, Steps: []pairs.Step{{At: 3.5, Size: 20e3}}}},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.e.Seed = uint64(30_000 + i)
			r, truth := aligned(t, test.e, 20*ms, 20*ppm)
			if r.Track == nil || len(r.Track.Steps) != len(truth.Steps) || r.Warning == "" {
				t.Fatalf("steps %+v, warning %q", r.Track, r.Warning)
			}
			var last uint64 // until when nothing can be told of the last step
			for i, s := range r.Track.Steps {
				at, size := float64(int64(s.Time-truth.Start))-truth.Steps[i].At*1e12, s.Offset-truth.Steps[i].Size
				if math.Abs(at) > 4*s.TimeSD || math.Abs(size) > 4*s.OffsetSD {
					t.Errorf("step %d is off by %g ps (sd %g) in time, %g ps (sd %g) in size", i, at, s.TimeSD, size, s.OffsetSD)
				}
				if s.TimeSD > 2e9 && truth.NoPairs == nil || s.OffsetSD > 100 {
					t.Errorf("step %d has deviations %g ps and %g ps", i, s.TimeSD, s.OffsetSD)
				}
			}
			var squares, n float64
			for at := truth.From; at <= truth.To; at += uint64(5 * ms) {
				for _, s := range r.Track.Steps {
					if math.Abs(float64(int64(at-s.Time))) < 4*s.TimeSD {
						last = at
					}
				}
				if at == last {
					continue
				}
				x, sd := r.OffsetAt(at)
				off := x.Minus(truth.OffsetAt(at))
				squares, n = squares+off*off/(sd*sd), n+1
				if math.Abs(off) > 6*sd {
					t.Fatalf("%g s after the start the offset is off by %g ps, sd %g", float64(at-truth.Start)*1e-12, off, sd)
				}
			}
			if pull := math.Sqrt(squares / n); pull > 2 {
				t.Errorf("the error is %.2f of the stated deviation", pull)
			}
		})
	}
}
