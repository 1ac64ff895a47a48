package stage

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

// A clock shows Offset more than true time at true time Reference and gains
// Frequency: what a correction of that clock against a perfect one is.
func drawClock(t *rapid.T, name string) correlate.Line {
	const ms = 1_000_000_000
	return correlate.Line{
		Reference: rapid.Uint64Range(0, 100_000*ms).Draw(t, name+" reference"),
		Offset:    rapid.Int64Range(-10*ms, 10*ms).Draw(t, name+" offset"),
		Frequency: quantity.Drift(rapid.Int64Range(-50e9, 50e9).Draw(t, name+" frequency")), // 50 ppm
	}
}

func correction(t interface{ Fatal(...any) }, lines ...correlate.Line) correlate.Correction {
	c, err := correlate.NewCorrection(lines...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What a correction does, the other way round or over a third clock, differs
// from the truth only by the rounding of its three numbers.
func TestClocksComposeExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shows := func(k correlate.Line, truly uint64) uint64 { return truly + uint64(k.OffsetAt(truly)) }
		ab, bc := drawClock(t, "ab"), drawClock(t, "bc")
		c := newClocks(false)
		c.found("a", "b", correction(t, ab))
		c.found("c", "b", correction(t, bc).Inverse()) // as a recipe that aligns against the middle one from both sides
		const day = 86_400_000_000_000_000
		a := rapid.Uint64Range(1<<50, 1<<50+day).Draw(t, "time on a")
		onB := shows(ab, a)
		onC := shows(bc, onB)
		for _, way := range []struct {
			from, to string
			in, want uint64
		}{{"a", "b", onB, a}, {"b", "a", a, onB}, {"b", "c", onC, onB}, {"a", "c", onC, a}, {"c", "a", a, onC}} {
			k, known, ok := c.between(way.from, way.to)
			if !known || !ok {
				t.Fatalf("%s to %s: not known", way.to, way.from)
			}
			// frequencies are rounded to 1e-15, so to 0.5e-15 of a day and a hundred seconds, three times
			const allowed = 3 + 3*(day+200_000_000_000_000)/2_000_000_000_000_000
			if miss := int64(k.Apply(way.in) - way.want); miss > allowed || miss < -allowed {
				t.Fatalf("%s's %d on %s's clock is off by %d ps", way.to, way.in, way.from, miss)
			}
		}
	})
}

func TestClocksKnowWhatTheyDoNotKnow(t *testing.T) {
	for _, together := range []bool{false, true} {
		c := newClocks(together)
		c.found("a", "b", correction(t, correlate.Line{Offset: 7}))
		for _, pair := range []struct {
			a, b      string
			known, ok bool
			offset    int64
		}{{"a", "a", false, true, 0}, {"a", "b", true, true, 7}, {"b", "a", true, true, -7}, {"a", "c", false, together, 0}} {
			k, known, ok := c.between(pair.a, pair.b)
			got := fmt.Sprint(known, ok, k.OffsetAt(1000))
			if want := fmt.Sprint(pair.known, pair.ok, pair.offset); got != want {
				t.Errorf("together %v, %s and %s: %s, want %s", together, pair.a, pair.b, got, want)
			}
		}
	}
}
