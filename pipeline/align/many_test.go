package align_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// TestAlignManyFindsEveryDelay gives both nodes several detectors behind
// different cables; photons choose one at random, so that every pair of
// channels correlates.
func TestAlignManyFindsEveryDelay(t *testing.T) {
	for _, test := range []struct {
		name string
		e    pairs.Experiment
	}{
		{"2 and 2, ns", pairs.Experiment{Seconds: 2, Frequency: 1e-7, DelaysA: []float64{0, 3_000}, DelaysB: []float64{0, -7_500}, Seed: 5}},
		{"1 and 3, us", pairs.Experiment{Seconds: 2, Frequency: -3e-6, DelaysB: []float64{0, 800_000, 40_000}, Seed: 6}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b, truth := test.e.MakeDetectors()
			r, err := align.AlignMany(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range r.ChannelPairs {
				if !p.Correlated {
					t.Errorf("channels %d and %d: no pairs", p.A, p.B)
					continue
				}
				cables := truth.DelaysB[p.B] - truth.DelaysA[p.A]
				off := r.Offset.Plus(p.Delay - cables).Minus(truth.OffsetAt(r.Reference))
				bound := truth.Sigma / math.Sqrt(float64(p.Pairs))
				t.Logf("%d, %d: off %.2f ps, sd %.2f, bound %.2f, %d pairs", p.A, p.B, off, p.DelaySD, bound, p.Pairs)
				if math.Abs(off) > 4*p.DelaySD || p.DelaySD > 1.3*bound {
					t.Errorf("channels %d and %d: off by %.2f ps, sd %.2f, bound %.2f", p.A, p.B, off, p.DelaySD, bound)
				}
			}
			lead := truth.Sigma / math.Sqrt(float64(r.ChannelPairs[r.Lead].Pairs))
			if r.OffsetSD < 0.9*lead || r.OffsetSD > 1.3*lead {
				t.Errorf("the lead is known to %.2f ps, its pairs tell %.2f", r.OffsetSD, lead)
			}
			all := math.Sqrt(12/float64(truth.Recorded)) * truth.Sigma / (test.e.Seconds * 1e12)
			if r.FrequencySD > 1.2e9*all {
				t.Errorf("the frequency is known to %.3g ppb, all pairs together tell %.3g", r.FrequencySD, all*1e9)
			}
			if off := r.Frequency*1e-9 - test.e.Frequency; math.Abs(off) > 4e-9*r.FrequencySD {
				t.Errorf("frequency off by %.3g, sd %.3g ppb", off*1e9, r.FrequencySD)
			}
		})
	}
}

// TestChannelsKnowTheirErrors compares the offset of the lead with the truth
// often enough to see whether it is off as far as is said. Half of the runs are
// of a clock that wanders.
func TestChannelsKnowTheirErrors(t *testing.T) {
	const seeds = 32
	square, tracked := 0.0, 0.0
	for seed := range uint64(seeds) {
		e := pairs.Experiment{Seconds: 1, Frequency: 1e-7, DelaysA: []float64{0, 3_000}, DelaysB: []float64{0, -7_500, 900}, Seed: 7900 + seed}
		if seed%2 == 1 {
			e.WhiteFM = 2e-10
		}
		a, b, truth := e.MakeDetectors()
		r, err := align.AlignMany(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
		if err != nil {
			t.Fatal(err)
		}
		lead := r.ChannelPairs[r.Lead]
		cables := truth.DelaysB[lead.B] - truth.DelaysA[lead.A]
		pull := r.Offset.Minus(truth.OffsetAt(r.Reference).Plus(cables)) / r.OffsetSD
		square += pull * pull / seeds
		at, sd := r.Track.At(r.Reference)
		pull = at.Minus(truth.OffsetAt(r.Reference).Plus(cables)) / sd
		tracked += pull * pull / seeds
	}
	t.Logf("mean square of error by its stated deviation: %.2f, of the track %.2f", square, tracked)
	if square < 0.4 || square > 1.8 || tracked < 0.4 || tracked > 1.8 { // 32 draws: 0.44 to 1.79 in 99 of 100 cases
		t.Errorf("errors are %.2f of what is said, mean square; the track's %.2f", square, tracked)
	}
}

// TestAlignManyInventsNothing adds channels that see nothing of the source.
func TestAlignManyInventsNothing(t *testing.T) {
	a, b, truth := pairs.Experiment{Seconds: 2, Frequency: 1e-7, SinglesA: 40e3, SinglesB: 40e3, Seed: 7}.Make()
	dark, other, _ := pairs.Experiment{Seconds: 2, Pairs: -1, SinglesA: 40e3, SinglesB: 40e3, Seed: 8}.Make()
	o := align.Options{Search: 20 * ms, MaxDrift: 20 * ppm}
	r, err := align.AlignMany(context.Background(), [][]uint64{dark, a, nil}, [][]uint64{b, other}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.ChannelPairs {
		if p.Correlated != (p.A == 1 && p.B == 0) {
			t.Errorf("%+v", p)
		}
	}
	if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); math.Abs(off) > 4*r.OffsetSD {
		t.Errorf("off by %.2f ps, sd %.2f", off, r.OffsetSD)
	}
	var refusal *align.Refusal
	if _, err := align.AlignMany(context.Background(), [][]uint64{dark}, [][]uint64{b, nil}, align.Options{Search: ms, MaxDrift: 20 * ppm}); !errors.As(err, &refusal) {
		t.Errorf("dark channels are aligned: %v", err)
	}
	if _, err := align.AlignMany(context.Background(), nil, [][]uint64{b}, o); err == nil {
		t.Error("no channel at all is accepted")
	}
}
