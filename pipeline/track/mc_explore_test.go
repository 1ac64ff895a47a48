package track_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/track"
)

func TestMC(t *testing.T) {
	for _, c := range []struct {
		name string
		e    pairs.Experiment
	}{
		{"straight", pairs.Experiment{Seconds: 10}},
		{"ocxo", pairs.Experiment{Seconds: 30, WhiteFM: 5e-12, RandomWalkFM: 2e-12}},
		{"tcxo", pairs.Experiment{Seconds: 10, WhiteFM: 1e-10, RandomWalkFM: 1e-10}},
		{"wfm", pairs.Experiment{Seconds: 10, WhiteFM: 3e-10}},
		{"rwfm", pairs.Experiment{Seconds: 10, RandomWalkFM: 1e-9}},
		{"quartz", pairs.Experiment{Seconds: 10, WhiteFM: 1e-9, RandomWalkFM: 1e-9}},
		{"bad", pairs.Experiment{Seconds: 10, WhiteFM: 3e-9, RandomWalkFM: 1e-9}},
		{"weak", pairs.Experiment{Seconds: 30, Pairs: 200, WhiteFM: 1e-10}},
	} {
		var z, zb, zf, in, n, zs, zq float64
		steps, fsteps := 0, 0
		const seeds = 20
		for seed := range uint64(seeds) {
			c.e.Seed = 5000 + seed
			a, b, tr := c.e.Make()
			k, err := track.Follow(context.Background(), a, b, seedOf(tr))
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			e := judge(t, tr, k)
			z += e.chi * e.chi
			zb += e.chiBetween * e.chiBetween
			steps += len(k.Steps)
			for _, q := range k.Quarters {
				zq += q.Centre * q.Centre / q.CentreSD / q.CentreSD / 4
			}
			d := k.Straight.Offset.Minus(tr.OffsetAt(k.Straight.Time)) / k.Straight.OffsetSD
			zs += d * d
			s := seedOf(tr)
			s.Line.Reference = tr.Start + 1e11
			s.Line.Offset = tr.OffsetAt(s.Line.Reference).Whole
			f := track.NewFilter(s)
			ks, _ := f.Advance(a, b)
			for _, q := range ks {
				d := q.Offset.Minus(tr.OffsetAt(q.Time)) / q.OffsetSD
				zf += d * d
				if math.Abs(d) < 3 {
					in++
				}
				n++
			}
			fsteps += len(f.State().Steps)
		}
		fmt.Printf("%-10s z %.3f between %.3f steps %d straight z %.2f quarter z %.2f filter z %.3f in %.4f steps %d\n", c.name, math.Sqrt(z/seeds), math.Sqrt(zb/seeds), steps, math.Sqrt(zs/seeds), math.Sqrt(zq/seeds), math.Sqrt(zf/n), in/n, fsteps)
	}
}
