package align_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// TestAlignCoarseTags aligns tags in steps that are coarse against the jitter,
// of clocks that are locked or nearly so: the offset within a step is in how the
// pairs divide between two steps. A slow slip over a step is no jump, and steps
// are no period of a source.
func TestAlignCoarseTags(t *testing.T) {
	for i, c := range []struct {
		step, jitter, ppb float64
		offset            int64
	}{
		{100, 10, 0, 5_000_000},
		{100, 10, 0.08, 5_000_000},
		{100, 10, 0.1, 5_000_000},
		{2000, 300, 0, 5_000_000},
		{10_000, 10, 12, 5_000_000},
		{4000, -1, 0, 5_001_234},
		{8000, 60, 1, -3_000_777},
		{1000. / 12, 10, 0, 5_000_017},
		{81, 10, 0, 5_000_017},
		{1, -1, 0.01, 5_000_017},
	} {
		t.Run(fmt.Sprintf("%.4g ps, jitter %g, %g ppb", c.step, c.jitter, c.ppb), func(t *testing.T) {
			t.Parallel()
			e := pairs.Experiment{Seed: uint64(40 + i), Seconds: 3, SinglesA: 20e3, SinglesB: 20e3, Frequency: c.ppb * 1e-9, Offset: c.offset,
				JitterA: c.jitter, JitterB: c.jitter, StepA: c.step, StepB: c.step}
			a, b, truth := e.Make()
			r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
			if err != nil {
				t.Fatal(err)
			}
			off := r.Offset.Minus(truth.OffsetAt(r.Reference))
			t.Logf("%+.2f ± %.2f ps, %+.4f ± %.4f ppb off, jitter %.3g, steps %g and %g %s", off, r.OffsetSD, r.Frequency-c.ppb, r.FrequencySD, r.Jitter, r.StepA, r.StepB, r.Warning)
			if math.Abs(off) > 4*r.OffsetSD || r.OffsetSD > max(c.step, 4) {
				t.Errorf("off by %.2f ps, which is stated to %.2f", off, r.OffsetSD)
			}
			if math.Abs(r.Frequency-c.ppb) > 4*r.FrequencySD {
				t.Errorf("%.4f ppb, which is stated to %.4f", r.Frequency, r.FrequencySD)
			}
			if math.Abs(r.StepA-c.step) > 1e-6*c.step || r.StepB != r.StepA {
				t.Errorf("steps of %v and %v ps", r.StepA, r.StepB)
			}
			if r.Warning != "" || r.Period != 0 || len(r.Track.Steps) > 0 {
				t.Errorf("warning %q, period %v, jumps %v", r.Warning, r.Period, r.Track.Steps)
			}
		})
	}
}

// TestAlignFileWithItself wants 0, as well known as the steps of the tags let.
func TestAlignFileWithItself(t *testing.T) {
	for _, step := range []float64{1, 2000} {
		a, _, _ := pairs.Experiment{Seed: 7, Seconds: 1, SinglesA: 20e3, SinglesB: 20e3, StepA: step}.Make()
		r, err := align.Align(context.Background(), a, a, align.Options{Search: 20 * ms})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(r.Offset.Float()) > 1e-6 || math.Abs(r.OffsetSD/step-1/math.Sqrt(6)) > 0.1 || !(r.FrequencySD > 0) || r.StartSD < 0.99*r.OffsetSD {
			t.Errorf("steps of %g ps: %v ± %.3g ps, ± %.3g at the start, ± %.3g ppb", step, r.Offset, r.OffsetSD, r.StartSD, r.FrequencySD)
		}
	}
}

// TestAlignRefusesTooCoarse names the resolution where it is the reason.
func TestAlignRefusesTooCoarse(t *testing.T) {
	e := pairs.Experiment{Seed: 8, Seconds: 2, SinglesA: 20e3, SinglesB: 20e3, StepA: 1e6, StepB: 1e6}
	a, b, _ := e.Make()
	_, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
	var refusal *align.Refusal
	if !errors.As(err, &refusal) || refusal.Code != "coarse" || !strings.Contains(refusal.Reason, "1000 ns") {
		t.Errorf("got %v", err)
	}
}

// TestAlignOddPeak wants the centre of a peak with a tail where it is whatever
// the background, and a warning.
func TestAlignOddPeak(t *testing.T) {
	var centres, sds []float64
	for _, singles := range []float64{20e3, 200e3} {
		e := pairs.Experiment{Seed: 9, Seconds: 3, SinglesA: singles, SinglesB: singles, TailB: 300, Offset: 5_000_000}
		a, b, truth := e.Make()
		r, err := align.Align(context.Background(), a, b, align.Options{Search: 10_000_000, MaxDrift: ppm})
		if err != nil {
			t.Fatal(err)
		}
		centres, sds = append(centres, r.Offset.Minus(truth.OffsetAt(r.Reference))), append(sds, r.OffsetSD)
		if !strings.Contains(r.Warning, "not normal") {
			t.Errorf("warning %q", r.Warning)
		}
	}
	if apart := math.Abs(centres[0] - centres[1]); apart > 4*math.Hypot(sds[0], sds[1]) {
		t.Errorf("centres of %.1f and %.1f ps, ± %.1f and %.1f", centres[0], centres[1], sds[0], sds[1])
	}
}

// TestAlignQuietClock wants the deviations of a clock that moves by less than
// shows to allow for it.
func TestAlignQuietClock(t *testing.T) {
	outside := 0
	for seed := range uint64(6) {
		e := pairs.Experiment{Seed: 60 + seed, Seconds: 8, SinglesA: 20e3, SinglesB: 20e3, Drift: 1.5e-12}
		a, b, truth := e.Make()
		r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: ppm})
		if err != nil {
			t.Fatal(err)
		}
		off, start := r.Offset.Minus(truth.OffsetAt(r.Reference)), r.StartOffset.Minus(truth.OffsetAt(r.Start))
		t.Logf("%.2f ± %.2f ps, at the start %.2f ± %.2f", off, r.OffsetSD, start, r.StartSD)
		if math.Abs(off) > 3*r.OffsetSD || math.Abs(start) > 3*r.StartSD {
			outside++
		}
	}
	if outside > 1 {
		t.Errorf("%d of 6 are more than 3 standard deviations off", outside)
	}
}
