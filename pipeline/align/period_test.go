package align_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// TestAlignTellsThePeriod lets the photons come with pulses: pairs stand out of
// the other pulses' accidental ones, and the period is told.
func TestAlignTellsThePeriod(t *testing.T) {
	for _, period := range []float64{12_500, 1e6} {
		e := pairs.Experiment{Seed: 41, Seconds: 2, PulsePeriod: period, PulseWidth: 50, Frequency: 1e-7}
		a, b, truth := e.Make()
		r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(r.Period-period) > 1e-3*period || !(r.Ambiguity > 0 && r.Ambiguity < 0.3) {
			t.Errorf("period %g ps, want %g; ambiguity %g", r.Period, period, r.Ambiguity)
		}
		if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); math.Abs(off) > 4*r.OffsetSD {
			t.Errorf("off by %g ps, sd %g", off, r.OffsetSD)
		}
		if off := float64(r.Pairs) - float64(truth.Recorded); math.Abs(off) > 0.03*float64(truth.Recorded) {
			t.Errorf("%d pairs, want %d", r.Pairs, truth.Recorded)
		}
	}
}

// TestAlignRefusesPulsesAlike searches where the pairs are not, but the
// accidental ones of every pulse are.
func TestAlignRefusesPulsesAlike(t *testing.T) {
	for seed := range uint64(8) {
		e := pairs.Experiment{Seed: 27_000 + seed, Seconds: 0.3, SinglesA: 20e3, SinglesB: 20e3, Pairs: 20, EtaA: 0.002, EtaB: 0.002,
			PulsePeriod: 3e5 * math.Pow(30, float64(seed)/7), PulseWidth: 50}
		a, b, _ := e.Make()
		r, err := align.Align(context.Background(), a, b, align.Options{Search: ms, MaxDrift: ppm})
		var refusal *align.Refusal
		if !errors.As(err, &refusal) {
			t.Errorf("period %g ps: %+v, %v", e.PulsePeriod, r, err)
		}
	}
}

// pulses is light of a laser of which each node records so many counts a
// second, some of them of pairs.
func pulses(seed uint64, period, seconds, singles, pairsPerSecond float64) pairs.Experiment {
	return pairs.Experiment{Seed: seed, Seconds: seconds, PulsePeriod: period, PulseWidth: 50, SinglesA: singles, SinglesB: singles,
		Pairs: pairsPerSecond, EtaA: 0.3, EtaB: 0.3, PulsedA: singles - pairsPerSecond/0.3, PulsedB: singles - pairsPerSecond/0.3,
		Offset: 5 * ms, Frequency: -7e-6}
}

// TestAlignFindsThePulse has pulses that all have about as many pairs as the
// right one, of which the search holds thousands.
func TestAlignFindsThePulse(t *testing.T) {
	for _, test := range []struct {
		name   string
		e      pairs.Experiment
		search int64
	}{
		{"200 kHz, clocks of the same pulses 7 ppm apart", pulses(61, 5e6, 1.2, 54e3, 1500), 20 * ms},
		{"11 kHz, searched within some periods", pulses(62, 88_929_600, 3, 1800, 90), 10 * ms},
		{"3 kHz", pulses(63, 1e9/3, 4, 800, 100), 20 * ms},
		{"1 kHz", pulses(64, 1e9, 4, 250, 60), 20 * ms},
		{"700 ns", pulses(65, 7e5, 1.5, 50e3, 1000), 20 * ms},
		{"200 Hz in the dark counts of detectors", pairs.Experiment{Seed: 66, Seconds: 4, PulsePeriod: 5e9, PulseWidth: 50,
			SinglesA: 2000, SinglesB: 2000, Pairs: 60, EtaA: 0.3, EtaB: 0.3, Offset: 5 * ms}, 20 * ms},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, b, truth := test.e.Make()
			r, err := align.Align(context.Background(), a, b, align.Options{Search: test.search, MaxDrift: 20 * ppm})
			if err != nil {
				t.Fatal(err)
			}
			if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); math.Abs(off) > 4*r.OffsetSD {
				t.Errorf("off by %g ps, sd %g", off, r.OffsetSD)
			}
			if math.Abs(r.Period-test.e.PulsePeriod) > 1e-5*test.e.PulsePeriod || r.Ambiguity == 0 {
				t.Errorf("period %g ps, want %g; ambiguity %g", r.Period, test.e.PulsePeriod, r.Ambiguity)
			}
		})
	}
}

// TestAlignRefusesUnrelatedLasers gives each node a laser of its own.
func TestAlignRefusesUnrelatedLasers(t *testing.T) {
	for i, test := range []struct {
		name             string
		period, apart    float64
		seconds, singles float64
		told             float64 // ps between the peaks
	}{
		{"1 MHz, equal", 1e6, 1, 1, 30e3, 1e6},
		{"1 MHz, 5 ppm apart", 1e6, 1 + 5e-6, 1, 30e3, 1e6},
		{"11 kHz, one twice the other", 9e7, 2, 3, 2500, 9e7},
		{"3 kHz, two to three", 3e8, 1.5, 4, 900, 1.5e8},
		{"1 kHz, 1 ppm apart", 1e9, 1 + 1e-6, 4, 300, 1e9},
		{"500 Hz in dark counts", 2e9, 1, 4, 150, 2e9},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := pulses(uint64(71+i), test.period, test.seconds, test.singles, -1)
			e.PulsedA, e.PulsedB, e.PulsePeriodB = test.singles, test.singles, test.period*test.apart
			if test.period == 2e9 {
				e.SinglesA, e.SinglesB = 1500, 1500
			}
			a, b, _ := e.Make()
			r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
			var refusal *align.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("%+v, %v", r, err)
			}
			if refusal.Code != "ambiguous" || math.Abs(refusal.Period-test.told) > 1e-4*test.told {
				t.Errorf("%s, period %g ps, want %g: %v", refusal.Code, refusal.Period, test.told, err)
			}
		})
	}
}

// TestAlignIsSureOfThePulseAfterJumps has a clock that jumps, by whole periods
// or not, in light of which every pulse is much like the others.
func TestAlignIsSureOfThePulseAfterJumps(t *testing.T) {
	for i, test := range []struct {
		at, size float64
		pairs    float64
		answered bool
	}{
		{0.9, 3e6, 2500, false}, {1.3, 8e9, 2500, false}, {0.9, 2.3e6, 300, false}, {1.1, 2e5, 2500, true},
	} {
		t.Run(fmt.Sprintf("%g ps", test.size), func(t *testing.T) {
			t.Parallel()
			e := pulses(uint64(90+i), 1e6, 2, 20e3, test.pairs)
			e.Steps = []pairs.Step{{At: test.at, Size: test.size}}
			a, b, truth := e.Make()
			r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
			var refusal *align.Refusal
			if errors.As(err, &refusal) {
				if test.answered {
					t.Error(err)
				}
				return
			}
			for at := truth.From + uint64(50*ms); at < truth.To; at += uint64(100 * ms) {
				if math.Abs(float64(at-truth.From)-test.at*1e12) < 5e10 {
					continue
				}
				if x, sd := r.OffsetAt(at); math.Abs(x.Minus(truth.OffsetAt(at))) > 5*sd+10 {
					t.Errorf("off by %g ps, sd %g, at %g s", x.Minus(truth.OffsetAt(at)), sd, float64(at-truth.From)/1e12)
				}
			}
		})
	}
}
