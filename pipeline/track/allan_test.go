package track_test

import (
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/track"
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

// at is a curve of deviations at a time between two of its own; ok: it reaches there.
func at(points []track.AllanPoint, tau float64, of func(track.AllanPoint) float64) (v float64, ok bool) {
	for i := 1; i < len(points); i++ {
		if low, high := points[i-1], points[i]; low.Tau <= tau && tau <= high.Tau && of(low) > 0 && of(high) > 0 {
			part := math.Log(tau/low.Tau) / math.Log(high.Tau/low.Tau)
			return math.Exp((1-part)*math.Log(of(low)) + part*math.Log(of(high))), true
		}
	}
	return 0, false
}

// TestDeviationsWhileARecordGrows compares what a filter tells of a clock so far with what
// is told of the whole record at its end, and with the truth.
func TestDeviationsWhileARecordGrows(t *testing.T) {
	for _, e := range []pairs.Experiment{
		{Seconds: 12, WhiteFM: 1e-9, Seed: 25, Frequency: 3e-7},
		{Seconds: 12, WhiteFM: 1e-9, Seed: 26, Steps: []pairs.Step{{At: 7.03, Size: 1e6}}},
		{Seconds: 12, WhiteFM: 3e-10, RandomWalkFM: 3e-9, Seed: 27},
	} {
		_, f, _ := ahead(t, e, 1)
		k, _ := follow(t, e)
		live, compared := f.Deviations(), 0
		for _, p := range live {
			frequency, ok := at(k.Allan, p.Tau, func(p track.AllanPoint) float64 { return p.Deviation })
			if ok && math.Abs(p.Deviation-frequency) > 3*p.SD {
				t.Errorf("seed %d, %.3f s: Allan deviation %.3g +- %.2g, at the end %.3g", e.Seed, p.Tau, p.Deviation, p.SD, frequency)
			}
			times, known := at(k.Allan, p.Tau, func(p track.AllanPoint) float64 { return p.Time })
			if ok && known && p.TimeSD > 0 && math.Abs(p.Time-times) > 3*p.TimeSD {
				t.Errorf("seed %d, %.3f s: time deviation %.3g +- %.2g ps, at the end %.3g", e.Seed, p.Tau, p.Time, p.TimeSD, times)
			}
			if ok && known {
				compared++
			}
			if white := e.WhiteFM / math.Sqrt(p.Tau); e.RandomWalkFM == 0 && len(e.Steps) == 0 && math.Abs(p.Deviation-white) > 4*p.SD {
				t.Errorf("seed %d, %.3f s: Allan deviation %.3g +- %.2g, should be %.3g", e.Seed, p.Tau, p.Deviation, p.SD, white)
			}
		}
		if compared < 4 {
			t.Errorf("seed %d: %d times are compared: %+v, at the end %+v", e.Seed, compared, live, k.Allan)
		}
	}
}
