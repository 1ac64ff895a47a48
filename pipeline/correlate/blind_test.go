package correlate_test

import (
	"math"
	"testing"

	"tsrun/pipeline/correlate"
)

// afterDeadTimes are the tags that a detector shows which is blind for so many ps after each.
func afterDeadTimes(tags []uint64, blind uint64) (seen []uint64) {
	for _, t := range tags {
		if len(seen) == 0 || t > seen[len(seen)-1]+blind {
			seen = append(seen, t)
		}
	}
	return seen
}

// chanceBesidePairs is how many differences of not more than half a window are of different
// events, by those of more than 1 ns: what is of one event differs by jitter alone.
func chanceBesidePairs(a, b []uint64, half uint64) float64 {
	const beside = 1000 // ps
	chance, from := 0, 0
	for _, x := range a {
		for from < len(b) && b[from]+half < x {
			from++
		}
		for _, y := range b[from:] {
			if y > x+half {
				break
			}
			if math.Abs(float64(int64(y-x))) > beside {
				chance++
			}
		}
	}
	return float64(chance) / (1 - beside/float64(half))
}

// Detectors that are blind after each tag see fewer pairs of different events near zero
// than where channels are moved, by as much as they saw each other's events: the
// accidentals are those there are, and so is the ratio.
func TestAccidentalsWithinDeadTimes(t *testing.T) {
	for _, of := range []struct {
		see   float64
		blind uint64
	}{{0.2, 50_000}, {0.5, 30_000}, {0.5, 3_000_000}} {
		l := light{seconds: 0.4, events: 400_000, see: []float64{of.see, of.see}, noise: []float64{50_000, 50_000}, jitter: 100}
		for seed := range uint64(3) {
			tags := l.tags(seed)
			a, b := afterDeadTimes(tags[0], of.blind), afterDeadTimes(tags[1], of.blind)
			c, err := correlate.Coincide(channelsOf(a, b), correlate.CoincidenceOptions{Window: 20_000})
			if err != nil || c.Warning != "" {
				t.Fatal(c.Warning, err)
			}
			if shift := uint64(c.Shift); shift <= of.blind {
				t.Errorf("%d ps blind: windows are shifted by %d ps", of.blind, shift)
			}
			truly := chanceBesidePairs(a, b, 10_000)
			sd := math.Hypot(float64(c.AccidentalsSD), math.Sqrt(truly))
			if off := (float64(c.Accidentals) - truly) / sd; math.Abs(off) > 3 {
				t.Errorf("%g seen, %d ps blind, seed %d: %.4g ± %.3g accidentals, truly %.4g", of.see, of.blind, seed, c.Accidentals, c.AccidentalsSD, truly)
			}
			ratio := float64(c.All) / truly
			if off := (float64(c.CAR) - ratio) / math.Hypot(float64(c.CARSD), ratio/math.Sqrt(truly)); math.Abs(off) > 3 {
				t.Errorf("%g seen, %d ps blind, seed %d: CAR %.4g ± %.3g, truly %.4g", of.see, of.blind, seed, c.CAR, c.CARSD, ratio)
			}
		}
	}
}
