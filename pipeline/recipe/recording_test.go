package recipe

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The recording that ships is made by this test (with -update) and is what its
// README says. Only integers are used, so that every machine makes the same.
func TestShippedRecording(t *testing.T) {
	golden(t, "../../recipes/recordings/SIMULATED-pairs.txt", simulatedPairs())
}

// simulatedPairs returns photon pairs over 4 s: the partner of each detection
// on channel 1 comes 12.345 ns later on channel 2, both with a jitter of 80 ps
// RMS, an efficiency of 60 % and dark counts.
func simulatedPairs() string {
	const (
		length  = 4_000_000_000_000 // ps
		gap     = 400_000_000       // mean ps between pairs
		delay   = 12_345
		percent = 60
	)
	r := rand.New(rand.NewPCG(2026, 7))
	type detection struct {
		ps      int64
		channel int
	}
	var all []detection
	for t := r.Int64N(2 * gap); t < length; t += r.Int64N(2 * gap) {
		if r.IntN(100) < percent {
			all = append(all, detection{t + jitter(r), 1})
		}
		if r.IntN(100) < percent {
			all = append(all, detection{t + delay + jitter(r), 2})
		}
	}
	for channel := 1; channel <= 2; channel++ {
		for range 2000 {
			all = append(all, detection{r.Int64N(length), channel})
		}
	}
	slices.SortStableFunc(all, func(a, b detection) int { return cmp.Compare(a.ps, b.ps) })
	var text strings.Builder
	for _, d := range all {
		fmt.Fprintf(&text, "%d;%d\n", d.channel, max(0, d.ps))
	}
	return text.String()
}

// jitter adds twelve uniform numbers, which come near a normal distribution
// with an RMS of 80 ps.
func jitter(r *rand.Rand) (ps int64) {
	for range 12 {
		ps += r.Int64N(161) - 80
	}
	return ps * 80 / 161
}
