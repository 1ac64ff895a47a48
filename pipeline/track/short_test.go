package track_test

import (
	"math"
	"testing"

	"tsrun/internal/need"
	"tsrun/internal/pairs"
)

// noisy are clocks of noise that a record of some seconds hardly shows.
var noisy = []pairs.Experiment{
	{WhiteFM: 3e-12}, {WhiteFM: 1e-11}, {WhiteFM: 3e-11}, {WhiteFM: 1e-10}, {RandomWalkFM: 1e-11}, {RandomWalkFM: 1e-10},
	{WhiteFM: 5e-12, RandomWalkFM: 2e-12}, {Sine: 6, SinePeriod: 9},
}

// beyondInShort is which part of what is stated along records of noisy clocks is more than
// three deviations off.
func beyondInShort(t *testing.T, seconds, rate float64, seeds uint64) float64 {
	const times = 11
	beyond := 0.0
	for i, e := range noisy {
		for seed := range seeds {
			e.Seconds, e.Pairs, e.SinglesA, e.SinglesB, e.Seed = seconds, rate, rate+300, rate+300, 7000+100*uint64(i)+seed
			k, tr := follow(t, e)
			for j := range times {
				at := tr.From + uint64(float64(tr.To-tr.From)*float64(j)/(times-1))
				if offset, sd := k.At(at); math.Abs(offset.Minus(tr.OffsetAt(at))) > 3*sd {
					beyond++
				}
			}
		}
	}
	return beyond / float64(times*seeds*uint64(len(noisy)))
}

// TestShortRecordsHold is of records of 4 s of clocks whose noise a dozen slices do not show.
func TestShortRecordsHold(t *testing.T) {
	beyond := beyondInShort(t, 4, 1000, 20)
	t.Logf("%.2f %% are beyond three deviations", 100*beyond)
	if beyond > 0.006 {
		t.Errorf("%.2f %% are beyond three deviations", 100*beyond)
	}
}

// TestLongShortRecordsHold is of records of 4 to 8 s in weak light and strong.
func TestLongShortRecordsHold(t *testing.T) {
	seeds := uint64(need.LongTrials(t, 99, 20))
	for _, seconds := range []float64{4, 6, 8} {
		for _, rate := range []float64{200, 1000, 10_000} {
			beyond := beyondInShort(t, seconds, rate, seeds)
			t.Logf("%g s, %g pairs/s: %.2f %% are beyond three deviations", seconds, rate, 100*beyond)
			if beyond > 0.01 {
				t.Errorf("%g s, %g pairs/s: %.2f %% are beyond three deviations", seconds, rate, 100*beyond)
			}
		}
	}
}

// TestBriefRecordsSaySo: what is stated of less than 4 s is of a clock that keeps to a line.
func TestBriefRecordsSaySo(t *testing.T) {
	for seconds, brief := range map[float64]bool{1: true, 3: true, 5: false} {
		k, _ := follow(t, pairs.Experiment{Seconds: seconds, Pairs: 1000, SinglesA: 3000, SinglesB: 3000, Seed: 1})
		if k.Brief != brief {
			t.Errorf("a record of %g s is brief: %v", seconds, k.Brief)
		}
	}
}
