package track

import (
	"math"
	"math/rand/v2"
	"testing"
)

// turned is the slices of a clock that keeps to a line, and then to another.
func turned(turns float64) *path {
	rng := rand.New(rand.NewPCG(8, 8))
	p := &path{}
	for i := range 200 {
		at := int64(i)*60e9 + 30e9 + int64(rng.NormFloat64()*2e9)
		t := float64(at) / second
		x := 12 * rng.NormFloat64()
		if t > 5.3 {
			x += turns * (t - 5.3)
		}
		p.slices = append(p.slices, slice{from: int64(i) * 60e9, to: int64(i+1) * 60e9, at: at, t: t, length: 0.06, x: x, v: 144, n: 300})
	}
	return p
}

// TestTurnIsFoundAndNoNoise finds where a frequency jumps, and leaves it out of
// the noise and the Allan deviation.
func TestTurnIsFoundAndNoNoise(t *testing.T) {
	for _, turns := range []float64{5e3, -1e4, 1e5} { // ps/s: 5, -10 and 100 ppb
		p := turned(turns)
		p.estimate()
		p.findLeaps()
		if len(p.leaps) != 1 || !p.leaps[0].anew || p.leaps[0].before < 88 || p.leaps[0].before > 89 {
			t.Fatalf("%g ps/s: jumps %+v", turns, p.leaps)
		}
		if p.noise.qx > 100 || p.noise.qy > 100 {
			t.Errorf("%g ps/s: the noise is %+v", turns, p.noise)
		}
		for _, a := range p.allan() {
			if a.Tau < 2 && a.Deviation > 3*a.SD+a.Floor {
				t.Errorf("%g ps/s: Allan deviation %.3g in %.3g s, where jitter makes %.3g", turns, a.Deviation, a.Tau, a.Floor)
			}
		}
		l := &p.leaps[0]
		for _, at := range []float64{5.1, 5.29, 5.31, 5.5} {
			want := max(0, at-5.3) * turns
			if s := p.at(int64(at * second)); math.Abs(s.x-want) > 4*math.Sqrt(s.xx) {
				t.Errorf("%g ps/s: at %g s it is %.1f ± %.1f, should be %.1f; %+v", turns, at, s.x, math.Sqrt(s.xx), want, l)
			}
		}
	}
}

// TestNoTurnWithoutOne looks at clocks whose frequency walks.
func TestNoTurnWithoutOne(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 9))
		p, x, y := turned(0), 0.0, 0.0
		for i := range p.slices {
			y += 30 * rng.NormFloat64() // ps/s in 60 ms: 1.2e-10 in 1 s
			x += y*0.06 + 24*rng.NormFloat64()
			p.slices[i].x += x
		}
		p.estimate()
		p.findLeaps()
		if len(p.leaps) > 0 {
			t.Errorf("seed %d: jumps %+v", seed, p.leaps)
		}
	}
}

// TestStepIsAsUncertainAsItsMoment compares the deviation near a jump whose
// moment is hardly known with what it may be off.
func TestStepIsAsUncertainAsItsMoment(t *testing.T) {
	p := &path{noise: noise{}}
	for i, at := range []int64{0, 1e12, 5e12, 6e12} {
		x := 0.0
		if i >= 2 {
			x = 1000
		}
		p.slices = append(p.slices, slice{at: at, t: float64(at) / second, x: x, v: 1})
	}
	p.leaps = []leap{{before: 2, at: 3e12, sd: 4e12 / math.Sqrt(12)}}
	p.smooth()
	for _, at := range []int64{1_500_000_000_000, 2_900_000_000_000, 3_100_000_000_000, 4_500_000_000_000} {
		s := p.at(at)
		part := (float64(at)/second - 1) / 4 // of the time in which it may have jumped
		want := 1000 * math.Sqrt(min(part, 1-part))
		if sd := math.Sqrt(s.xx); sd < 0.6*want || sd > 1.5*want {
			t.Errorf("at %d ps: sd %.1f, about %.1f is meant", at, sd, want)
		}
	}
	if s := p.at(1e12); s.xx > 4 {
		t.Errorf("at the slice before: variance %g", s.xx)
	}
}
