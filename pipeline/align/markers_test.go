package align_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// without returns the tags but for those that fall to chance.
func without(tags []uint64, part float64, rng *rand.Rand) (kept []uint64) {
	for _, t := range tags {
		if rng.Float64() >= part {
			kept = append(kept, t)
		}
	}
	return kept
}

func TestAlignMarkersFindsTheTruth(t *testing.T) {
	for _, test := range []struct {
		name   string
		e      pairs.Experiment
		search int64
		loss   float64 // of markers, at each node by itself
		shared float64 // of markers, at both
	}{
		{"pulse per second", pairs.Experiment{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 50, Frequency: 1e-7}, 20 * ms, 0, 0},
		{"pulse per second, lost ones", pairs.Experiment{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 50, Frequency: -3e-6}, 20 * ms, 0.1, 0},
		{"late start", pairs.Experiment{Seconds: 60, MarkerPeriod: 1, MarkerJitter: 50, Frequency: 1e-6, LateB: 20}, 20 * ms, 0, 0},
		{"1 kHz", pairs.Experiment{Seconds: 10, MarkerPeriod: 1e-3, MarkerJitter: 20, Frequency: 1e-5, Offset: 123_456_789}, ms / 3, 0.02, 0},
		{"100 kHz, known offset", pairs.Experiment{Seconds: 2, MarkerPeriod: 1e-5, MarkerJitter: 20, Frequency: 1e-7, Offset: 1_234_567}, 3_000_000, 0, 0},
		{"1 kHz, a pattern", pairs.Experiment{Seconds: 10, MarkerPeriod: 1e-3, MarkerJitter: 20, Frequency: 1e-6}, 20 * ms, 0.01, 0.2},
		{"a clock that wanders", pairs.Experiment{Seconds: 10, MarkerPeriod: 1e-3, MarkerJitter: 20, Drift: 1e-9, Offset: 123_456}, ms / 3, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.e.Seed = 77
			rng := rand.New(rand.NewPCG(3, 4))
			a, b := test.e.Markers()
			if test.shared > 0 {
				gate := rand.NewPCG(5, 6)
				a = without(a, test.shared, rand.New(gate))
				*gate = *rand.NewPCG(5, 6)
				b = without(b, test.shared, rand.New(gate))
			}
			a, b = without(a, test.loss, rng), without(b, test.loss, rng)
			_, _, truth := pairs.Experiment{Seconds: test.e.Seconds, SinglesA: 10, SinglesB: 10, Pairs: 5, Frequency: test.e.Frequency, Drift: test.e.Drift, Offset: test.e.Offset, Seed: 77}.Make()
			r, err := align.AlignMarkers(context.Background(), a, b, align.Options{Search: test.search, MaxDrift: 20 * ppm})
			if err != nil {
				t.Fatal(err)
			}
			bound := math.Sqrt2 * test.e.MarkerJitter / math.Sqrt(float64(min(len(a), len(b))))
			off := r.Offset.Minus(truth.OffsetAt(r.Reference))
			t.Logf("off %.3f ps, sd %.3f, bound %.3f, period %.6g, %d markers, chi2 %.0f/%d", off, r.OffsetSD, bound, r.Period, r.Pairs, r.ChiSquare, r.Freedom)
			if math.Abs(off) > 4*r.OffsetSD+0.5 {
				t.Errorf("off by %.3f ps, sd %.3f", off, r.OffsetSD)
			}
			if test.e.Drift == 0 && r.OffsetSD > 1.4*bound {
				t.Errorf("sd %.3f where the bound is %.3f", r.OffsetSD, bound)
			}
			for _, at := range []uint64{r.Start, r.Start + uint64(r.Overlap)/3, r.Start + uint64(r.Overlap)} {
				x, sd := r.OffsetAt(at)
				if off := x.Minus(truth.OffsetAt(at)); math.Abs(off) > 5*sd+0.5 {
					t.Errorf("%d ps after the start off by %.3f ps, sd %.3f", at-r.Start, off, sd)
				}
			}
			if math.Abs(r.Period-test.e.MarkerPeriod*1e12) > 1e-4*r.Period {
				t.Errorf("period %g ps, want %g s", r.Period, test.e.MarkerPeriod)
			}
		})
	}
}

func TestAlignMarkersRefuses(t *testing.T) {
	beat := func(e pairs.Experiment) (a, b []uint64) {
		e.Seed = 78
		return e.Markers()
	}
	fast, fastB := beat(pairs.Experiment{Seconds: 2, MarkerPeriod: 1e-5, MarkerJitter: 20, Offset: 1_000_000})
	slow, slowB := beat(pairs.Experiment{Seconds: 30, MarkerPeriod: 1, MarkerJitter: 20, Offset: 300 * ms})
	other, _ := beat(pairs.Experiment{Seconds: 2, MarkerPeriod: 1.3e-5, MarkerJitter: 20})
	for _, test := range []struct {
		name string
		a, b []uint64
		code string
	}{
		{"many periods within the search", fast, fastB, "ambiguous"},
		{"no match within the search", slow, slowB, "outside-search"},
		{"different beats", fast, other, "outside-drift"},
		{"few", fast[:3], fastB, "few-tags"},
		{"none", nil, nil, "few-tags"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := align.AlignMarkers(context.Background(), test.a, test.b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
			var refusal *align.Refusal
			if !errors.As(err, &refusal) || refusal.Code != test.code {
				t.Fatalf("got %+v, %v, want %s", r, err, test.code)
			}
			if test.code == "ambiguous" && (math.Abs(refusal.Period-1e7) > 1000 || len(refusal.Candidates) == 0) {
				t.Errorf("%+v", refusal)
			}
		})
	}
}
