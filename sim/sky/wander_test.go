package sky

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"tsrun/sdk/quantity"
)

const tenthOfPpb = quantity.PartPerBillion / 10 // 1e-10

// allan returns the Allan variance at a multiple of 1 ms from disjoint pairs
// of neighbouring mean frequencies, which are independent, and how many there were.
func allan(w *Wander, cells, multiple int64) (variance float64, pairs int64) {
	tau := float64(multiple) * CellPs
	for at := int64(0); at+2*multiple <= cells; at += 2 * multiple {
		x0, x1, x2 := w.At(at*CellPs), w.At((at+multiple)*CellPs), w.At((at+2*multiple)*CellPs)
		y := (x2 - 2*x1 + x0) / tau
		variance += y * y / 2
		pairs++
	}
	return variance / float64(pairs), pairs
}

// chiSquare fails unless got is a mean of squares of so many degrees of
// freedom with that expectation: within 4.5 standard deviations of the cube
// root, which is nearly normal (Wilson and Hilferty 1931).
func chiSquare(t *testing.T, what string, got, want float64, freedom int64) {
	t.Helper()
	spread := 2 / (9 * float64(freedom))
	if z := (math.Cbrt(got/want) - (1 - spread)) / math.Sqrt(spread); math.Abs(z) > 4.5 {
		t.Errorf("%s: Allan deviation %.3g, want %.3g (%.1f sd, %d pairs)", what, math.Sqrt(got), math.Sqrt(want), z, freedom)
	}
}

func TestWanderHasTheNoiseThatWasAsked(t *testing.T) {
	const cells = 2_000_000
	for seed := uint64(1); seed <= 3; seed++ {
		white := NewWander(seed, "white", tenthOfPpb, 0)
		walk := NewWander(seed, "walk", 0, tenthOfPpb)
		both := NewWander(seed, "both", tenthOfPpb, tenthOfPpb)
		for _, multiple := range []int64{1, 10, 100, 1000, 10_000} {
			n, tau := float64(multiple), float64(multiple)*1e-3
			ofWhite := 1e-20 / tau
			ofWalk := 1e-20 * 1e-3 * (2*n*n + 1) / (6 * n) // q² tau/3, and what the grid adds to it
			got, pairs := allan(white, cells, multiple)
			chiSquare(t, "white", got, ofWhite, pairs)
			got, pairs = allan(walk, cells, multiple)
			chiSquare(t, "random walk", got, ofWalk, pairs)
			got, pairs = allan(both, cells, multiple)
			chiSquare(t, "both", got, ofWhite+ofWalk, pairs)
		}
	}
}

// TestWanderDependsOnNothingElse asks far more places than are remembered, in
// any order.
func TestWanderDependsOnNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		w := NewWander(seed, "bob", tenthOfPpb, tenthOfPpb)
		for range rapid.IntRange(1, 10).Draw(t, "questions") {
			at := rapid.Int64Range(-CellPs, 100_000*CellPs).Draw(t, "at")
			if got, want := w.At(at), NewWander(seed, "bob", tenthOfPpb, tenthOfPpb).At(at); got != want {
				t.Fatalf("at %d ps: %v, and %v when asked at once", at, got, want)
			}
		}
	})
}

func TestWanderIsContinuous(t *testing.T) {
	w := NewWander(1, "bob", 10*quantity.PartPerBillion, 10*quantity.PartPerBillion)
	if w.At(0) != 0 || w.At(-1e15) != 0 {
		t.Errorf("it begins with %v ps, before that %v ps", w.At(0), w.At(-1e15))
	}
	for cell := int64(1); cell < 3*blockCells; cell++ {
		at := cell * CellPs
		before, here, middle, next := w.At(at-1), w.At(at), w.At(at+CellPs/2), w.At(at+CellPs)
		if math.Abs(here-before) > 1e-3 {
			t.Fatalf("it jumps from %v to %v ps at cell %d", before, here, cell)
		}
		if math.Abs(middle-(here+next)/2) > 1e-6 {
			t.Fatalf("it is not straight within cell %d", cell)
		}
	}
}

func TestClocksWanderIndependently(t *testing.T) {
	a, b, c := NewWander(1, "alice", tenthOfPpb, 0), NewWander(1, "bob", tenthOfPpb, 0), NewWander(2, "alice", tenthOfPpb, 0)
	var withSerial, withSeed float64
	const cells = 10_000
	for cell := int64(0); cell < cells; cell++ {
		step := func(w *Wander) float64 { return w.At((cell+1)*CellPs) - w.At(cell*CellPs) }
		withSerial += step(a) * step(b) / 10 // ps², the variance of a step
		withSeed += step(a) * step(c) / 10
	}
	if limit := 5 * math.Sqrt(cells); math.Abs(withSerial) > limit || math.Abs(withSeed) > limit {
		t.Errorf("correlated by %.3f with another serial, by %.3f with another seed", withSerial/cells, withSeed/cells)
	}
}

func TestQuietClockDoesNotWander(t *testing.T) {
	w := NewWander(1, "alice", 0, 0)
	if w != nil || w.At(1e15) != 0 {
		t.Errorf("%v", w)
	}
}

func BenchmarkWander(b *testing.B) {
	w := NewWander(1, "bench", tenthOfPpb, tenthOfPpb)
	at := int64(0)
	for b.Loop() {
		w.At(at)
		at += CellPs / 500 // as at 500 kHz
	}
}
