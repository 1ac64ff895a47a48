package align

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
	"tsrun/sdk/tag"
)

var partPrior = Options{Search: DefaultSearch, MaxDrift: DefaultMaxDrift}

func inParts(t *testing.T, e pairs.Experiment, most int) (Parts, pairs.Truth) {
	t.Helper()
	a, b, truth := e.Make()
	found, err := AlignParts(t.Context(), tag.NewReader(a), tag.NewReader(b), partPrior, most)
	if err != nil {
		t.Fatal(err)
	}
	return found, truth
}

// Clocks that are said to follow one reference keep to a line in each part, not in the
// first alone.
func TestAlignPartsOfOneReference(t *testing.T) {
	e := pairs.Experiment{Seed: 31, Seconds: 80, SinglesA: 2e3, SinglesB: 2e3, Pairs: 40, JitterA: 73, JitterB: 73, Offset: 10_000_000}
	a, b, truth := e.Make()
	found, err := AlignParts(t.Context(), tag.NewReader(a), tag.NewReader(b), Options{Search: 20_000_000}, 45_000)
	if err != nil || found.Count < 4 {
		t.Fatalf("%d parts, %v", found.Count, err)
	}
	const bound = 73 * math.Sqrt2 / 28 // ps: of 20 s in their middle; at an end it is twice that
	for _, k := range found.Track.Knots {
		if miss := k.Offset.Minus(truth.OffsetAt(k.Time)); k.OffsetSD > 2.2*bound || math.Abs(miss) > 4*k.OffsetSD {
			t.Errorf("knot at %d ps: off by %.2f ± %.2f ps", k.Time, miss, k.OffsetSD)
		}
	}
}

// A record that is aligned in parts has one track and one correction, which are
// as good as those of a record in one.
func TestAlignParts(t *testing.T) {
	for _, c := range []struct {
		name         string
		e            pairs.Experiment
		parts, steps int
		dark         bool    // from 5 to 14 s
		worst        float64 // ps, of the correction
	}{
		{"steady", pairs.Experiment{Frequency: 3e-7}, 6, 0, false, 15},
		{"wandering", pairs.Experiment{Frequency: 3e-7, WhiteFM: 1e-10, RandomWalkFM: 1e-10}, 6, 0, false, 60},
		{"stepping", pairs.Experiment{Steps: []pairs.Step{{At: 9, Size: 7000}}}, 6, 1, false, 25},
		{"stepping by 8 ms", pairs.Experiment{Steps: []pairs.Step{{At: 9, Size: 8e9}}}, 6, 1, false, 25},
		{"dark for a while", pairs.Experiment{Frequency: 1e-8, NoPairs: []pairs.Span{{From: 5, To: 14}}}, 3, 0, true, 25},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.e.Seed, c.e.Seconds, c.e.SinglesA, c.e.SinglesB = 8, 20, 20e3, 22e3
			found, truth := inParts(t, c.e, 80_000)
			if found.Count < c.parts || len(found.Refused) > 0 || found.Warning == "" {
				t.Errorf("%d parts, refused %+v, warning %q", found.Count, found.Refused, found.Warning)
			}
			if steps := found.Track.Steps; len(steps) != c.steps {
				t.Errorf("steps %+v", steps)
			}
			if n := float64(truth.Recorded); math.Abs(float64(found.Pairs)-n) > 0.1*n {
				t.Errorf("%d pairs of %d", found.Pairs, truth.Recorded)
			}
			if s := float64(found.Overlap) / 1e12; s < 19.9 || s > 20.1 {
				t.Errorf("overlap of %.3f s", s)
			}
			if gaps := found.Track.Gaps; c.dark != (len(gaps) == 1) || c.dark && (gaps[0].NotFound || float64(gaps[0].To-gaps[0].From) < 8.5e12) {
				t.Errorf("gaps %+v", gaps)
			}
			knots := found.Track.Knots
			if last := int64(end(found.Alignment) - knots[len(knots)-1].Time); last > 1e12 {
				t.Errorf("the last knot is %d ps before the end", last)
			}
			if !slices.IsSortedFunc(knots, func(x, y track.Knot) int { return int(int64(x.Time-y.Time) >> 1) }) {
				t.Error("knots are out of order")
			}
			for _, k := range knots {
				if miss := k.Offset.Minus(truth.OffsetAt(k.Time)); math.Abs(miss) > 5*k.OffsetSD+1 {
					t.Errorf("knot at %d ps: off by %.1f ± %.1f ps", k.Time, miss, k.OffsetSD)
				}
			}
			worst, step := 0.0, uint64(1e12*9)
			for at := found.Start; at < end(found.Alignment); at += 5e9 {
				since := at - truth.Start
				if c.steps > 0 && since > step-1e11 && since < step+1e11 || c.dark && since > 4.9e12 && since < 14.1e12 {
					continue
				}
				x := truth.OffsetAt(at)
				worst = max(worst, math.Abs(float64(int64(found.Correction().Apply(at+uint64(x.Whole))-at))))
			}
			if worst > c.worst {
				t.Errorf("the correction is off by %.0f ps somewhere, want %.0f at most", worst, c.worst)
			}
		})
	}
}

// Light without pairs in mid-record is no gap without pairs: the clock is not
// found there. It is followed on from where there are pairs again.
func TestAlignPartsNotFound(t *testing.T) {
	e := pairs.Experiment{Seed: 9, Seconds: 15, SinglesA: 20e3, SinglesB: 22e3, Frequency: 3e-8, Offset: 1e8}
	a, b, truth := e.Make()
	rng := rand.New(rand.NewPCG(1, 2))
	for i, at := range b {
		if since := at - truth.Start; since > 5e12 && since < 10e12 {
			b[i] += rng.Uint64N(1e9)
		}
	}
	slices.Sort(b)
	found, err := AlignParts(t.Context(), tag.NewReader(a), tag.NewReader(b), Options{Search: 1e9, MaxDrift: DefaultMaxDrift}, 60_000)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Refused) != 1 || len(found.Track.Gaps) < 1 || len(found.Track.Steps) > 0 {
		t.Fatalf("not found %+v, gaps %+v, steps %+v", found.Refused, found.Track.Gaps, found.Track.Steps)
	}
	var before track.Gap
	for _, g := range found.Track.Gaps {
		if int64(g.From-before.To) < 0 {
			t.Errorf("gaps %+v overlap", found.Track.Gaps)
		}
		before = g
	}
	if g := found.Refused[0]; !g.NotFound || g.From < truth.Start+4e12 || g.To > truth.Start+11e12 || g.To-g.From < 1e12 {
		t.Errorf("not found %+v", g)
	}
	for _, at := range []uint64{found.Start, found.Start + uint64(found.Overlap)} {
		x, sd := found.OffsetAt(at)
		if miss := x.Minus(truth.OffsetAt(at)); math.Abs(miss) > 5*sd {
			t.Errorf("off by %.1f ± %.1f ps", miss, sd)
		}
	}
}

// A record that fits is aligned as a whole.
func TestAlignInOnePart(t *testing.T) {
	e := pairs.Experiment{Seed: 2, Seconds: 2, SinglesA: 20e3, SinglesB: 20e3}
	found, _ := inParts(t, e, 1<<20)
	a, b, _ := e.Make()
	want, err := Align(t.Context(), a, b, partPrior)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Track.Knots, found.Track.Knots); diff != "" || found.Count != 1 || found.Offset != want.Offset {
		t.Errorf("%d parts, offset %v, want %v; knots:\n%s", found.Count, found.Offset, want.Offset, diff)
	}
}

func TestAlignPartsRefuses(t *testing.T) {
	var refusal *Refusal
	a, b, _ := pairs.Experiment{Seed: 2, Seconds: 0.5, SinglesA: 4e3, SinglesB: 4e3, Pairs: -1}.Make()
	for name, c := range map[string]struct{ a, b []uint64 }{
		"no pairs": {a, b}, "nothing": {nil, nil}, "no A": {nil, b}, "no B": {a, nil}, "one tag": {a[:1], b[:1]},
	} {
		if _, err := AlignParts(t.Context(), tag.NewReader(c.a), tag.NewReader(c.b), partPrior, 1600); !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of a record that ends long before the other, or has nothing, the refusal is that of both
// records, not of a part behind the end.
func TestAlignPartsRefusesForBothRecords(t *testing.T) {
	const ms = 1_000_000_000
	var long []uint64
	for i := range uint64(5000) {
		long = append(long, i*ms+i*i%977, i*ms+i*i%977)
	}
	for name, c := range map[string]struct {
		a, b       []uint64
		code, says string
	}{
		"nothing of A":  {nil, long, "few-tags", "A has 0 different times and B 5000"},
		"nothing of B":  {long, nil, "few-tags", "A has 5000 different times and B 0"},
		"few of B":      {long, long[:20], "few-tags", "A has 5000 different times and B 10"},
		"a short one B": {long, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, "no-overlap", "in common"},
	} {
		var refusal *Refusal
		_, err := AlignParts(t.Context(), tag.NewReader(c.a), tag.NewReader(c.b), partPrior, 1600)
		if !errors.As(err, &refusal) || refusal.Code != c.code || !strings.Contains(refusal.Reason, c.says) {
			t.Errorf("%s: %+v, want %s: %s", name, err, c.code, c.says)
		}
	}
}

// The tag that is out of order is named by its place in the record, of which
// repeated tags are left out and which is read in parts.
func TestAlignPartsNamesTheTagOutOfOrder(t *testing.T) {
	const second = 1_000_000_000_000
	for name, last := range map[string]uint64{"in the first part": 20, "in a later part": 5000} {
		var tags []uint64
		for i := range last {
			tags = append(tags, i*second/100, i*second/100)
		}
		tags = append(tags, 5)
		var order *correlate.OrderError
		if _, err := AlignParts(t.Context(), tag.NewReader(tags), tag.NewReader(tags[:1]), partPrior, 16); !errors.As(err, &order) {
			t.Fatalf("%s: %v", name, err)
		}
		if want := (correlate.OrderError{Stream: "A", Index: 2 * last, Tag: 5, Previous: (last - 1) * second / 100}); *order != want {
			t.Errorf("%s: %+v, want %+v", name, *order, want)
		}
	}
}
