package align_test

import (
	"testing"

	"tsrun/internal/need"
	"tsrun/internal/pairs"
)

// TestLongWeakSignal is of 200 pairs in 100 k tags per second.
func TestLongWeakSignal(t *testing.T) {
	need.Long(t)
	r, truth := aligned(t, pairs.Experiment{Seed: 21_000, Seconds: 12, Pairs: 200, Frequency: 1e-7}, 20*ms, ppm)
	checkCase(t, r, truth)
}
