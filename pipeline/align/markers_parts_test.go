package align

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/sdk/tag"
)

func markersInParts(t *testing.T, a, b []uint64, o Options, most int) Parts {
	t.Helper()
	found, err := alignMarkerParts(t.Context(), tag.NewReader(a), tag.NewReader(b), o, most)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Markers that are aligned in parts give one clock, that of the markers in one
// piece: what was searched tells which of them are the same in the first part only.
func TestAlignMarkersInParts(t *testing.T) {
	const ms = int64(1e9)
	for _, c := range []struct {
		name   string
		e      pairs.Experiment
		search int64
		parts  int
	}{
		{"seldom", pairs.Experiment{Seconds: 120, MarkerPeriod: 0.1, Frequency: -3e-6, LateB: 20}, 20 * ms, 5},
		{"often", pairs.Experiment{Seconds: 10, MarkerPeriod: 1e-3, Frequency: 1e-5, Offset: 123_456_789}, ms / 3, 20},
		{"beyond a period by the end", pairs.Experiment{Seconds: 20, MarkerPeriod: 1e-4, Frequency: 15e-6, Offset: 12_345_678}, 40_000_000, 200},
		{"wandering", pairs.Experiment{Seconds: 10, MarkerPeriod: 1e-3, Drift: 1e-9, Offset: 123_456}, ms / 3, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.e.Seed, c.e.MarkerJitter = 77, 20
			a, b := c.e.Markers()
			_, _, truth := pairs.Experiment{Seconds: c.e.Seconds, SinglesA: 10, SinglesB: 10, Pairs: 5, Frequency: c.e.Frequency, Drift: c.e.Drift, Offset: c.e.Offset, LateB: c.e.LateB, Seed: 77}.Make()
			o := Options{Search: c.search, MaxDrift: DefaultMaxDrift}
			found := markersInParts(t, a, b, o, max(len(a)/c.parts, 256))
			if found.Count < 4 || len(found.Refused) > 0 || found.Warning == "" {
				t.Errorf("%d parts, refused %+v, warning %q", found.Count, found.Refused, found.Warning)
			}
			if n := float64(min(len(a), len(b))); math.Abs(float64(found.Pairs)-n) > 0.05*n+10 {
				t.Errorf("%d markers of %.0f", found.Pairs, n)
			}
			k := found.Correction()
			for _, part := range []int64{0, 1, 33, 50, 77, 99} {
				at := found.Start + uint64(found.Overlap/100*part)
				x, sd := found.OffsetAt(at)
				if off := x.Minus(truth.OffsetAt(at)); math.Abs(off) > 5*sd+20 || sd > 100 {
					t.Errorf("after %d %%: off by %.1f ps, sd %.1f", part, off, sd)
				}
				onB := at + uint64(truth.OffsetAt(at).Whole)
				if off := int64(k.Apply(onB) - at); off > 100 || off < -100 {
					t.Errorf("after %d %%: the correction is off by %d ps", part, off)
				}
			}
			whole, err := AlignMarkers(t.Context(), a, b, o)
			one := markersInParts(t, a, b, o, max(len(a), len(b))+1)
			if err != nil || one.Count != 1 || !reflect.DeepEqual(whole, one.Alignment) {
				t.Errorf("%d part: %+v (%v), want %+v", one.Count, one.Alignment, err, whole)
			}
		})
	}
}

// A clock that jumps by half a period between two parts is not followed to the wrong marker.
func TestAlignMarkersInPartsDoesNotGuess(t *testing.T) {
	a, b := pairs.Experiment{Seconds: 10, MarkerPeriod: 1e-3, MarkerJitter: 20, Offset: 1000, Seed: 5}.Markers()
	cut := len(b) / 2
	for i := cut; i < len(b); i++ {
		b[i] += 450_000_000
	}
	found, err := alignMarkerParts(t.Context(), tag.NewReader(a), tag.NewReader(b), Options{Search: 300_000_000, MaxDrift: 1_000_000_000}, 500)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Refused) == 0 || int64(found.Refused[0].To-b[cut]) < 0 {
		t.Errorf("refused %+v, the jump is at %d", found.Refused, b[cut])
	}
	if end := int64(found.Start) + found.Overlap; end > int64(b[cut])+1e12 {
		t.Errorf("found up to %d ps, the jump is at %d", end, b[cut])
	}
}

func TestAlignMarkersInPartsRefuses(t *testing.T) {
	var refusal *Refusal
	for _, c := range [][2][]uint64{{nil, nil}, {{1, 2, 3}, {1, 2, 3}}, {{5}, nil}} {
		if _, err := alignMarkerParts(t.Context(), tag.NewReader(c[0]), tag.NewReader(c[1]), partPrior, 16); !errors.As(err, &refusal) || refusal.Code != "few-tags" {
			t.Errorf("%d and %d markers: %v", len(c[0]), len(c[1]), err)
		}
	}
	if _, err := AlignMarkerStreams(t.Context(), tag.NewReader(nil), tag.NewReader(nil), Options{}); err == nil {
		t.Error("a search of nothing is accepted")
	}
}
