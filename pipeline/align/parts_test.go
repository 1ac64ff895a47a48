package align

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/internal/pairs"
	"tsrun/pipeline/tag"
	"tsrun/pipeline/track"
)

var partPrior = Options{Search: DefaultSearch, MaxDrift: DefaultMaxDrift}

func inParts(t *testing.T, e pairs.Experiment, most int) (Parts, pairs.Truth) {
	t.Helper()
	a, b, truth := e.Make()
	found, err := alignParts(t.Context(), tag.NewReader(a), tag.NewReader(b), partPrior, most)
	if err != nil {
		t.Fatal(err)
	}
	return found, truth
}

// A record that is aligned in parts has one track and one correction, which are
// as good as those of a record in one.
func TestAlignParts(t *testing.T) {
	for _, c := range []struct {
		name           string
		e              pairs.Experiment
		steps, refused int
		worst          float64 // ps, of the correction
	}{
		{"steady", pairs.Experiment{Frequency: 3e-7}, 0, 0, 15},
		{"wandering", pairs.Experiment{Frequency: 3e-7, WhiteFM: 1e-10, RandomWalkFM: 1e-10}, 0, 0, 60},
		{"stepping", pairs.Experiment{Steps: []pairs.Step{{At: 9, Size: 7000}}}, 1, 0, 25},
		{"dark for a while", pairs.Experiment{Frequency: 1e-8, NoPairs: []pairs.Span{{From: 5, To: 14}}}, 0, 1, 25},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.e.Seed, c.e.Seconds, c.e.SinglesA, c.e.SinglesB = 8, 20, 20e3, 22e3
			found, truth := inParts(t, c.e, 80_000)
			if found.Count < 6 || len(found.Refused) < c.refused || c.refused == 0 && len(found.Refused) > 0 || found.Warning == "" {
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
			knots := found.Track.Knots
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
				if c.steps > 0 && since > step-1e11 && since < step+1e11 || c.refused > 0 && since > 4.9e12 && since < 14.1e12 {
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
		if _, err := alignParts(t.Context(), tag.NewReader(c.a), tag.NewReader(c.b), partPrior, 1600); !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
