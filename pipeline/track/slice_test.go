package track

import (
	"math"
	"math/rand/v2"
	"testing"
)

// peakWith returns n points of a peak and as many of a background.
func peakWith(rng *rand.Rand, n, background int, mu, sigma, half float64) []float64 {
	var r []float64
	for range n {
		r = append(r, mu+sigma*rng.NormFloat64())
	}
	for range background {
		r = append(r, half*(2*rng.Float64()-1))
	}
	return r
}

func TestPeakIsFitted(t *testing.T) {
	for _, c := range []struct {
		n, background int
		fixed         bool
	}{{300, 10, false}, {300, 300, false}, {15, 1, true}, {60, 60, true}} {
		rng := rand.New(rand.NewPCG(uint64(c.n), uint64(c.background)))
		const half, mu, sigma, rounds = 1300, 120.0, 210.0, 600
		var scaled, mean float64
		for range rounds {
			g := normal{sigma: sigma, share: float64(c.n) / float64(c.n+c.background)}
			g, ok := g.fit(peakWith(rng, c.n, c.background, mu, sigma, half), half, c.fixed)
			if !ok {
				t.Fatalf("%+v: not fitted", c)
			}
			scaled += (g.mu - mu) * (g.mu - mu) / g.v
			mean += g.n
		}
		if r := math.Sqrt(scaled / rounds); r < 0.9 || r > 1.12 {
			t.Errorf("%+v: the place is %.3f of its standard deviations wrong", c, r)
		}
		if mean /= rounds; math.Abs(mean-float64(c.n)) > 0.05*float64(c.n)+1 {
			t.Errorf("%+v: %.1f points in the peak", c, mean)
		}
	}
}

// TestBackgroundDoesNotConvince: chance must not be taken for pairs.
func TestBackgroundDoesNotConvince(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for _, half := range []float64{1300, 20_000} {
		for _, n := range []int{10, 40, 400} {
			wrong, right := 0, 0
			for range 500 {
				var points []point
				for _, d := range peakWith(rng, 0, n, 0, 1, half) {
					points = append(points, point{d: d})
				}
				if _, ok, _ := measure(points, aim{half: half}, normal{sigma: 210, share: 0.5}, nil); ok {
					wrong++
				}
				for _, d := range peakWith(rng, 20+int(4*math.Sqrt(float64(n))), 0, 300, 210, half) {
					points = append(points, point{d: d})
				}
				if _, ok, _ := measure(points, aim{half: half}, normal{sigma: 210, share: 0.5}, nil); ok {
					right++
				}
			}
			if wrong > 2 || right < 450 {
				t.Errorf("%d of chance within %.0f ps: %d of 500 are taken for pairs; with pairs %d", n, half, wrong, right)
			}
		}
	}
}

func TestChangeIsPlaced(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	s := &strip{peak: normal{sigma: 200, share: 0.95}, half: 1100}
	for _, size := range []float64{300, 1000, 1e6} {
		old, young := branch{state: state{xx: 25}}, branch{state: state{x: size, xx: 25}}
		var scaled float64
		const rounds, truth = 200, int64(37e9)
		for range rounds {
			var points []point
			for at := int64(0); at < 100e9; at += int64(rng.ExpFloat64() * 0.2e9) {
				x := 0.0
				if at >= truth {
					x = size
				}
				points = append(points, point{at, x + 200*rng.NormFloat64()})
			}
			at, sd, _ := changed(points, s, old, young, 0, 100e9)
			scaled += squared(float64(at-truth) / sd)
		}
		if r := math.Sqrt(scaled / rounds); r < 0.7 || r > 1.3 {
			t.Errorf("a jump of %.0f ps is placed with %.2f of the standard deviation", size, r)
		}
	}
}
