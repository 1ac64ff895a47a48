package correlate_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tsrun/pipeline/correlate"
)

// blinking are pairs and other tags of a source that is on and off at random, both for so
// many ps in the mean, and how many of the tags within half a window of each other are of
// no pair.
func blinking(seed uint64, on float64, half uint64) (a, b []uint64, chance int) {
	rng := rand.New(rand.NewPCG(seed, 78))
	isPair := map[[2]uint64]bool{}
	const end = 1.5e12
	for t := 1e12; t < end; t += rng.ExpFloat64() * on {
		until := t + rng.ExpFloat64()*on
		for u := t + rng.ExpFloat64()*4e6; u < until; u += rng.ExpFloat64() * 4e6 {
			at := uint64(u)
			switch x := rng.Float64(); {
			case x < 0.1:
				later := at + uint64(rng.IntN(200))
				a, b = append(a, at), append(b, later)
				isPair[[2]uint64{at, later}] = true
			case x < 0.55:
				a = append(a, at)
			default:
				b = append(b, at)
			}
		}
		t = until
	}
	slices.Sort(a)
	slices.Sort(b)
	from := 0
	for _, t := range a {
		for from < len(b) && b[from]+half < t {
			from++
		}
		for _, u := range b[from:] {
			if u > t+half {
				break
			}
			if !isPair[[2]uint64{t, u}] {
				chance++
			}
		}
	}
	return a, b, chance
}

// Light that is on and off within the time that channels are moved by has more chance
// near zero than there: deviations hold that, and no ratio is stated that does not.
func TestChanceOfBlinkingLight(t *testing.T) {
	uneven := 0
	for seed := range uint64(6) {
		for _, on := range []float64{1e6, 4e6} {
			a, b, chance := blinking(seed, on, 5000)
			c, err := correlate.Coincide(channelsOf(a, b), correlate.CoincidenceOptions{Window: 10_000})
			if err != nil {
				t.Fatal(err)
			}
			if !c.Accidentals.Known() {
				continue // nothing is said of chance
			}
			if c.Uneven > 0 {
				uneven++
			}
			sd := math.Hypot(float64(c.AccidentalsSD), math.Sqrt(float64(chance)))
			if off := (float64(c.Accidentals) - float64(chance)) / sd; math.Abs(off) > 3 {
				t.Errorf("seed %d, %g us: %.4g ± %.3g accidentals, truly %d", seed, on/1e6, c.Accidentals, c.AccidentalsSD, chance)
			}
			ratio := float64(c.All) / float64(chance)
			if c.CAR.Known() && math.Abs(float64(c.CAR)-ratio) > 3*math.Hypot(float64(c.CARSD), ratio/math.Sqrt(float64(chance))) || c.CARAtLeast > ratio {
				t.Errorf("seed %d, %g us: CAR %.4g ± %.3g or at least %.4g, truly %.4g", seed, on/1e6, c.CAR, c.CARSD, c.CARAtLeast, ratio)
			}
		}
	}
	if uneven == 0 {
		t.Error("no record is said to have more chance near zero")
	}
}

// A peak of pairs that is wider than the window is no light that blinks.
func TestWidePeakIsNotBunched(t *testing.T) {
	l := light{seconds: 0.5, events: 100_000, see: []float64{0.3, 0.3}, noise: []float64{20_000, 20_000}, jitter: 20_000}
	for seed := range uint64(4) {
		tags := l.tags(seed)
		c, err := correlate.Coincide(channelsOf(tags...), correlate.CoincidenceOptions{Window: 20_000})
		if err != nil || c.Uneven != 0 || c.Warning != "" || !c.CAR.Known() {
			t.Errorf("seed %d: uneven by %g, CAR %.4g, %q, %v", seed, c.Uneven, c.CAR, c.Warning, err)
		}
	}
}
