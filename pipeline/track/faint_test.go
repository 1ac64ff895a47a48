package track

import (
	"math"
	"math/rand/v2"
	"testing"

	"tsrun/internal/need"
)

// faint is a kind of clock in light of so few pairs that its slices hardly show it.
type faint struct {
	name         string
	q            noise
	flicker      float64 // ps/s: Allan deviation at all times
	sine, period float64 // ps, s
}

var faints = []faint{
	{name: "straight"},
	{name: "white FM 3e-12", q: noise{qx: 9}},
	{name: "white FM 1e-11", q: noise{qx: 100}},
	{name: "white FM 5e-12, walk 1e-13", q: noise{25, 0.01}},
	{name: "oven", q: noise{25, 4}},
	{name: "walk 1e-12", q: noise{qy: 1}},
	{name: "walk 1e-11", q: noise{qy: 100}},
	{name: "flicker 3e-12", flicker: 3},
	{name: "sine of 20 ps, 40 s", sine: 20, period: 40},
	{name: "sine of 6 ps, 9 s", sine: 6, period: 9},
}

// light is of how many pairs a second, of 103 ps, in how long a record.
type light struct{ rate, seconds float64 }

// glimpse is a record of such a clock, as slices of 1 s or of 300 pairs, and the pulls of
// what is stated at eleven times from its beginning to its end.
func (f faint) glimpse(l light, seed uint64) (p *path, pulls []float64) {
	const inSlice, times = 8, 11
	rng := rand.New(rand.NewPCG(seed, 7))
	n := int(l.seconds / min(1, 300/l.rate))
	length := l.seconds / float64(n)
	dt, v := length/inSlice, 103*103/(l.rate*length)
	phase, rate, began := 0.0, 0.0, 2*math.Pi*rng.Float64()
	lag := make([]float64, 14) // of flicker: one for each octave of time
	for k := range lag {
		lag[k] = rng.NormFloat64()
	}
	truth := make([]float64, n*inSlice+1)
	for i := range truth {
		truth[i] = phase + f.sine*math.Sin(2*math.Pi*float64(i)*dt/max(f.period, 1)+began)
		y := rate
		rate += math.Sqrt(f.q.qy*dt) * rng.NormFloat64()
		phase += (y+rate)/2*dt + math.Sqrt(f.q.qx*dt)*rng.NormFloat64()
		for k := range lag {
			keep := math.Exp(-dt / (0.05 * float64(int(1)<<k)))
			lag[k] = keep*lag[k] + math.Sqrt(1-keep*keep)*rng.NormFloat64()
			phase += f.flicker / math.Sqrt2 * lag[k] * dt
		}
	}
	p = &path{}
	for i := range n {
		mean := 0.0
		for k := range inSlice {
			mean += (truth[i*inSlice+k] + truth[i*inSlice+k+1]) / 2 / inSlice
		}
		t := (float64(i) + 0.5) * length
		p.slices = append(p.slices, slice{from: int64((t - length/2) * second), to: int64((t + length/2) * second), at: int64(t * second), t: t,
			length: length, x: mean + math.Sqrt(v)*rng.NormFloat64(), v: v, n: l.rate * length, sigma: 103})
	}
	p.estimate()
	p.refine(p.likelihood(p.noise), 2)
	p.hedge()
	p.smooth()
	p.believe(false)
	for k := range times {
		i := k * n * inSlice / (times - 1)
		s := p.at(int64(float64(i) * dt * second))
		pulls = append(pulls, (s.x-truth[i])/math.Sqrt(s.xx))
	}
	return p, pulls
}

// hold states of many records what part of the pulls is beyond 3, in the middle and at all
// times, their rms in the middle, and the mean deviation there over the bound of a line.
func (f faint) hold(l light, seeds int) (middle, all, rms, wide float64) {
	for seed := range uint64(seeds) {
		p, pulls := f.glimpse(l, seed)
		for k, pull := range pulls {
			if math.Abs(pull) > 3 {
				all += 1 / float64(seeds*len(pulls))
				if k == len(pulls)/2 {
					middle += 1 / float64(seeds)
				}
			}
		}
		rms += pulls[len(pulls)/2] * pulls[len(pulls)/2] / float64(seeds)
		wide += math.Sqrt(p.at(int64(l.seconds/2*second)).xx) / (103 / math.Sqrt(l.rate*l.seconds)) / float64(seeds)
	}
	return middle, all, math.Sqrt(rms), wide
}

// TestHoldsInWeakLight is of light that is so weak that noise hides in the few slices: three
// deviations hold in 99 %, and a straight clock's are as narrow as that allows.
func TestHoldsInWeakLight(t *testing.T) {
	const seeds = 30
	for _, l := range []light{{40, 60}, {100, 20}, {400, 20}} {
		beyond := 0.0
		for _, f := range faints {
			middle, all, rms, wide := f.hold(l, seeds)
			t.Logf("%g pairs/s, %g s, %s: beyond 3 %.3f of the middles and %.3f of all, rms pull %.2f, deviation %.2f of a line's bound", l.rate, l.seconds, f.name, middle, all, rms, wide)
			beyond += all / float64(len(faints))
			if f == faints[0] && wide > 2.6 {
				t.Errorf("%g pairs/s, %g s, %s: the deviation is %.2f of the bound", l.rate, l.seconds, f.name, wide)
			}
			if all > 0.02 || rms > 1.3 {
				t.Errorf("%g pairs/s, %g s, %s: %.3f are beyond 3 deviations, rms pull %.2f", l.rate, l.seconds, f.name, all, rms)
			}
		}
		if beyond > 0.005 {
			t.Errorf("%g pairs/s, %g s: %.4f of all kinds are beyond 3 deviations", l.rate, l.seconds, beyond)
		}
	}
}

// TestLongHoldsInWeakLight wants that of every kind of clock, in records of 20 s to 10 min.
func TestLongHoldsInWeakLight(t *testing.T) {
	seeds := need.LongTrials(t, 400, 100)
	for _, l := range []light{{40, 20}, {40, 60}, {40, 600}, {100, 20}, {100, 60}, {100, 600}, {400, 20}, {400, 60}, {400, 600}} {
		n := seeds
		if l.seconds > 60 {
			n /= 10
		}
		for _, f := range faints {
			middle, all, rms, wide := f.hold(l, n)
			t.Logf("%g pairs/s, %g s, %s: beyond 3 %.3f of the middles and %.3f of all, rms pull %.2f, deviation %.2f of a line's bound", l.rate, l.seconds, f.name, middle, all, rms, wide)
			chance := math.Sqrt(0.01 * 0.99 / float64(n))
			if middle > 0.01+2.5*chance || all > 0.01+chance {
				t.Errorf("%g pairs/s, %g s, %s: %.3f of the middles and %.3f of all are beyond 3 deviations", l.rate, l.seconds, f.name, middle, all)
			}
		}
	}
}
