package align_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"tsrun/pipeline/align"
	"tsrun/pipeline/quantity"
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
		e      experiment
		search int64
		drift  quantity.Drift
	}{
		{"1 s", experiment{seconds: 1}, 20 * ms, 20 * ppm},
		{"1 s, 1 ppb", experiment{seconds: 1, df: 1e-9}, 20 * ms, 20 * ppm},
		{"1 s, 100 ppb", experiment{seconds: 1, df: 1e-7}, 20 * ms, 20 * ppm},
		{"1 s, 10 ppm", experiment{seconds: 1, df: 1e-5}, 20 * ms, 20 * ppm},
		{"2 s", experiment{seconds: 2}, 20 * ms, 20 * ppm},
		{"2 s, 1 ppb", experiment{seconds: 2, df: 1e-9}, 20 * ms, 20 * ppm},
		{"2 s, 100 ppb", experiment{seconds: 2, df: 1e-7}, 20 * ms, 20 * ppm},
		{"2 s, 10 ppm", experiment{seconds: 2, df: 1e-5}, 20 * ms, 20 * ppm},
		{"2 s, 20 ppm slow", experiment{seconds: 2, df: -1.99e-5}, 20 * ms, 20 * ppm},
		{"negative offset", experiment{seconds: 2, offset: -45_700_000_123, df: -1e-6}, 100 * ms, 20 * ppm},
		{"late start", experiment{seconds: 5, lateB: 3, offset: -150_000_000_000, df: 1e-6}, 200 * ms, 20 * ppm},
		{"B ends early", experiment{seconds: 4, earlyB: 2.5, df: 1e-6}, 200 * ms, 20 * ppm},
		{"jitter 350 ps", experiment{seconds: 2, jitter: 350, df: 1e-7}, 20 * ms, 20 * ppm},
		{"jitter 20 ps", experiment{seconds: 2, jitter: 20, df: 1e-7}, 20 * ms, 20 * ppm},
		{"jitter 3 ns", experiment{seconds: 2, jitter: 3000, df: 1e-7}, 20 * ms, 20 * ppm},
		{"search 1 us", experiment{seconds: 2, offset: 400_000, df: 1.2e-8}, 1_000_000, 20 * ppm},
		{"search 1 ms", experiment{seconds: 2, offset: -400_000_000, df: 1.2e-8}, ms, 20 * ppm},
		{"search 200 ms", experiment{seconds: 1, offset: 145 * ms, df: 1e-6}, 200 * ms, 20 * ppm},
		{"search 3 s", experiment{seconds: 4, offset: 1_500_345_678_901, df: 1e-5}, 3 * second, 20 * ppm},
		{"offset longer than the record", experiment{seconds: 1, offset: 1_500_345_678_901, df: 1e-6}, 3 * second, 20 * ppm},
		{"bright pairs", experiment{seconds: 3, singlesA: 14e3, singlesB: 14e3, pairs: 7200, jitter: 80, offset: 5 * ms, df: 1.2e-8}, 10 * ms, 20 * ppm},
		{"no background", experiment{seconds: 1, singlesA: 5e3, singlesB: 5e3, df: 1e-7}, 20 * ms, 20 * ppm},
		{"1 kcps", experiment{seconds: 10, singlesA: 1e3, singlesB: 1e3, pairs: 100, df: 1e-6}, 20 * ms, 20 * ppm},
		{"1 kcps, search 3 s", experiment{seconds: 20, singlesA: 1e3, singlesB: 1e3, pairs: 100, offset: -2 * second, df: 1e-6}, 3 * second, 20 * ppm},
		{"1 Mcps", experiment{seconds: 1, singlesA: 1e6, singlesB: 1e6, pairs: 50e3, df: 1e-7}, 20 * ms, 20 * ppm},
		{"unequal rates", experiment{seconds: 2, singlesA: 10e3, singlesB: 500e3, pairs: 4e3, df: 1e-7}, 20 * ms, 20 * ppm},
		{"weak, known clock", experiment{seconds: 2, pairs: 2e3, df: 5e-7}, 20 * ms, ppm},
		{"one frequency", experiment{seconds: 2}, 20 * ms, 0},
		{"100 ppm", experiment{seconds: 2, df: 5e-5}, 20 * ms, 100 * ppm},
		{"long clock readings", experiment{seconds: 1, start: 1 << 63, df: 1e-7}, 20 * ms, 20 * ppm},
		{"from zero", experiment{seconds: 1, start: 1_000_000, offset: 400_000, df: 1e-8}, 20 * ms, 20 * ppm},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.e.seed = uint64(1000 + i)
			a, b, tr := test.e.make()
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

func compare(r align.Alignment, tr truth) string {
	return fmt.Sprintf("offset %+.2f ps (sd %.2f, bound %.2f), frequency %+.2e (sd %.1e, bound %.1e), pairs %d of %d, jitter %.0f, S %.0f, chi2 %.0f/%d, lost %d %s",
		r.Offset.Float()-tr.offsetAt(r.Reference), r.OffsetSD, tr.offsetBound(), r.Frequency*1e-9-tr.df, r.FrequencySD*1e-9, tr.dfBound(),
		r.Pairs, tr.pairsMade, r.Jitter, r.Significance, r.ChiSquare, r.Freedom, r.LostSlices, r.Warning)
}

// checkAgainst wants errors within four standard deviations, and those near
// the bound.
func checkAgainst(t *testing.T, r align.Alignment, tr truth) {
	t.Helper()
	near := func(what string, got, want, sd, bound float64) {
		t.Helper()
		if math.Abs(got-want) > 4*sd+0.1*bound {
			t.Errorf("%s is %g, want %g, sd %g", what, got, want, sd)
		}
		if sd < 0.9*bound || sd > 1.6*bound {
			t.Errorf("%s has sd %g where the bound is %g", what, sd, bound)
		}
	}
	near("offset", r.Offset.Float(), tr.offsetAt(r.Reference), r.OffsetSD, tr.offsetBound())
	near("frequency", r.Frequency*1e-9, tr.df, r.FrequencySD*1e-9, tr.dfBound())
	near("start offset", r.StartOffset.Float(), tr.offsetAt(r.Start), r.StartSD, 2*tr.offsetBound())
	if made := float64(tr.pairsMade); math.Abs(float64(r.Pairs)-made) > 6*math.Sqrt(made)+0.02*made {
		t.Errorf("%d pairs, want %d", r.Pairs, tr.pairsMade)
	}
	if math.Abs(r.Jitter-tr.sigma) > 0.15*tr.sigma {
		t.Errorf("jitter %g, want %g", r.Jitter, tr.sigma)
	}
	if r.Warning != "" {
		t.Errorf("warning: %s", r.Warning)
	}
	if got := float64(r.Line().OffsetAt(r.Start)); math.Abs(got-tr.offsetAt(r.Start)) > 5*r.StartSD+2 {
		t.Errorf("the correction is %g at the start, want %g", got, tr.offsetAt(r.Start))
	}
}

func TestAlignRefuses(t *testing.T) {
	tests := []struct {
		name string
		e    experiment
		o    align.Options
		code string
	}{
		{"offset beyond search", experiment{seconds: 1}, align.Options{Search: ms, MaxDrift: 20 * ppm}, "no-peak"},
		{"drift beyond limit", experiment{seconds: 0.5, df: 9e-5, offset: ms}, align.Options{Search: 2 * ms, MaxDrift: 20 * ppm}, "no-peak"},
		{"records apart", experiment{seconds: 1, offset: 10 * second}, align.Options{Search: 20 * ms, MaxDrift: ppm}, "no-overlap"},
		{"two paths", experiment{seconds: 2, echo: 40_000}, align.Options{Search: 20 * ms, MaxDrift: ppm}, "ambiguous"},
		{"a clock that steps far", experiment{seconds: 2, step: 50_000}, align.Options{Search: 20 * ms, MaxDrift: ppm}, "not-straight"},
		{"slow light", experiment{seconds: 2, jitter: 200_000, singlesA: 14e3, singlesB: 14e3, pairs: 7e3}, align.Options{Search: 20 * ms, MaxDrift: ppm}, "too-broad"},
		{"few tags", experiment{seconds: 1, singlesA: 5, singlesB: 5, pairs: 5}, align.Options{Search: 20 * ms, MaxDrift: ppm}, "few-tags"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, b, _ := test.e.make()
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

// TestAlignShowsWander bends the clock: the answer must say so, with a
// chi-square that fits, or there must be none.
func TestAlignShowsWander(t *testing.T) {
	tests := []struct {
		name string
		e    experiment
	}{
		{"parabola of 0.5 ns", experiment{seconds: 2, singlesA: 40e3, singlesB: 40e3, ddf: 1e-9}},
		{"parabola of 5 ns", experiment{seconds: 2, singlesA: 40e3, singlesB: 40e3, ddf: 1e-8}},
		{"parabola of 50 ns", experiment{seconds: 2, singlesA: 40e3, singlesB: 40e3, ddf: 1e-7}},
		{"sine of 0.3 ns", experiment{seconds: 2, singlesA: 40e3, singlesB: 40e3, sine: 300}},
		{"sine of 20 ns", experiment{seconds: 2, singlesA: 40e3, singlesB: 40e3, sine: 20_000}},
		{"step of 0.4 ns", experiment{seconds: 2, singlesA: 40e3, singlesB: 40e3, step: 400}},
		{"step of 5 ns, late", experiment{seconds: 2, singlesA: 40e3, singlesB: 40e3, step: 5000, earlyB: 0.6}},
		{"step of 5 ns", experiment{seconds: 2, singlesA: 40e3, singlesB: 40e3, step: 5000}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.e.seed = 31
			a, b, tr := test.e.make()
			r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
			var refusal *align.Refusal
			if errors.As(err, &refusal) {
				t.Log(refusal)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Log(compare(r, tr))
			if r.Warning == "" || r.ChiSquare < 1.5*float64(r.Freedom) && r.LostSlices == 0 {
				t.Errorf("the wander is hidden: %s", compare(r, tr))
			}
			if off := math.Abs(r.Offset.Float() - tr.offsetAt(r.Reference)); off > 4*r.OffsetSD {
				t.Errorf("the deviation is too small: %s", compare(r, tr))
			}
			if off := math.Abs(r.StartOffset.Float() - tr.offsetAt(r.Start)); off > 4*r.StartSD {
				t.Errorf("the start is off by %g ps, its deviation is %g ps", off, r.StartSD)
			}
		})
	}
}

func TestAlignSurvivesHostileInput(t *testing.T) {
	regular := func(n int, step uint64) []uint64 {
		tags := make([]uint64, n)
		for i := range tags {
			tags[i] = uint64(i) * step
		}
		return tags
	}
	bursts := make([]uint64, 0, 200_000) // ten thousand tags at each of twenty times
	for i := range uint64(20) {
		for k := range uint64(10_000) {
			bursts = append(bursts, i*i*7_000_000_000+k)
		}
	}
	a, _, _ := experiment{seconds: 1}.make()
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
