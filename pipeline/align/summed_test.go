package align

import (
	"errors"
	"math"
	"testing"

	"tsrun/internal/pairs"
)

var closer = Options{Search: 2e9, MaxDrift: DefaultMaxDrift}

// Strong light whose pairs no single correlation shows is found in a sum of
// them, whole or while it grows; light without pairs is not.
func TestSummedFindsPairsInStrongLight(t *testing.T) {
	for _, c := range []struct {
		name      string
		share     float64
		frequency float64
	}{{"slow drift", 0.02, 50e-9}, {"fast drift", 0.015, -19e-6}, {"none", 0, 0}} {
		l := pairs.Light{Seed: 4, Tags: 700_000, Rate: 1e6, Share: c.share, Jitter: 200, Frequency: c.frequency, Offset: 1e9}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := AlignStreams(t.Context(), l.A(), l.B(), closer)
			var refusal *Refusal
			if c.share == 0 {
				if !errors.As(err, &refusal) {
					t.Errorf("%+v, %v", r.Offset, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			x, sd := r.OffsetAt(r.Reference)
			if miss := float64(x.Whole-l.Offset) + x.Part - l.Frequency*float64(r.Reference); math.Abs(miss) > 5*sd {
				t.Errorf("off by %.1f ± %.1f ps", miss, sd)
			}
			if math.Abs(float64(r.Pairs)-l.Pairs()) > 0.02*l.Pairs() {
				t.Errorf("%d pairs, want %.0f", r.Pairs, l.Pairs())
			}
		})
	}
}

func TestLiveFindsPairsInStrongLight(t *testing.T) {
	l := pairs.Light{Seed: 5, Tags: 2_500_000, Rate: 2e6, Share: 0.02, Jitter: 200, Frequency: 50e-9, Offset: 1e9}
	live, err := NewLive(closer)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := live.Read(t.Context(), l.A(), l.B(), func(all []Value) { n += len(all) }); err != nil || n == 0 {
		t.Errorf("%d values of a clock that is %v, %v", n, live.State(), err)
	}
}

// A line that the whole record has refused is not nominated again.
func TestSummedPassesRefusedLines(t *testing.T) {
	l := pairs.Light{Seed: 4, Tags: 100_000, Rate: 1e6, Share: 0.1, Jitter: 200, Frequency: 50e-9, Offset: 1e7}
	a, b := make([]uint64, l.Tags), make([]uint64, l.Tags)
	na, _ := l.A().Next(a)
	nb, _ := l.B().Next(b)
	s, err := newSearcher(t.Context(), a[:na], b[:nb], Options{Search: 2e7, MaxDrift: DefaultMaxDrift})
	if err != nil {
		t.Fatal(err)
	}
	s.lookAt(s.centre)
	s.Brief = true // the cheapest sum
	p, ok := s.brighter(weakPlan{})
	first, found := s.summed(p)
	if !ok || !found {
		t.Fatalf("a sum is planned: %v, a line is found: %v", ok, found)
	}
	s.refused = append(s.refused, first.Line)
	if again, found := s.summed(p); found && again.Line == first.Line {
		t.Errorf("%+v is found again", again.Line)
	}
}
