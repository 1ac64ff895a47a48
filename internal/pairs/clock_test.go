package pairs_test

import (
	"math"
	"testing"

	"tsrun/internal/pairs"
)

// allan returns the overlapping Allan deviation of the clock over spans of
// seconds.
func allan(truth pairs.Truth, seconds float64) float64 {
	const step = 0.01 // s
	m := int(math.Round(seconds / step))
	var x []float64
	for i := 0; float64(i)*step < truth.Seconds; i++ {
		x = append(x, truth.OffsetAt(truth.Start+uint64(float64(i)*step*1e12)).Minus(truth.OffsetAt(truth.Start)))
	}
	var sum float64
	for i := 2 * m; i < len(x); i++ {
		d := (x[i] - 2*x[i-m] + x[i-2*m]) * 1e-12
		sum += d * d
	}
	return math.Sqrt(sum / float64(len(x)-2*m) / 2 / (seconds * seconds))
}

// TestClockNoiseIsAsAsked compares the clock with the Allan deviations of its
// noise: a/sqrt(tau) for white FM, q*sqrt(tau/3) for random-walk FM.
func TestClockNoiseIsAsAsked(t *testing.T) {
	for seed := range uint64(3) {
		white := pairs.Experiment{Seed: seed, Seconds: 300, SinglesA: 1, SinglesB: 1, Pairs: 1, WhiteFM: 3e-10}
		walk := white
		walk.WhiteFM, walk.RandomWalkFM = 0, 2e-11
		_, _, whiteTruth := white.Make()
		_, _, walkTruth := walk.Make()
		for _, tau := range []float64{0.02, 0.1, 1, 3} {
			// Some 300/tau spans are independent; their sum of squares scatters by sqrt(2 tau/300).
			slack := 1 + 4*math.Sqrt(tau/300)
			if got, want := allan(whiteTruth, tau), 3e-10/math.Sqrt(tau); got > want*slack || got < want/slack {
				t.Errorf("seed %d: white FM has %g at %g s, want %g", seed, got, tau, want)
			}
			if got, want := allan(walkTruth, tau), 2e-11*math.Sqrt(tau/3); got > want*slack || got < want/slack {
				t.Errorf("seed %d: random-walk FM has %g at %g s, want %g", seed, got, tau, want)
			}
		}
	}
}

func TestFrequencyOfAClock(t *testing.T) {
	e := pairs.Experiment{Seconds: 10, SinglesA: 10, SinglesB: 10, Pairs: 10, Frequency: 3e-7, Drift: 1e-8}
	_, _, truth := e.Make()
	if got := truth.FrequencyBetween(truth.Start+2e12, truth.Start+4e12); math.Abs(got-3.3e-7) > 1e-15 {
		t.Errorf("mean frequency from 2 to 4 s is %g", got)
	}
}
