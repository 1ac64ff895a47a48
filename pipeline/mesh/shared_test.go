package mesh_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"tsrun/pipeline/mesh"
	"tsrun/sdk/quantity"
)

// flashes are the pairs of nodes that all see the same light: what is wrong with a node's times is
// in each of its pairs.
func flashes(nodes int, rng *rand.Rand, own float64) (pairs []mesh.Pair) {
	const sd = 5.0
	errors := make([]float64, nodes)
	for i := range errors {
		errors[i] = rng.NormFloat64() * sd / math.Sqrt2 * math.Sqrt(1-own)
	}
	for a := range nodes {
		for b := a + 1; b < nodes; b++ {
			wrong := errors[b] - errors[a] + rng.NormFloat64()*sd*math.Sqrt(own)
			pairs = append(pairs, mesh.Pair{A: a, B: b, Offset: quantity.NewFine(0, wrong),
				Frequency: rng.NormFloat64() * 1e-12 * math.Sqrt(own), Spread: mesh.Spread{OffsetSD: sd, FrequencySD: 1e-12}})
		}
	}
	return pairs
}

// Nodes that see one flash each time are stated no better than their pairs are; those whose
// pairs are independent keep what ways round tell, in 19 of 20.
func TestSharedPhotons(t *testing.T) {
	const trials = 2000
	for _, nodes := range []int{3, 5, 8} {
		rng := rand.New(rand.NewPCG(uint64(nodes), 2))
		held, widened := 0, 0
		for range trials {
			s := solved(t, nodes, 0, flashes(nodes, rng, 0))
			if !s.CloseTooWell() {
				t.Fatalf("%d nodes of one flash: chi-square %g of %d", nodes, s.ChiSquare, s.Freedom)
			}
			s.Widen(s.Alone())
			if d := s.Between(0, 1); math.Abs(d.Offset.Float()) <= 3*d.OffsetSD {
				held++
			}
			if s := solved(t, nodes, 0, flashes(nodes, rng, 1)); s.CloseTooWell() {
				widened++
			}
		}
		if held < trials*99/100 || widened > trials*8/100 {
			t.Errorf("%d nodes: of %d, 3 deviations hold in %d; of independent pairs %d are taken for shared", nodes, trials, held, widened)
		}
	}
}

// Without a way round there is nothing to share, and nothing gets wider.
func TestAloneWithoutWaysRound(t *testing.T) {
	is := truth{offset: []int64{0, 400, -300}, frequency: []float64{0, 1e-6, 2e-6}}
	chain := solved(t, 3, 0, []mesh.Pair{is.pair(0, 1, 3), is.pair(1, 2, 4)})
	if chain.CloseTooWell() || !near(chain.Alone(), 1, 1e-9) {
		t.Errorf("a chain: %v, %g", chain.CloseTooWell(), chain.Alone())
	}
	triangle := solved(t, 3, 0, []mesh.Pair{is.pair(0, 1, 3), is.pair(1, 2, 3), is.pair(0, 2, 3)})
	if !near(triangle.Alone(), math.Sqrt(1.5), 1e-9) {
		t.Errorf("a triangle: %g", triangle.Alone())
	}
}
