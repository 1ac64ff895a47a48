package correlate

import (
	"math"
	"slices"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// What is counted second by second is what is counted at once, to a few deviations: the
// seconds have no pairs across their borders.
func TestPairSumIsThatOfTheWhole(t *testing.T) {
	a, b, truth := pairs.Experiment{Seed: 9, Seconds: 4, SinglesA: 20e3, SinglesB: 30e3}.Make()
	line, err := NewCorrection(Line{Reference: truth.Start, Offset: truth.Offset, Frequency: quantity.Drift(truth.Frequency * 1e15)})
	if err != nil {
		t.Fatal(err)
	}
	count := func(a, b []uint64) Coincidences {
		c, err := Coincide([]Channel{{Tags: tag.NewReader(a)}, {Tags: tag.NewReader(b), Correction: line}}, CoincidenceOptions{Window: 2000})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	whole, sum := count(a, b), NewPairSum()
	if sum.CAR.Known() || sum.Rate.Known() || sum.Add(count(nil, nil)) || sum.Add(count(a, nil)) {
		t.Errorf("of nothing: %+v", sum)
	}
	second := func(tags []uint64, from uint64) (int, int) {
		low, _ := slices.BinarySearch(tags, from)
		high, _ := slices.BinarySearch(tags, from+1e12)
		return low, high
	}
	for k := range uint64(5) { // the last photons come after the fourth second
		from := truth.Start + k*1e12
		lowA, highA := second(a, from)
		lowB, highB := second(b, from+uint64(truth.Offset))
		sum.Add(count(a[lowA:highA], b[lowB:highB]))
	}
	if sum.All > whole.All || whole.All-sum.All > whole.All/100 || math.Abs(float64(sum.Accidentals-whole.Accidentals)) > 4*float64(whole.AccidentalsSD) {
		t.Errorf("all %d, accidentals %v; the whole has %d, %v", sum.All, sum.Accidentals, whole.All, whole.Accidentals)
	}
	if math.Abs(float64(sum.CAR-whole.CAR)) > 3*float64(whole.CARSD) || sum.CARSD > 2*whole.CARSD {
		t.Errorf("CAR %v ± %v, of the whole %v ± %v", sum.CAR, sum.CARSD, whole.CAR, whole.CARSD)
	}
	for _, h := range whole.Heralding {
		value, sd := sum.OfA, sum.OfASD
		if h.Of == "B" {
			value, sd = sum.OfB, sum.OfBSD
		}
		if math.Abs(float64(value)-h.Value) > 3*h.SD || float64(sd) < h.SD/2 || float64(sd) > 2*h.SD {
			t.Errorf("%s by %s: %v ± %v, of the whole %v ± %v", h.Of, h.By, value, sd, h.Value, h.SD)
		}
	}
}
