package track_test

import (
	"math"
	"testing"

	"tsrun/internal/pairs"
)

func TestStepsAreFoundAndMeasured(t *testing.T) {
	want := []pairs.Step{{At: 2.0123, Size: 400}, {At: 4.3, Size: -3000}, {At: 6.21, Size: -100e3}, {At: 8.4, Size: 2e6}, {At: 10, Size: 3e9}}
	k, tr := follow(t, pairs.Experiment{Seconds: 12, WhiteFM: 5e-12, RandomWalkFM: 2e-12, Seed: 11, Steps: want})
	if len(k.Steps) != len(want) {
		t.Fatalf("steps %+v", k.Steps)
	}
	for i, s := range k.Steps {
		if at := float64(s.Time - tr.Start); math.Abs(at-want[i].At*1e12) > 5*s.TimeSD+1e9 || s.TimeSD > 5e9 {
			t.Errorf("step at %.6f s is found at %.6f +- %.6f s", want[i].At, at/1e12, s.TimeSD/1e12)
		}
		if math.Abs(s.Offset-want[i].Size) > 5*s.OffsetSD || s.OffsetSD > 20 {
			t.Errorf("step of %.0f ps is measured as %.1f +- %.1f ps", want[i].Size, s.Offset, s.OffsetSD)
		}
	}
	c, err := k.Correction()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range want { // both sides, as near as the step is known in time
		for _, beside := range []float64{-5e9, 5e9} {
			at := tr.Start + uint64(s.At*1e12+beside)
			offset, sd := k.At(at)
			if d := offset.Minus(tr.OffsetAt(at)); math.Abs(d) > 5*sd {
				t.Errorf("%.3f s: off by %.1f ps where %.1f are stated", float64(at-tr.Start)/1e12, d, sd)
			}
			if d := float64(c.OffsetAt(at)) - offset.Float(); math.Abs(d) > 1.6 {
				t.Errorf("%.3f s: the correction is %.2f ps beside the track", float64(at-tr.Start)/1e12, d)
			}
		}
	}
}

// TestStepsAcrossSlices lets clocks jump within slices, in records so short that
// the jump could pass for noise, or so far that slices about it are lost.
func TestStepsAcrossSlices(t *testing.T) {
	tests := []struct {
		seconds, at, size float64
		seed              uint64
	}{
		{2, 0.8, -5000, 31}, {2, 1, 5000, 31}, {2, 0.83, 400, 31}, {6, 2.5, 200, 31801}, {6, 2.5, 200, 31807}, {6, 2.5, 200, 31808},
		{3, 0.5, 100e3, 30002}, {3, 2.3, 10e6, 30003},
	}
	for _, test := range tests {
		k, tr := follow(t, pairs.Experiment{Seconds: test.seconds, SinglesA: 40e3, SinglesB: 40e3, Seed: test.seed,
			Steps: []pairs.Step{{At: test.at, Size: test.size}}})
		if len(k.Steps) != 1 {
			t.Errorf("step of %.0f ps at %.2f s, seed %d: found %+v", test.size, test.at, test.seed, k.Steps)
			continue
		}
		s := k.Steps[0]
		off := float64(int64(s.Time-tr.Start))/1e12 - test.at
		if math.Abs(off)*1e12 > 5*s.TimeSD || s.TimeSD > 3e9 || math.Abs(s.Offset-test.size) > 5*s.OffsetSD || s.OffsetSD > 20 {
			t.Errorf("step of %.0f ps at %.2f s: found %+v, %.4f s beside", test.size, test.at, s, off)
		}
	}
}

// TestStepAtTheEnd lets a clock jump so late that it cannot be followed any
// more: the track says from when on it has no pairs.
func TestStepAtTheEnd(t *testing.T) {
	for seed := range uint64(6) {
		k, tr := follow(t, pairs.Experiment{Seconds: 6, Seed: 32500 + seed, Steps: []pairs.Step{{At: 5.98, Size: 10e3}}})
		if len(k.Gaps) != 1 {
			t.Errorf("seed %d: steps %+v, gaps %+v", 32500+seed, k.Steps, k.Gaps)
			continue
		}
		from, to := float64(k.Gaps[0].From-tr.Start)/1e12, float64(k.Gaps[0].To-tr.Start)/1e12
		if math.Abs(from-5.98) > 3e-3 || math.Abs(to-6) > 3e-3 {
			t.Errorf("seed %d: pairs are missed from %.4f to %.4f s", 32500+seed, from, to)
		}
	}
}

func TestStepInAGap(t *testing.T) {
	k, tr := follow(t, pairs.Experiment{Seconds: 10, WhiteFM: 5e-12, Seed: 12,
		NoPairs: []pairs.Span{{From: 6, To: 7.5}}, Steps: []pairs.Step{{At: 7, Size: 100e3}}})
	if len(k.Steps) != 1 || len(k.Gaps) != 1 {
		t.Fatalf("steps %v, gaps %v", k.Steps, k.Gaps)
	}
	s := k.Steps[0]
	if at := float64(s.Time-tr.Start) / 1e12; at < 5.9 || at > 7.6 || s.TimeSD < 0.2e12 || math.Abs(s.Offset-100e3) > 5*s.OffsetSD {
		t.Errorf("step of %.0f +- %.0f ps at %.3f +- %.3f s", s.Offset, s.OffsetSD, at, s.TimeSD/1e12)
	}
}

// TestNoStepsWhereThereAreNone follows clocks that wander as fast as any.
func TestNoStepsWhereThereAreNone(t *testing.T) {
	for seed := range uint64(5) {
		k, _ := follow(t, pairs.Experiment{Seconds: 6, WhiteFM: 1e-9, RandomWalkFM: 1e-9, Seed: 200 + seed})
		if len(k.Steps) > 0 {
			t.Errorf("seed %d: %+v", 200+seed, k.Steps)
		}
	}
}

// TestFrequencyJumpIsNoStep: a clock that is pulled changes its slope only.
func TestFrequencyJumpIsNoStep(t *testing.T) {
	k, _ := follow(t, pairs.Experiment{Seconds: 6, Sine: 30e3, SinePeriod: 12, Seed: 4})
	if len(k.Steps) > 0 {
		t.Errorf("%+v", k.Steps)
	}
}
