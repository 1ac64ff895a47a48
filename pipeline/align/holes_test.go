package align_test

import (
	"context"
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// TestJumpsAreFollowed aligns records whose clock jumps so that it is lost, and
// compares with the truth everywhere.
func TestJumpsAreFollowed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		pairs float64
		steps []pairs.Step
	}{
		{"5 ppb", 5e3, []pairs.Step{{At: 3.3, Frequency: 5e-9}}},
		{"1000 ppb, few pairs", 1e3, []pairs.Step{{At: 3.3, Frequency: 1000e-9}}},
		{"8 ms back and 20 ppb", 5e3, []pairs.Step{{At: 3.3, Size: -8e9, Frequency: 20e-9}}},
		{"30 ms", 1e3, []pairs.Step{{At: 6.1, Size: 30e9}}},
		{"there and back, soon and late", 5e3, []pairs.Step{{At: 0.5, Frequency: 80e-9}, {At: 7.2, Frequency: -80e-9}}},
		{"corners", 5e3, []pairs.Step{{At: 2, Frequency: 10e-9}, {At: 4, Frequency: -10e-9}, {At: 6, Frequency: 10e-9}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b, truth := pairs.Experiment{Seed: 31, Seconds: 8, SinglesA: 30e3, SinglesB: 30e3, Pairs: c.pairs, Frequency: -7e-6, Steps: c.steps}.Make()
			found, err := align.Align(context.Background(), a, b, align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift})
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Track.Steps) != len(c.steps) {
				t.Fatalf("%d jumps of %d: %+v", len(found.Track.Steps), len(c.steps), found.Track.Steps)
			}
			for i, s := range found.Track.Steps {
				if off := float64(int64(s.Time-truth.Start)) - c.steps[i].At*1e12; math.Abs(off) > 4*s.TimeSD+1e9 {
					t.Errorf("jump %d is placed %.3g ps late, sd %.3g", i, off, s.TimeSD)
				}
				if off := s.Frequency - c.steps[i].Frequency*1e9; s.Turns() != (c.steps[i].Frequency != 0) || math.Abs(off) > 4*s.FrequencySD {
					t.Errorf("jump %d: %+v, the frequency is off by %.3g ppb", i, s, off)
				}
			}
			wantPulls(t, found, truth)
			corrected := found.Correction().ApplyAll(nil, b)
			if n := within1ns(a, corrected); n < 0.99*float64(truth.Recorded) {
				t.Errorf("%.0f of %d pairs are within 1 ns after correction", n, truth.Recorded)
			}
		})
	}
}

// wantPulls compares start, offset, knots and 200 other times with the truth.
func wantPulls(t *testing.T, found align.Alignment, truth pairs.Truth) {
	t.Helper()
	for i := range uint64(201) {
		at := found.Start + uint64(found.Overlap)/200*i
		said, sd := found.OffsetAt(at)
		if off := said.Minus(truth.OffsetAt(at)); !(math.Abs(off) <= 4.5*sd) {
			t.Errorf("at %.3f s: %.4g ps off, sd %.4g", float64(int64(at-truth.Start))/1e12, off, sd)
		}
	}
	for _, k := range found.Track.Knots {
		if off := k.Offset.Minus(truth.OffsetAt(k.Time)); math.Abs(off) > 5*k.OffsetSD {
			t.Errorf("knot at %.3f s: %.4g ps off, sd %.4g", float64(int64(k.Time-truth.Start))/1e12, off, k.OffsetSD)
		}
	}
}

// within1ns counts tags of a that have one of b within 1 ns.
func within1ns(a, b []uint64) (n float64) {
	k := 0
	for _, t := range a {
		for k < len(b) && int64(b[k]-t) < -1000 {
			k++
		}
		if k < len(b) && int64(b[k]-t) <= 1000 {
			n++
		}
	}
	return n
}

// TestGapsHideWhatTheyMay aligns records with times without pairs: a step in
// the dark is as uncertain as its moment, and nothing proves an end without
// pairs.
func TestGapsHideWhatTheyMay(t *testing.T) {
	t.Parallel()
	dark := pairs.Experiment{Seed: 5, Seconds: 8, SinglesA: 30e3, SinglesB: 30e3, Frequency: -7e-6}
	step, end := dark, dark
	step.NoPairs, step.Steps = []pairs.Span{{From: 3, To: 5}}, []pairs.Step{{At: 4.6, Size: 30e3}}
	end.NoPairs, end.Steps = []pairs.Span{{From: 0, To: 2}}, []pairs.Step{{At: 1, Size: -40e3}}
	for name, e := range map[string]pairs.Experiment{"a step in the dark": step, "a step in a dark beginning": end} {
		a, b, truth := e.Make()
		found, err := align.Align(context.Background(), a, b, align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantPulls(t, found, truth)
		if off := found.StartOffset.Minus(truth.OffsetAt(found.Start)); math.Abs(off) > 4*found.StartSD {
			t.Errorf("%s: the start is %.3g ps off, sd %.3g", name, off, found.StartSD)
		}
		for _, g := range found.Track.Gaps {
			if g.From < a[0] || g.To > a[len(a)-1] || g.From >= g.To {
				t.Errorf("%s: a gap from %d to %d, of a record from %d to %d", name, g.From, g.To, a[0], a[len(a)-1])
			}
		}
	}
}

// TestTimesOfATrackAreInItsRecord aligns a record that begins at 0.
func TestTimesOfATrackAreInItsRecord(t *testing.T) {
	e := pairs.Experiment{Seed: 3, Seconds: 3, SinglesA: 30e3, SinglesB: 30e3, LateB: 0.05}
	a, b, truth := e.Make()
	for i := range a {
		a[i] -= truth.Start
	}
	for i := range b {
		b[i] -= truth.Start
	}
	found, err := align.Align(context.Background(), a, b, align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range found.Track.Quarters {
		if q.From < a[0] || q.To > a[len(a)-1] || q.From >= q.To {
			t.Errorf("a quarter from %d to %d, of a record from %d to %d", q.From, q.To, a[0], a[len(a)-1])
		}
	}
}

// Stretches with few pairs for the record's rate look like holes, from which the
// clock cannot be followed any better.
func TestSourceThatBrightensIsFollowed(t *testing.T) {
	e := pairs.Experiment{Seed: 965003, Seconds: 12, SinglesA: 30e3, SinglesB: 30e3, Pairs: 500, Frequency: -7e-6, Offset: 5_000_000_000,
		Stretches: []pairs.Stretch{{Span: pairs.Span{From: 6, To: 13}, Source: 10}}}
	a, b, truth := e.Make()
	r, err := align.Align(context.Background(), a, b, align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift})
	if err != nil {
		t.Fatal(err)
	}
	if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); !(math.Abs(off) < 5*r.OffsetSD) || r.OffsetSD > 10 {
		t.Errorf("off by %.1f where %.1f are stated", off, r.OffsetSD)
	}
}
