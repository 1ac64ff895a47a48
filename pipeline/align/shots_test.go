package align

import (
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/sdk/tag"
)

// A shot that is aligned in parts is one clock, and so are several of them, with
// nothing known between.
func TestShotsInParts(t *testing.T) {
	var shots []Shot
	var truths []pairs.Truth
	for i := range 3 {
		e := pairs.Experiment{Seed: uint64(20 + i), Seconds: 4, SinglesA: 20e3, SinglesB: 22e3, Frequency: 1e-7, Offset: 3_000_000 * int64(i+1)}
		if i == 1 {
			e.Pairs = -1
		}
		a, b, truth := e.Make()
		for _, tags := range [][]uint64{a, b} {
			for k := range tags {
				tags[k] += uint64(i) * 10e12
			}
		}
		s, err := alignShot(t.Context(), tag.NewReader(a), tag.NewReader(b), Options{Search: 1e9, MaxDrift: 1_000_000_000}, 40_000)
		if err != nil || (s.Refused == nil) != (i != 1) || i != 1 && (len(s.parts) < 2 || s.Overlap < 39e11) {
			t.Fatalf("shot %d: %d parts, %.3g ps, refused %v (%v)", i, len(s.parts), float64(s.Overlap), s.Refused, err)
		}
		shots, truths = append(shots, s), append(truths, truth)
	}
	found, err := JoinShots(shots)
	if err != nil {
		t.Fatal(err)
	}
	if found.Count < 5 || len(found.Refused) != 1 || len(found.Track.Steps) > 0 {
		t.Errorf("%d parts, refused %+v, steps %+v, %s", found.Count, found.Refused, found.Track.Steps, found.Warning)
	}
	for i, s := range shots {
		if s.Refused != nil {
			continue
		}
		for _, part := range []int64{1, 40, 99} {
			at := s.Start + uint64(s.Overlap/100*part)
			x, sd := found.OffsetAt(at)
			if off := x.Minus(truths[i].OffsetAt(at - uint64(i)*10e12)); math.Abs(off) > 5*sd+5 || sd > 50 {
				t.Errorf("shot %d, after %d %%: off by %.1f ps, sd %.1f", i, part, off, sd)
			}
		}
	}
}
