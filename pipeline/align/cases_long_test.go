package align_test

import (
	"context"
	"math"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// aligned plays an experiment and aligns what it recorded.
func aligned(t *testing.T, e pairs.Experiment, search int64, drift quantity.Drift) (align.Alignment, pairs.Truth) {
	t.Helper()
	a, b, truth := e.Make()
	begin := time.Now()
	r, err := align.Align(context.Background(), a, b, align.Options{Search: search, MaxDrift: drift})
	took := time.Since(begin)
	if err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	t.Logf("%v; %s", took.Round(time.Millisecond), compare(r, truth))
	return r, truth
}

// checkCase wants an error of at most four bounds and half a picosecond.
func checkCase(t *testing.T, r align.Alignment, truth pairs.Truth) {
	t.Helper()
	for _, c := range []struct {
		what       string
		off, bound float64
	}{
		{"offset", r.Offset.Minus(truth.OffsetAt(r.Reference)), truth.OffsetBound(r.Reference)},
		{"offset at the start", r.StartOffset.Minus(truth.OffsetAt(r.Start)), truth.OffsetBound(r.Start)},
	} {
		if math.Abs(c.off) > 4*c.bound+0.5 {
			t.Errorf("%s is off by %.3f ps, the bound is %.3f", c.what, c.off, c.bound)
		}
	}
	length := float64(truth.To - truth.From)
	if off := r.Frequency*1e-9 - truth.Frequency; math.Abs(off) > 4*truth.FrequencyBound()+0.5/length {
		t.Errorf("frequency is off by %.3g, the bound is %.3g", off, truth.FrequencyBound())
	}
	checkAgainst(t, r, truth)
}

// TestLongStraightClocks are records of 12 and 60 s and what else takes long.
func TestLongStraightClocks(t *testing.T) {
	each := need.LongTrials(t, 1, 2) // all, or every second one
	tests := []struct {
		name   string
		e      pairs.Experiment
		search int64
		drift  quantity.Drift
	}{
		{"12 s", pairs.Experiment{Seconds: 12}, 20 * ms, 20 * ppm},
		{"12 s, 1 ppb", pairs.Experiment{Seconds: 12, Frequency: 1e-9}, 20 * ms, 20 * ppm},
		{"12 s, 100 ppb", pairs.Experiment{Seconds: 12, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"12 s, 10 ppm", pairs.Experiment{Seconds: 12, Frequency: 1e-5}, 20 * ms, 20 * ppm},
		{"60 s", pairs.Experiment{Seconds: 60, Offset: 1_500_345_678_901}, 3 * second, 20 * ppm},
		{"60 s, 1 ppb", pairs.Experiment{Seconds: 60, Offset: 1_500_345_678_901, Frequency: 1e-9}, 3 * second, 20 * ppm},
		{"60 s, 100 ppb", pairs.Experiment{Seconds: 60, Offset: 1_500_345_678_901, Frequency: 1e-7}, 3 * second, 20 * ppm},
		{"60 s, 10 ppm", pairs.Experiment{Seconds: 60, Offset: -1_500_345_678_901, Frequency: 1e-5}, 3 * second, 20 * ppm},
		{"jitter 350 ps", pairs.Experiment{Seconds: 12, Frequency: 1e-7, JitterA: 350, JitterB: 350}, 20 * ms, 20 * ppm},
		{"negative offset", pairs.Experiment{Seconds: 12, Frequency: -1e-6, Offset: -45_678_901_234}, 200 * ms, 20 * ppm},
		{"late start", pairs.Experiment{Seconds: 12, LateB: 3.5, Frequency: 1e-6, Offset: -150 * ms}, 200 * ms, 20 * ppm},
		{"1 Mcps", pairs.Experiment{Seconds: 10, SinglesA: 1e6, SinglesB: 1e6, Pairs: 50e3, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"100 ppm", pairs.Experiment{Seconds: 12, Frequency: 5e-5}, 20 * ms, 100 * ppm},
		{"B ends early", pairs.Experiment{Seconds: 4, EarlyB: 2.5, Frequency: 1e-6}, 200 * ms, 20 * ppm},
		{"jitter 3 ns", pairs.Experiment{Seconds: 2, JitterA: 3000, JitterB: 3000, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"search 3 s", pairs.Experiment{Seconds: 4, Offset: 1_500_345_678_901, Frequency: 1e-5}, 3 * second, 20 * ppm},
		{"1 kcps, search 3 s", pairs.Experiment{Seconds: 20, SinglesA: 1e3, SinglesB: 1e3, Pairs: 100, Offset: -2 * second, Frequency: 1e-6}, 3 * second, 20 * ppm},
		{"1 Mcps, 1 s", pairs.Experiment{Seconds: 1, SinglesA: 1e6, SinglesB: 1e6, Pairs: 50e3, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"unequal rates", pairs.Experiment{Seconds: 2, SinglesA: 10e3, SinglesB: 500e3, Pairs: 4e3, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"weak, known clock", pairs.Experiment{Seconds: 2, Pairs: 2e3, Frequency: 5e-7}, 20 * ms, ppm},
	}
	for i, test := range tests {
		if i%each != 0 {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			test.e.Seed = uint64(20_000 + i)
			r, truth := aligned(t, test.e, test.search, test.drift)
			checkCase(t, r, truth)
			checkNet(t, r, truth)
		})
	}
}

// checkNet counts coincidences after correction: within three standard
// deviations are 0.9973 of the pairs.
func checkNet(t *testing.T, r align.Alignment, truth pairs.Truth) {
	t.Helper()
	a, b, _ := truth.Make()
	c, err := correlate.Coincide([]correlate.Channel{{Tags: tag.NewReader(a)}, {Tags: tag.NewReader(b), Correction: r.Correction()}},
		correlate.CoincidenceOptions{Window: 2 * int64(math.Round(3*truth.Sigma))})
	if err != nil {
		t.Fatal(err)
	}
	if want := 0.9973 * float64(truth.Recorded); math.Abs(float64(c.Net)-want) > 3*math.Sqrt(float64(c.All)) {
		t.Errorf("%.0f net coincidences, want %.0f", c.Net, want)
	}
}
