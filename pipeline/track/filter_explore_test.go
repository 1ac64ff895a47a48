package track_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"tsrun/internal/pairs"
	"tsrun/pipeline/track"
)

func TestExploreFilter(t *testing.T) {
	for _, c := range []struct {
		name string
		e    pairs.Experiment
	}{
		{"straight", pairs.Experiment{Seconds: 60, Frequency: 12e-9}},
		{"tcxo", pairs.Experiment{Seconds: 60, WhiteFM: 1e-10, Frequency: 12e-9}},
		{"quartz", pairs.Experiment{Seconds: 60, WhiteFM: 1e-9, RandomWalkFM: 1e-9, Frequency: 2e-8}},
		{"sine", pairs.Experiment{Seconds: 60, Sine: 20e3, SinePeriod: 20}},
		{"steps", pairs.Experiment{Seconds: 60, WhiteFM: 5e-12, RandomWalkFM: 2e-12, Steps: []pairs.Step{{At: 5.0123, Size: 400}, {At: 12.3, Size: 3000}, {At: 22.2, Size: -100e3}, {At: 33.3, Size: 2e6}, {At: 40, Size: 3e9}, {At: 50, Size: 1e9}}}},
		{"gap", pairs.Experiment{Seconds: 60, WhiteFM: 1e-10, RandomWalkFM: 1e-10, NoPairs: []pairs.Span{{From: 10, To: 13}, {From: 40, To: 41}}}},
	} {
		for seed := range uint64(2) {
			c.e.Seed = 1000 + seed
			a, b, tr := c.e.Make()
			s := seedOf(tr)
			s.Line.Reference = tr.Start + 1e12
			s.Line.Offset = tr.OffsetAt(s.Line.Reference).Whole
			f := track.NewFilter(s)
			began := time.Now()
			k, err := f.Advance(a, b)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			z, n, worst, in, rms := 0.0, 0.0, 0.0, 0.0, 0.0
			for _, q := range k {
				d := q.Offset.Minus(tr.OffsetAt(q.Time))
				z += d * d / q.OffsetSD / q.OffsetSD
				rms += d * d
				if math.Abs(d) < 3*q.OffsetSD {
					in++
				}
				worst = max(worst, math.Abs(d)/q.OffsetSD)
				n++
			}
			fmt.Printf("%s %.0f ms n %.0f rms %.2f z %.2f in %.4f worst %.1f\n", c.name, took.Seconds()*1e3, n, math.Sqrt(rms/n), math.Sqrt(z/n), in/n, worst)
			for _, s := range f.State().Steps {
				fmt.Printf("    step %.6f s +- %.2f ms  %.1f +- %.1f ps\n", float64(s.Time-tr.Start)/1e12, s.TimeSD/1e9, s.Offset, s.OffsetSD)
			}
		}
	}
}
