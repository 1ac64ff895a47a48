package correlate_test

import (
	"testing"

	"tsrun/internal/need"
)

// Everything that is stated with a standard deviation, over many seeds.
func TestLongUncertainties(t *testing.T) {
	many := need.LongTrials(t, 400, 100)
	t.Run("pairs", func(t *testing.T) { pairsHold(t, many) })
	t.Run("efficiencies", func(t *testing.T) { efficienciesHold(t, many) })
	t.Run("triples", func(t *testing.T) { triplesHold(t, many) })
	t.Run("two sources", func(t *testing.T) { twoSources(t, many/4) })
	t.Run("peak", func(t *testing.T) { peakHolds(t, many) })
	t.Run("g2", func(t *testing.T) { poissonIsOne(t, many/2) })
}
