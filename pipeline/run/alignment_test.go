package run

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/pipeline/align"
	"tsrun/pipeline/quantity"
	"tsrun/pipeline/track"
)

func saved(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "align.json")
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// wandering is a clock that gains ever more, and steps by 1 us at 2.5 s.
func wandering() *align.Alignment {
	t := &track.Track{ChiSquare: 900, Freedom: 10, Steps: []track.Step{{Time: 2_500_000_000_000, Offset: 1_000_000}}}
	for i := range uint64(6) {
		seconds := float64(i)
		t.Knots = append(t.Knots, track.Knot{Time: i * second, Offset: quantity.NewFine(500_000, wander(seconds)), Frequency: 1000 * 0.2 * seconds})
	}
	return &align.Alignment{Reference: 2 * second, Offset: quantity.NewFine(500_000, 0), Pairs: 1000, Track: t, Wanders: true}
}

func wander(seconds float64) float64 {
	x := 1e5 * seconds * seconds
	if seconds > 2.5 {
		x += 1e6
	}
	return x
}

func TestReadAlignment(t *testing.T) {
	straight := align.Alignment{Reference: 3 * second, Offset: quantity.NewFine(-400_000, 0.3), Frequency: 12, Pairs: 1000}
	for name, path := range map[string]string{
		"answer": saved(t, straight),
		"stage":  saved(t, AlignSummary{Reference: "a.b", Target: "c.d", Alignment: &straight}),
	} {
		c, err := ReadAlignment(path)
		if err != nil || c.OffsetAt(3*second) != -400_000 || c.OffsetAt(4*second) != -388_000 {
			t.Errorf("%s: %v, %v", name, c.Lines(), err)
		}
	}
	c, err := ReadAlignment(saved(t, wandering()))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []float64{0, 1, 2, 2.4, 2.6, 3, 4, 5} {
		got := float64(c.OffsetAt(uint64(at*second))) - 500_000
		bound := 1.0
		if at != math.Trunc(at) {
			bound = 20_000 // between knots the parabola is a line
		}
		if math.Abs(got-wander(at)) > bound {
			t.Errorf("at %g s the offset is %g ps, truly %g ps", at, got, wander(at))
		}
	}
}

func TestReadAlignmentRefuses(t *testing.T) {
	short := *wandering().WithoutKnots()
	backwards := wandering()
	backwards.Track.Knots[3].Time = second
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("offset 3 ns"), 0o666); err != nil {
		t.Fatal(err)
	}
	for saying, path := range map[string]string{
		"no peak":                  saved(t, AlignSummary{Refused: true, Reason: "no peak"}),
		"no alignment is in it":    saved(t, map[string]any{"window_ps": 5}),
		"has no knots":             saved(t, short),
		"not after the one before": saved(t, backwards),
		"invalid character":        text,
		"no such file":             "/nowhere/align.json",
	} {
		if _, err := ReadAlignment(path); err == nil || !strings.Contains(err.Error(), saying) || !strings.HasPrefix(err.Error(), "read alignment") {
			t.Errorf("%v; want %q", err, saying)
		}
	}
}
