package scatter

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestWindowHasNoBias sums what a lattice of steps adds to the window wherever
// that lies on it: nothing, of an even background; and the offset, of pairs.
func TestWindowHasNoBias(t *testing.T) {
	for _, g := range []Grid{{100, 100}, {1, 250}, {40, 100}, {1000. / 12, 1000. / 12}} {
		w := g.Window(1.3 * g.Floor())
		q := g.Widest()
		for _, x := range []float64{0, 0.1, 0.37, 0.5, 0.93} {
			even, pairs, weight := 0.0, 0.0, 0.0
			for k := -40.0; k <= 40; k++ {
				r := k*q - x*q
				even += w.At(r) * r
				weight += w.At(r)
				pairs += w.At(r) * r * max(0, 1-math.Abs(r)/q)
			}
			n, _ := w.Even()
			if math.Abs(even) > 1e-6*q || math.Abs(pairs) > 1e-6*q || math.Abs(weight*q-n) > 1e-6*n {
				t.Errorf("%v at %g of a step: background %g, pairs %g, weight %g of %g", g, x, even, pairs, weight*q, n)
			}
		}
	}
}

func TestPeakIsCounted(t *testing.T) {
	const sigma, half, pairs, flat = 200.0, 4000.0, 40_000, 15_000
	rng := rand.New(rand.NewPCG(1, 1))
	w := Grid{1, 1}.Weigher(sigma, float64(pairs)/(pairs+flat), half)
	if !w.Least {
		t.Fatal("the background is below the least")
	}
	n, rr := 0.0, 0.0
	for i := range pairs + flat {
		r := sigma * rng.NormFloat64()
		if i >= pairs {
			r = (2*rng.Float64() - 1) * half
		}
		weight := w.Height * math.Exp(-r*r/2/sigma/sigma)
		weight /= weight + w.Flat
		n, rr = n+weight, rr+weight*r*r
	}
	got, variance := w.Peak(n, rr, pairs+flat, half)
	if math.Abs(got-pairs) > 5*math.Sqrt(pairs) || math.Abs(math.Sqrt(variance)-sigma) > 0.01*sigma {
		t.Errorf("%.0f pairs of %d, sigma %.1f of %.0f", got, pairs, math.Sqrt(variance), sigma)
	}
}

func TestOddPeaks(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for _, c := range []struct {
		name string
		tail float64
		odd  bool
	}{{"normal", 0, false}, {"tail", 600, true}} {
		var r []float64
		for range 30_000 {
			r = append(r, math.Round(200*rng.NormFloat64()+c.tail*(rng.ExpFloat64()-0.7)))
		}
		for range 10_000 {
			r = append(r, (2*rng.Float64()-1)*4000)
		}
		sigma := 200.0
		if c.odd {
			sigma = 450
		}
		if part, odd := (Grid{1, 1}).Odd(r, sigma, 10_000/8000.); odd != c.odd {
			t.Errorf("%s: odd is %v, with %.3f elsewhere", c.name, odd, part)
		}
	}
	if _, odd := (Grid{1, 1}).Odd(nil, 10, 1); odd {
		t.Error("no pairs are odd")
	}
}
