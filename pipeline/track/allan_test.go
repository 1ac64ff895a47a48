package track_test

import (
	"math"
	"testing"

	"tsrun/internal/pairs"
)

// TestAllanDeviation compares with white frequency noise, a/sqrt(tau), and with
// a clock that does not wander at all.
func TestAllanDeviation(t *testing.T) {
	const a = 1e-9
	k, _ := follow(t, pairs.Experiment{Seconds: 20, WhiteFM: a, Seed: 21})
	if len(k.Allan) < 8 {
		t.Fatalf("%d points", len(k.Allan))
	}
	sum, timed := 0.0, 0
	for _, p := range k.Allan {
		if p.TimeSD > 0 { // of times that are averaged, a sqrt(tau/6)
			timed++
			if want := a * 1e12 * math.Sqrt(p.Tau/6); math.Abs(p.Time-want) > 4*p.TimeSD || !(p.TimeFloor > 0) {
				t.Errorf("%.3f s: time deviation %.3g +- %.2g ps, should be %.3g", p.Tau, p.Time, p.TimeSD, want)
			}
		}
		d := (p.Deviation - a/math.Sqrt(p.Tau)) / p.SD
		sum += d * d
		if math.Abs(d) > 4 || !(p.SD > 0) || !(p.Floor > 0) {
			t.Errorf("%.3f s: %.3g +- %.2g, should be %.3g", p.Tau, p.Deviation, p.SD, a/math.Sqrt(p.Tau))
		}
	}
	if timed < 8 {
		t.Errorf("%d time deviations", timed)
	}
	if rms := math.Sqrt(sum / float64(len(k.Allan))); rms > 2 {
		t.Errorf("points are %.2f standard deviations off", rms)
	}
	if d := k.Noise.WhiteFM / a; d < 0.8 || d > 1.25 {
		t.Errorf("white frequency noise is estimated as %.3g", k.Noise.WhiteFM)
	}

	k, _ = follow(t, pairs.Experiment{Seconds: 20, Seed: 22})
	for _, p := range k.Allan {
		if p.Deviation > 4*p.SD {
			t.Errorf("straight clock, %.3f s: %.3g +- %.2g", p.Tau, p.Deviation, p.SD)
		}
		if p.Time > 4*p.TimeSD {
			t.Errorf("straight clock, %.3f s: time deviation %.3g +- %.2g ps", p.Tau, p.Time, p.TimeSD)
		}
	}
}

// TestAllanDeviationAcrossAStep takes jumps off.
func TestAllanDeviationAcrossAStep(t *testing.T) {
	k, _ := follow(t, pairs.Experiment{Seconds: 12, Seed: 23, Steps: []pairs.Step{{At: 5, Size: 1e6}}})
	for _, p := range k.Allan {
		if p.Deviation > 5*p.SD+1e-12 {
			t.Errorf("%.3f s: %.3g +- %.2g", p.Tau, p.Deviation, p.SD)
		}
	}
}
