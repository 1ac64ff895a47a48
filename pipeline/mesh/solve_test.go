package mesh_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/mesh"
	"tsrun/sdk/quantity"
)

// truth is where clocks are, and a reading of pairs of them.
type truth struct {
	offset    []int64
	frequency []float64
}

func (t truth) pair(a, b int, sd float64) mesh.Pair {
	return mesh.Pair{A: a, B: b, Offset: quantity.Fine{Whole: t.offset[b] - t.offset[a]},
		Frequency: (t.frequency[b] - t.frequency[a]) / (1 + t.frequency[a]), Spread: mesh.Spread{OffsetSD: sd, FrequencySD: sd * 1e-12}}
}

// noisy is a pair with an error of its deviation.
func (t truth) noisy(a, b int, sd float64, rng *rand.Rand) mesh.Pair {
	p := t.pair(a, b, sd)
	p.Offset = p.Offset.Plus(sd * rng.NormFloat64())
	p.Frequency += p.FrequencySD * rng.NormFloat64()
	return p
}

func solved(t rapid.TB, clocks, reference int, pairs []mesh.Pair) *mesh.Solution {
	t.Helper()
	s, err := mesh.Solve(clocks, reference, pairs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func near(got, want, within float64) bool { return math.Abs(got-want) <= within }

// Without noise every graph gives the truth, however far the clocks are apart and
// whichever of them is the reference.
func TestSolveIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 9).Draw(t, "clocks")
		most := rapid.SampledFrom([]int64{0, 1000, 1 << 40, 1<<61 - 1}).Draw(t, "most")
		var is truth
		for i := range n {
			is.offset = append(is.offset, rapid.Int64Range(-most, most).Draw(t, "offset"))
			is.frequency = append(is.frequency, rapid.Float64Range(-2e-5, 2e-5).Draw(t, "frequency"))
			if i == 0 {
				is.offset[0], is.frequency[0] = 0, 0
			}
		}
		var pairs []mesh.Pair
		for i := 1; i < n; i++ { // connected
			k := rapid.IntRange(0, i-1).Draw(t, "to")
			p := is.pair(i, k, rapid.Float64Range(0.1, 100).Draw(t, "sd"))
			pairs = append(pairs, p)
		}
		for range rapid.IntRange(0, 12).Draw(t, "more") {
			a, b := rapid.IntRange(0, n-1).Draw(t, "a"), rapid.IntRange(0, n-1).Draw(t, "b")
			if a != b {
				pairs = append(pairs, is.pair(a, b, rapid.Float64Range(0.1, 100).Draw(t, "sd")))
			}
		}
		reference := rapid.IntRange(0, n-1).Draw(t, "reference")
		s := solved(t, n, reference, pairs)
		for i := range n {
			c := s.Between(0, i)
			if !c.Reached || c.Offset.Whole != is.offset[i] || !near(c.Offset.Part, 0, 1e-6) || !near(c.Frequency, is.frequency[i], 1e-18) {
				t.Fatalf("clock %d by %d is %v ps and %g, is %d ps and %g", i, reference, c.Offset, c.Frequency, is.offset[i], is.frequency[i])
			}
		}
		for _, c := range s.Cycles {
			if !c.Closes() || !near(c.Offset, 0, 1e-6) || len(c.Clocks) != len(c.Pairs) || len(c.Clocks) < 2 {
				t.Fatalf("cycle %+v", c)
			}
		}
		if len(s.Cycles) != len(pairs)-(n-1) || s.Widened != 1 {
			t.Fatalf("%d cycles of %d pairs among %d clocks, widened %g", len(s.Cycles), len(pairs), n, s.Widened)
		}
	})
}

// The differences of clocks, and how well they are known, do not depend on which
// clock is the reference.
func TestSolveAnyReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 6).Draw(t, "clocks")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		is := truth{offset: make([]int64, n), frequency: make([]float64, n)}
		for i := 1; i < n; i++ {
			is.offset[i], is.frequency[i] = rng.Int64N(1<<40), 1e-6*rng.NormFloat64()
		}
		var pairs []mesh.Pair
		for a := range n {
			for b := a + 1; b < n; b++ {
				if b == a+1 || rng.IntN(2) == 0 {
					pairs = append(pairs, is.noisy(a, b, 1+9*rng.Float64(), rng))
				}
			}
		}
		first, other := solved(t, n, 0, pairs), solved(t, n, n-1, pairs)
		for a := range n {
			for b := range n {
				x, y := first.Between(a, b), other.Between(a, b)
				if !near(x.Offset.Minus(y.Offset), 0, 1e-4) || !near(x.Frequency, y.Frequency, 1e-16) ||
					!near(x.OffsetSD, y.OffsetSD, 1e-6) || !near(x.FrequencySD, y.FrequencySD, 1e-18) {
					t.Fatalf("%d - %d: %+v and %+v", b, a, x, y)
				}
			}
		}
		if !near(first.ChiSquare, other.ChiSquare, 1e-3) || first.Freedom != other.Freedom {
			t.Fatalf("chi-square %g of %d and %g of %d", first.ChiSquare, first.Freedom, other.ChiSquare, other.Freedom)
		}
	})
}

// What is known of a triangle: the direct pair and the way through the third clock, each by
// its weight; without the direct pair the way alone.
func TestSolveCovariance(t *testing.T) {
	is := truth{offset: []int64{0, 400, -300}, frequency: []float64{0, 1e-6, 2e-6}}
	ab, ac, cb := is.pair(0, 1, 3), is.pair(0, 2, 4), is.pair(2, 1, 12)
	for _, c := range []struct {
		name    string
		pairs   []mesh.Pair
		ab, ac  float64 // variances
		between float64 // covariance of clocks 1 and 2
	}{
		{"one way", []mesh.Pair{ab, ac}, 9, 16, 0},
		{"through c", []mesh.Pair{ac, cb}, 160, 16, 16},
		{"all", []mesh.Pair{ab, ac, cb}, 1 / (1/9. + 1/160.), 1 / (1/16. + 1/153.), 9 * 16 / 169.},
		{"the same pair twice", []mesh.Pair{ab, ab, ac}, 4.5, 16, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := solved(t, 3, 0, c.pairs)
			bb, _, _ := s.Covariance(1, 1)
			cc, _, _ := s.Covariance(2, 2)
			bc, _, fbc := s.Covariance(1, 2)
			if !near(bb, c.ab, 1e-9) || !near(cc, c.ac, 1e-9) || !near(bc, c.between, 1e-9) || !near(fbc, c.between*1e-24, 1e-33) {
				t.Errorf("variances %g and %g, covariance %g and %g, want %g, %g, %g", bb, cc, bc, fbc, c.ab, c.ac, c.between)
			}
			if d := s.Between(1, 2); !near(d.OffsetSD*d.OffsetSD, bb+cc-2*bc, 1e-9) {
				t.Errorf("c - b has a variance of %g", d.OffsetSD*d.OffsetSD)
			}
		})
	}
}

// The stated covariance is what many solutions scatter by, also where offset and
// frequency of a pair are correlated.
func TestSolveScattersAsStated(t *testing.T) {
	const n, trials, rho = 4, 2000, 0.7
	is := truth{offset: []int64{0, 7, 1 << 50, -9}, frequency: []float64{0, 3e-6, -1e-5, 8e-6}}
	rng := rand.New(rand.NewPCG(4, 4))
	var chi float64
	for range trials {
		var pairs []mesh.Pair
		for _, e := range [][2]int{{0, 1}, {1, 2}, {2, 3}, {3, 0}, {2, 0}} {
			p := is.pair(e[0], e[1], 5)
			p.FrequencySD, p.Correlation = 2e-12, rho
			x, y := rng.NormFloat64(), rng.NormFloat64()
			p.Offset = p.Offset.Plus(p.OffsetSD * x)
			p.Frequency += p.FrequencySD * (rho*x + math.Sqrt(1-rho*rho)*y)
			pairs = append(pairs, p)
		}
		s := solved(t, n, 0, pairs)
		c := s.Clocks[2]
		dx, dy := c.Offset.Minus(quantity.Fine{Whole: is.offset[2]})/c.OffsetSD, (c.Frequency-is.frequency[2])/c.FrequencySD
		r := c.Correlation
		chi += (dx*dx - 2*r*dx*dy + dy*dy) / (1 - r*r)
	}
	if mean := chi / trials; !near(mean, 2, 5*2/math.Sqrt(trials)) {
		t.Errorf("mean chi-square of two numbers is %g", mean)
	}
}

// Clocks that nothing leads to are not reached, and hinder no others.
func TestSolveUnconnected(t *testing.T) {
	is := truth{offset: []int64{0, 5, 100, 120, 0}, frequency: make([]float64, 5)}
	s := solved(t, 5, 0, []mesh.Pair{is.pair(0, 1, 1), is.pair(2, 3, 1)})
	for i, want := range []bool{true, true, false, false, false} {
		if s.Clocks[i].Reached != want {
			t.Errorf("clock %d reached: %v", i, s.Clocks[i].Reached)
		}
	}
	if s.Pairs[1].Used || s.Freedom != 0 || len(s.Cycles) != 0 || s.Between(2, 3).Reached {
		t.Errorf("%+v", s)
	}
	if alone := solved(t, 1, 0, nil); !alone.Clocks[0].Reached {
		t.Error("the reference is not reached")
	}
	// A chain that leaves what 64 bits count is not reached beyond it.
	far := truth{offset: []int64{0, 1 << 61, 0}, frequency: make([]float64, 3)}
	more := far.pair(0, 1, 1)
	more.A, more.B = 1, 2
	if s := solved(t, 3, 0, []mesh.Pair{far.pair(0, 1, 1), more}); !s.Clocks[1].Reached || s.Clocks[2].Reached {
		t.Errorf("%+v", s.Clocks)
	}
}

// A pair that the others contradict is named and left out; where nothing tells which pair
// is wrong, all of them are suspected and nothing is said too sharply.
func TestSolveContradictions(t *testing.T) {
	is := truth{offset: []int64{0, 400, -300, 1000}, frequency: make([]float64, 4)}
	wrong := func(a, b int) mesh.Pair {
		p := is.pair(a, b, 2)
		p.Offset.Whole += 500
		return p
	}
	t.Run("four clocks", func(t *testing.T) {
		pairs := []mesh.Pair{is.pair(0, 1, 2), is.pair(0, 2, 2), is.pair(0, 3, 2), is.pair(1, 2, 2), wrong(1, 3), is.pair(2, 3, 2)}
		s := solved(t, 4, 0, pairs)
		for i, p := range s.Pairs {
			if p.LeftOut != (i == 4) || p.Suspect {
				t.Errorf("pair %d: %+v", i, p)
			}
		}
		if got := s.Clocks[3].Offset; got != (quantity.Fine{Whole: 1000}) || !near(s.Pairs[4].Offset, 500, 1e-9) || s.Pairs[4].Pull < 100 {
			t.Errorf("clock 3 at %v, pair %+v", got, s.Pairs[4])
		}
	})
	t.Run("triangle", func(t *testing.T) {
		s := solved(t, 3, 0, []mesh.Pair{is.pair(0, 1, 2), is.pair(0, 2, 2), wrong(1, 2)})
		if len(s.Cycles) != 1 || s.Cycles[0].Closes() || !near(math.Abs(s.Cycles[0].Offset), 500, 1e-9) {
			t.Fatalf("cycles %+v", s.Cycles)
		}
		for i, p := range s.Pairs {
			if p.LeftOut || !p.Suspect {
				t.Errorf("pair %d: %+v", i, p)
			}
		}
		c := s.Clocks[1]
		if off := math.Abs(c.Offset.Minus(quantity.Fine{Whole: 400})); off > 3*c.OffsetSD {
			t.Errorf("off by %g ps, states %g ps", off, c.OffsetSD)
		}
	})
	t.Run("one pair, said twice", func(t *testing.T) {
		s := solved(t, 2, 0, []mesh.Pair{is.pair(0, 1, 2), wrong(0, 1)})
		if len(s.Cycles) != 1 || s.Cycles[0].Closes() || !s.Pairs[0].Suspect || !s.Pairs[1].Suspect || s.Clocks[1].OffsetSD < 100 {
			t.Errorf("%+v", s)
		}
	})
}

// What is no pair is refused, by its number.
func TestSolveRefuses(t *testing.T) {
	good := mesh.Pair{A: 0, B: 1, Spread: mesh.Spread{OffsetSD: 1, FrequencySD: 1e-12}}
	for name, spoil := range map[string]func(*mesh.Pair){
		"itself":          func(p *mesh.Pair) { p.B = 0 },
		"no such clock":   func(p *mesh.Pair) { p.B = 2 },
		"below":           func(p *mesh.Pair) { p.A = -1 },
		"no deviation":    func(p *mesh.Pair) { p.OffsetSD = 0 },
		"NaN":             func(p *mesh.Pair) { p.FrequencySD = math.NaN() },
		"no number":       func(p *mesh.Pair) { p.Offset.Part = math.Inf(1) },
		"least number":    func(p *mesh.Pair) { p.Offset.Whole = math.MinInt64 },
		"fast":            func(p *mesh.Pair) { p.Frequency = 0.5 },
		"fully bound":     func(p *mesh.Pair) { p.Correlation = 1 },
		"endless jitter":  func(p *mesh.Pair) { p.OffsetSD = math.Inf(1) },
		"NaN correlation": func(p *mesh.Pair) { p.Correlation = math.NaN() },
	} {
		p := good
		spoil(&p)
		if s, err := mesh.Solve(2, 0, []mesh.Pair{good, p}); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, n := range []int{-1, 0, mesh.Most + 1} {
		if _, err := mesh.Solve(n, 0, nil); err == nil {
			t.Errorf("%d clocks", n)
		}
	}
	if _, err := mesh.Solve(2, 2, nil); err == nil {
		t.Error("a reference that is none")
	}
	if _, err := mesh.Solve(2, 0, make([]mesh.Pair, 1<<20)); err == nil {
		t.Error("a million pairs")
	}
}
