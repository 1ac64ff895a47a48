package track_test

import (
	"math"
	"testing"

	"tsrun/internal/pairs"
)

// A jump that the clock's noise explains nearly as well is no step, but nothing
// near it is stated as if it were none. Where it is a step, the knots beside it
// may be on the other side of its moment.
func TestJumpsThatMayBe(t *testing.T) {
	for i, size := range []float64{40, 40, 40, 40, 50, 50, 50, 60} {
		seed := uint64(500 + i)
		k, tr := follow(t, pairs.Experiment{Seed: seed, Seconds: 12, SinglesA: 30e3, SinglesB: 30e3, Steps: []pairs.Step{{At: 5.1, Size: size}}})
		for i := range 201 {
			at := tr.From + (tr.To-tr.From)/200*uint64(i)
			offset, sd := k.At(at)
			if d := offset.Minus(tr.OffsetAt(at)); math.Abs(d) > 4*sd {
				t.Errorf("seed %d, %.2f s: off by %.1f ps where %.1f are stated", seed, float64(at-tr.Start)/1e12, d, sd)
			}
			if beside := math.Abs(float64(at-tr.Start)/1e12 - 5.1); beside > 1.5 && sd > 15 {
				t.Errorf("seed %d, %.2f s: %.1f ps are stated", seed, float64(at-tr.Start)/1e12, sd)
			}
		}
		for _, knot := range k.Knots {
			if d := knot.Offset.Minus(tr.OffsetAt(knot.Time)); math.Abs(d) > 4*knot.OffsetSD {
				t.Errorf("seed %d: a knot is off by %.1f ps where %.1f are stated", seed, d, knot.OffsetSD)
			}
		}
	}
}
