package align_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/sdk/quantity"
)

const (
	ms      = int64(1_000_000_000)
	second  = 1000 * ms
	ppm     = quantity.Drift(1_000_000_000)
	ppb     = quantity.Drift(1_000_000)
	longest = 30 * time.Second // a search that takes longer is out of bounds
)

func TestAlignFindsTheTruth(t *testing.T) {
	tests := []struct {
		name   string
		e      pairs.Experiment
		search int64
		drift  quantity.Drift
	}{
		{"1 s", pairs.Experiment{Seconds: 1}, 20 * ms, 20 * ppm},
		{"1 s, 1 ppb", pairs.Experiment{Seconds: 1, Frequency: 1e-9}, 20 * ms, 20 * ppm},
		{"1 s, 100 ppb", pairs.Experiment{Seconds: 1, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"1 s, 10 ppm", pairs.Experiment{Seconds: 1, Frequency: 1e-5}, 20 * ms, 20 * ppm},
		{"2 s", pairs.Experiment{Seconds: 2}, 20 * ms, 20 * ppm},
		{"2 s, 1 ppb", pairs.Experiment{Seconds: 2, Frequency: 1e-9}, 20 * ms, 20 * ppm},
		{"2 s, 100 ppb", pairs.Experiment{Seconds: 2, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"2 s, 10 ppm", pairs.Experiment{Seconds: 2, Frequency: 1e-5}, 20 * ms, 20 * ppm},
		{"2 s, 20 ppm slow", pairs.Experiment{Seconds: 2, Frequency: -1.99e-5}, 20 * ms, 20 * ppm},
		{"negative offset", pairs.Experiment{Seconds: 2, Offset: -45_700_000_123, Frequency: -1e-6}, 100 * ms, 20 * ppm},
		{"late start", pairs.Experiment{Seconds: 5, LateB: 3, Offset: -150_000_000_000, Frequency: 1e-6}, 200 * ms, 20 * ppm},
		{"jitter 350 ps", pairs.Experiment{Seconds: 2, JitterA: 350, JitterB: 350, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"jitter 20 ps", pairs.Experiment{Seconds: 2, JitterA: 20, JitterB: 20, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"search 1 us", pairs.Experiment{Seconds: 2, Offset: 400_000, Frequency: 1.2e-8}, 1_000_000, 20 * ppm},
		{"search 1 ms", pairs.Experiment{Seconds: 2, Offset: -400_000_000, Frequency: 1.2e-8}, ms, 20 * ppm},
		{"search 200 ms", pairs.Experiment{Seconds: 1, Offset: 145 * ms, Frequency: 1e-6}, 200 * ms, 20 * ppm},
		{"offset longer than the record", pairs.Experiment{Seconds: 1, Offset: 1_500_345_678_901, Frequency: 1e-6}, 3 * second, 20 * ppm},
		{"bright pairs", pairs.Experiment{Seconds: 3, SinglesA: 14e3, SinglesB: 14e3, Pairs: 7200, JitterA: 80, JitterB: 80, Offset: 5 * ms, Frequency: 1.2e-8}, 10 * ms, 20 * ppm},
		{"no background", pairs.Experiment{Seconds: 1, SinglesA: 5e3, SinglesB: 5e3, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"1 kcps", pairs.Experiment{Seconds: 10, SinglesA: 1e3, SinglesB: 1e3, Pairs: 100, Frequency: 1e-6}, 20 * ms, 20 * ppm},
		{"one frequency", pairs.Experiment{Seconds: 2}, 20 * ms, 0},
		{"100 ppm", pairs.Experiment{Seconds: 2, Frequency: 5e-5}, 20 * ms, 100 * ppm},
		{"long clock readings", pairs.Experiment{Seconds: 1, Start: 1 << 63, Frequency: 1e-7}, 20 * ms, 20 * ppm},
		{"from zero", pairs.Experiment{Seconds: 1, Start: 1_000_000, Offset: 400_000, Frequency: 1e-8}, 20 * ms, 20 * ppm},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.e.Seed = uint64(1300 + i)
			a, b, tr := test.e.Make()
			begin := time.Now()
			r, err := align.Align(context.Background(), a, b, align.Options{Search: test.search, MaxDrift: test.drift})
			took := time.Since(begin)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v; %s", took.Round(time.Millisecond), compare(r, tr))
			checkAgainst(t, r, tr)
		})
	}
}

func compare(r align.Alignment, tr pairs.Truth) string {
	return fmt.Sprintf("offset %+.2f ps (sd %.2f, bound %.2f), frequency %+.2e (sd %.1e, bound %.1e), pairs %d of %d, jitter %.0f, S %.0f, chi2 %.0f/%d, lost %d %s",
		r.Offset.Minus(tr.OffsetAt(r.Reference)), r.OffsetSD, tr.OffsetBound(r.Reference), r.Frequency*1e-9-tr.Frequency, r.FrequencySD*1e-9, tr.FrequencyBound(),
		r.Pairs, tr.Recorded, r.Jitter, r.Significance, r.ChiSquare, r.Freedom, r.LostSlices, r.Warning)
}

// checkAgainst wants errors within four standard deviations, and those near
// the bound.
func checkAgainst(t *testing.T, r align.Alignment, tr pairs.Truth) {
	t.Helper()
	near := func(what string, off, sd, bound float64) {
		t.Helper()
		if math.Abs(off) > 4*sd+0.1*bound {
			t.Errorf("%s is off by %g, sd %g", what, off, sd)
		}
		most := 1.6
		if r.Overlap > 8*second { // a clock may wander by an eighth of a slice's deviation, and no slice shows it
			most = math.Sqrt(1.6*1.6 + float64(r.Slices)/64)
		}
		if sd < 0.9*bound || sd > most*bound {
			t.Errorf("%s has sd %g where the bound is %g", what, sd, bound)
		}
	}
	near("offset", r.Offset.Minus(tr.OffsetAt(r.Reference)), r.OffsetSD, tr.OffsetBound(r.Reference))
	near("frequency", r.Frequency*1e-9-tr.Frequency, r.FrequencySD*1e-9, tr.FrequencyBound())
	near("start offset", r.StartOffset.Minus(tr.OffsetAt(r.Start)), r.StartSD, tr.OffsetBound(r.Start))
	if made := float64(tr.Recorded); math.Abs(float64(r.Pairs)-made) > 6*math.Sqrt(made)+0.02*made {
		t.Errorf("%d pairs, want %d", r.Pairs, tr.Recorded)
	}
	if math.Abs(r.Jitter-tr.Sigma) > 0.15*tr.Sigma {
		t.Errorf("jitter %g, want %g", r.Jitter, tr.Sigma)
	}
	if r.Warning != "" {
		t.Errorf("warning: %s", r.Warning)
	}
	if got := quantity.NewFine(r.Line().OffsetAt(r.Start), 0); math.Abs(got.Minus(tr.OffsetAt(r.Start))) > 5*r.StartSD+2 {
		t.Errorf("the correction is %v at the start, want %v", got, tr.OffsetAt(r.Start))
	}
}

func TestAlignRefuses(t *testing.T) {
	tests := []struct {
		name string
		e    pairs.Experiment
		o    align.Options
		code string
	}{
		{"offset far beyond search", pairs.Experiment{Seconds: 0.2}, align.Options{Search: 1_000_000, MaxDrift: 20 * ppm}, "no-peak"},
		{"offset just beyond search", pairs.Experiment{Seconds: 0.2, Offset: 5_000_000}, align.Options{Search: 1_000_000, MaxDrift: 20 * ppm}, "outside-search"},
		{"drift beyond limit", pairs.Experiment{Seconds: 0.2, Frequency: 9e-5, Offset: 1_000_000}, align.Options{Search: 20_000_000, MaxDrift: 20 * ppm}, "no-peak"},
		{"records apart", pairs.Experiment{Seconds: 1, Offset: 10 * second}, align.Options{Search: 20 * ms, MaxDrift: ppm}, "no-overlap"},
		{"two paths", pairs.Experiment{Seconds: 2, Echo: 40_000}, align.Options{Search: 20 * ms, MaxDrift: ppm}, "ambiguous"},
		{"slow light", pairs.Experiment{Seed: 3, Seconds: 2, JitterA: 200_000, JitterB: 200_000, SinglesA: 14e3, SinglesB: 14e3, Pairs: 7e3}, align.Options{Search: 20 * ms, MaxDrift: ppm}, "too-broad"},
		{"few tags", pairs.Experiment{Seconds: 1, SinglesA: 5, SinglesB: 5, Pairs: 5}, align.Options{Search: 20 * ms, MaxDrift: ppm}, "few-tags"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, b, _ := test.e.Make()
			r, err := align.Align(context.Background(), a, b, test.o)
			var refusal *align.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("got %+v, %v", r, err)
			}
			if refusal.Code != test.code || refusal.Reason == "" || refusal.Hint == "" {
				t.Errorf("refused by %+v, want %s", refusal, test.code)
			}
		})
	}
}

// TestRecordsHoursApart: the hint says by how much to shift B, and that finds the pairs.
func TestRecordsHoursApart(t *testing.T) {
	const hours = 5*3600*second + 123_456_789
	for _, offset := range []int64{hours, -hours} {
		a, b, _ := pairs.Experiment{Seconds: 1, Offset: 1}.Make()
		for i := range a {
			a[i] += uint64(6 * 3600 * second)
		}
		for i := range b {
			b[i] += uint64(6*3600*second + offset)
		}
		o := align.Options{Search: 20 * ms, MaxDrift: ppm}
		_, err := align.Align(context.Background(), a, b, o)
		var refusal *align.Refusal
		if !errors.As(err, &refusal) || refusal.Code != "no-overlap" || !strings.Contains(refusal.Reason, "1799") && !strings.Contains(refusal.Reason, "18000") {
			t.Fatalf("got %+v, %v", refusal, err)
		}
		_, words, _ := strings.Cut(refusal.Hint, "--shift '")
		shift, err := quantity.ParseTime(strings.TrimSuffix(words, "'"))
		if err != nil {
			t.Fatalf("%q: %v", refusal.Hint, err)
		}
		for i := range b {
			b[i] += uint64(shift)
		}
		if r, err := align.Align(context.Background(), a, b, o); err != nil || math.Abs(r.Offset.Plus(-1).Float()-float64(offset+int64(shift))) > 5*r.OffsetSD {
			t.Errorf("shifted by %s: %+v, %v", shift, r.Offset, err)
		}
	}
}

// TestAlignFollowsWander bends the clock: the answer must hold all along the
// record, within its own deviations, and say that the clock is not straight.
func TestAlignFollowsWander(t *testing.T) {
	bright := func(e pairs.Experiment) pairs.Experiment {
		e.Seconds, e.SinglesA, e.SinglesB, e.Seed = 2, 40e3, 40e3, 31
		return e
	}
	for _, test := range []struct {
		name string
		e    pairs.Experiment
		rms  float64 // ps, at most
	}{
		{"parabola of 0.5 ns", bright(pairs.Experiment{Drift: 1e-9}), 15},
		{"parabola of 5 ns", bright(pairs.Experiment{Drift: 1e-8}), 20},
		{"parabola of 50 ns", bright(pairs.Experiment{Drift: 1e-7}), 40},
		{"sine of 0.3 ns", bright(pairs.Experiment{Sine: 300, SinePeriod: 2.0 / 3}), 25},
		{"step of 0.4 ns", bright(pairs.Experiment{Steps: []pairs.Step{{At: 1.2, Size: 400}}}), 15},
		{"step of 5 ns", bright(pairs.Experiment{Steps: []pairs.Step{{At: 0.8, Size: -5000}}}), 15},
		{"step of 50 ns", bright(pairs.Experiment{Steps: []pairs.Step{{At: 1.3, Size: 50_000}}}), 15},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b, truth := test.e.Make()
			r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(compare(r, truth))
			if r.ChiSquare < 1.5*float64(r.Freedom) || len(r.Track.Steps) != len(test.e.Steps) {
				t.Errorf("the wander is hidden: steps %+v, %s", r.Track.Steps, compare(r, truth))
			}
			correction := r.Correction()
			squares, surprises, applied, n := 0.0, 0.0, 0.0, 0.0
			for at := r.Start; at < truth.To; at += uint64(20 * ms) {
				if jumps(r, at) {
					continue
				}
				offset, sd := r.OffsetAt(at)
				want := truth.OffsetAt(at)
				off := offset.Minus(want)
				squares, surprises, n = squares+off*off, surprises+off*off/(sd*sd), n+1
				applied = max(applied, math.Abs(float64(correction.OffsetAt(at)-offset.Whole)))
			}
			rms, z := math.Sqrt(squares/n), math.Sqrt(surprises/n)
			if rms > test.rms || z > 2 || applied > 2 {
				t.Errorf("rms error %.2f ps, %.2f standard deviations; the correction is up to %g ps beside", rms, z, applied)
			}
		})
	}
}

// jumps says whether a jump of the clock is too near to a time to say on which
// side of it that is.
func jumps(r align.Alignment, at uint64) bool {
	for _, s := range r.Track.Steps {
		if math.Abs(float64(int64(at-s.Time))) < 5*s.TimeSD+1e9 {
			return true
		}
	}
	return false
}

func TestAlignSurvivesHostileInput(t *testing.T) {
	regular := func(n int, step uint64) []uint64 {
		tags := make([]uint64, n)
		for i := range tags {
			tags[i] = uint64(i) * step
		}
		return tags
	}
	bursts := make([]uint64, 0, 10_000) // five hundred tags at each of twenty times
	for i := range uint64(20) {
		for k := range uint64(500) {
			bursts = append(bursts, i*i*7_000_000_000+k)
		}
	}
	a, _, _ := pairs.Experiment{Seconds: 1}.Make()
	far := []uint64{0, math.MaxUint64}
	o := align.Options{Search: 20 * ms, MaxDrift: 20 * ppm}
	for _, test := range []struct {
		name string
		a, b []uint64
	}{
		{"nothing", nil, nil}, {"nothing in B", a, nil}, {"nothing in A", nil, a},
		{"zeros", make([]uint64, 1<<18), make([]uint64, 1<<18)}, {"zeros in B", a, make([]uint64, 1<<18)},
		{"every picosecond", regular(1<<18, 1), regular(1<<18, 1)},
		{"every 20 ns", regular(1<<18, 20_000), regular(1<<18, 20_000)},
		{"every microsecond", regular(1<<16, 1_000_000), regular(1<<16, 1_000_000)},
		{"bursts", bursts, bursts}, {"bursts in B", a, bursts},
		{"far apart", far, far},
		{"backwards", []uint64{5, 4}, a}, {"B backwards", a, []uint64{5, 4}},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin := time.Now()
			r, err := align.Align(context.Background(), test.a, test.b, o)
			t.Log(time.Since(begin), err)
			if err == nil {
				t.Errorf("there is nothing to align, but %+v", r)
			}
		})
	}
	for _, bad := range []align.Options{{}, {Search: -1}, {Search: math.MaxInt64}, {Search: 1, MaxDrift: -1}, {Search: 1, MaxDrift: math.MaxInt64}} {
		if _, err := align.Align(context.Background(), a, a, bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
