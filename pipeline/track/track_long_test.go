package track_test

import (
	"math"
	"testing"

	"tsrun/internal/need"
	"tsrun/internal/pairs"
)

// TestLongRecordsOfWanderingClocks holds minutes of the field's clocks to their
// bounds.
func TestLongRecordsOfWanderingClocks(t *testing.T) {
	seeds := need.LongTrials(t, 2, 1)
	for _, c := range clocks {
		for seed := range uint64(seeds) {
			c.clock.Seconds, c.clock.Seed = 60, 900+seed
			k, tr := follow(t, c.clock)
			rms, scaled := errorsOf(k, tr)
			if rms > c.bound || scaled > 1.5 || len(k.Steps) > 0 {
				t.Errorf("%s, seed %d: x(t) is wrong by %.2f ps rms, %.2f of its standard deviations; steps %v", c.name, c.clock.Seed, rms, scaled, k.Steps)
			}
		}
	}
}

// TestLongHonesty compares errors with standard deviations over many seeds, and
// finds no step in any.
func TestLongHonesty(t *testing.T) {
	share := need.LongTrials(t, 1, 4)
	for _, c := range []struct {
		name  string
		clock pairs.Experiment
		seeds int
	}{
		{"OCXO", pairs.Experiment{Seconds: 20, WhiteFM: 5e-12, RandomWalkFM: 2e-12}, 20},
		{"TCXO", pairs.Experiment{Seconds: 6, WhiteFM: 1e-10, RandomWalkFM: 1e-10}, 20},
		{"random walk", pairs.Experiment{Seconds: 6, RandomWalkFM: 1e-9}, 20},
		{"quartz", pairs.Experiment{Seconds: 4, WhiteFM: 1e-9, RandomWalkFM: 1e-9}, 100},
	} {
		sum, seeds := 0.0, c.seeds/share
		for seed := range uint64(seeds) {
			c.clock.Seed = 2000 + seed
			k, tr := follow(t, c.clock)
			_, scaled := errorsOf(k, tr)
			sum += scaled * scaled
			if len(k.Steps) > 0 {
				t.Errorf("%s, seed %d: steps %+v", c.name, c.clock.Seed, k.Steps)
			}
		}
		if ratio := math.Sqrt(sum / float64(seeds)); ratio < 0.85 || ratio > 1.2 {
			t.Errorf("%s: errors are %.3f of their standard deviations", c.name, ratio)
		} else {
			t.Logf("%s: errors are %.3f of their standard deviations", c.name, ratio)
		}
	}
}

// TestLongLiveHonesty: live values lie within three of their standard
// deviations, in all but one of a hundred.
func TestLongLiveHonesty(t *testing.T) {
	seeds := need.LongTrials(t, 8, 3)
	for _, e := range []pairs.Experiment{
		{Frequency: 12e-9, WhiteFM: 1e-10}, {Frequency: 12e-9, WhiteFM: 1e-9, RandomWalkFM: 1e-9}, {WhiteFM: 5e-12, RandomWalkFM: 2e-12},
	} {
		var inside, all float64
		for seed := range uint64(seeds) {
			e.Seconds, e.Seed = 20, 3000+seed
			knots, f, tr := ahead(t, e, 0)
			within, _ := judgeLive(knots, tr)
			inside += within * float64(len(knots))
			all += float64(len(knots))
			if steps := f.State().Steps; len(steps) > 0 {
				t.Errorf("seed %d: steps %+v", e.Seed, steps)
			}
		}
		if inside/all < 0.99 {
			t.Errorf("white %.0e: %.4f within three standard deviations", e.WhiteFM, inside/all)
		}
	}
}
