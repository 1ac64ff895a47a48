package stage

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/pipeline/align"
	"tsrun/pipeline/run"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
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
		t.Knots = append(t.Knots, track.Knot{Time: i * 1e12, Offset: quantity.NewFine(500_000, wander(seconds)), Frequency: 1000 * 0.2 * seconds})
	}
	return &align.Alignment{Reference: 2e12, Offset: quantity.NewFine(500_000, 0), Pairs: 1000, Track: t, Wanders: true}
}

func wander(seconds float64) float64 {
	x := 1e5 * seconds * seconds
	if seconds > 2.5 {
		x += 1e6
	}
	return x
}

func TestReadAlignment(t *testing.T) {
	straight := align.Alignment{Reference: 3e12, Offset: quantity.NewFine(-400_000, 0.3), Frequency: 12, Pairs: 1000}
	c, err := ReadAlignment(saved(t, AlignSummary{Reference: "a.b", Target: "c.d", Alignment: &straight}))
	if err != nil || c.OffsetAt(3e12) != -400_000 || c.OffsetAt(4e12) != -388_000 {
		t.Errorf("%v, %v", c.Lines(), err)
	}
	c, err = ReadAlignment(saved(t, AlignSummary{Alignment: wandering()}))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []float64{0, 1, 2, 2.4, 2.6, 3, 4, 5} {
		got := float64(c.OffsetAt(uint64(at*1e12))) - 500_000
		bound := 1.0
		if at != math.Trunc(at) {
			bound = 20_000 // between knots the parabola is a line
		}
		if math.Abs(got-wander(at)) > bound {
			t.Errorf("at %g s the offset is %g ps, truly %g ps", at, got, wander(at))
		}
	}
}

// written saves a text.
func written(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "align.json")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadAlignmentRefuses(t *testing.T) {
	short := *wandering().WithoutKnots()
	backwards := wandering()
	backwards.Track.Knots[3].Time = 1e12
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("offset 3 ns"), 0o666); err != nil {
		t.Fatal(err)
	}
	whole := func(change string, value any) string {
		keys := map[string]any{"offset_ps": 5, "reference_ps": 7, "frequency_ppb": 0, "pairs": 100}
		keys[change] = value
		return saved(t, map[string]any{"alignment": keys})
	}
	for saying, path := range map[string]string{
		"not found (no peak)":                   saved(t, AlignSummary{Refused: true, Reason: "no peak"}),
		"has no offset_ps; give":                saved(t, map[string]any{"alignment": map[string]any{"pairs": 5}}),
		"no key alignment, it is of g2; give":   saved(t, G2Summary{Pairs: 700}),
		"it is of a histogram":                  saved(t, HistogramSummary{Pairs: 700}),
		"it is of a scan":                       saved(t, ScanSummary{}),
		"it is of coincidences":                 saved(t, CoincidencesSummary{}),
		"it is the manifest of a run":           saved(t, run.Manifest{}),
		"no key alignment; give the file":       saved(t, map[string]any{}),
		"no key alignment; give the file that":  saved(t, nil),
		"a JSON array where":                    saved(t, []int{1, 2}),
		"a JSON number where":                   saved(t, 12),
		"key alignment: json":                   saved(t, map[string]any{"alignment": 3}),
		"no key alignment; give the file that ": saved(t, map[string]any{"alignment": nil, "offset_ps": 1, "reference_ps": 2, "frequency_ppb": 3, "pairs": 4}),
		"it has no reference_ps":                whole("reference_ps", nil),
		"not a decimal number of 64 bits":       whole("offset_ps", json.Number("18446744073709551615")),
		"its reference_ps is number -7":         whole("reference_ps", -7),
		"its pairs is number 1e3":               whole("pairs", json.Number("1e3")),
		"its frequency_ppb is 1e+300":           whole("frequency_ppb", 1e300),
		"it is empty":                           written(t, ""),
		"begins with a byte order mark":         written(t, "\ufeff{}"),
		"is cut off after 9 bytes":              written(t, `{"pairs":`),
		"no JSON from byte 13 on":               written(t, `{"offset_ps":NaN}`),
		"over the limit of 26 days":             whole("offset_ps", int64(1)<<62),
		"over the limit of 1000 ppm":            whole("frequency_ppb", 2e6),
		"is of 0 pairs":                         whole("pairs", 0),
		"has no knots":                          saved(t, AlignSummary{Alignment: &short}),
		"not after the one before":              saved(t, AlignSummary{Alignment: backwards}),
		"it is no JSON: it begins with":         text,
		"no such file":                          "/nowhere/align.json",
	} {
		if _, err := ReadAlignment(path); err == nil || !strings.Contains(err.Error(), saying) || !strings.HasPrefix(err.Error(), "read alignment") {
			t.Errorf("%v; want %q", err, saying)
		}
	}
}
