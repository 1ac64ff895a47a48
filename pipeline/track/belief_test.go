package track

import (
	"math"
	"math/rand/v2"
	"testing"
)

// measured are slices of 60 ms with 300 pairs of 212 ps in 12 s, of a clock that
// walks by a noise and sways by a sine, and where the clock is after each ms.
func measured(seed uint64, q noise, sine, period float64) (p *path, truth []float64) {
	return measuredIn(60, seed, q, sine, period)
}

// measuredIn does so in slices of so many ms, with 300 pairs in each.
func measuredIn(each int, seed uint64, q noise, sine, period float64) (p *path, truth []float64) {
	length := float64(each) / 1000
	rng := rand.New(rand.NewPCG(seed, 1))
	phase, y, v := 0.0, 0.0, 212.0*212/300
	for i := range 12000 {
		truth = append(truth, phase+sine*math.Sin(2*math.Pi*float64(i)*0.001/period))
		y += rng.NormFloat64() * math.Sqrt(q.qy*0.001)
		phase += y*0.001 + rng.NormFloat64()*math.Sqrt(q.qx*0.001)
	}
	p = &path{}
	for i := 0; i < len(truth); i += each {
		mean := 0.0
		for _, x := range truth[i : i+each] {
			mean += x / float64(each)
		}
		t := (float64(i) + float64(each)/2) * 0.001
		from := int64(i) * second / 1000
		p.slices = append(p.slices, slice{from: from, to: from + int64(length*second), at: int64(t * second), t: t,
			length: length, x: mean + math.Sqrt(v)*rng.NormFloat64(), v: v, n: 300, sigma: 212})
	}
	p.estimate()
	p.smooth()
	p.believe(false)
	return p, truth
}

// TestHoldsWhatDoesNotShow is of clocks that wander by less than a slice shows:
// what is stated holds, and a clock that keeps to a line costs no more than that.
func TestHoldsWhatDoesNotShow(t *testing.T) {
	const seeds, bound = 20, 0.866
	for _, test := range []struct {
		name         string
		q            noise
		sine, period float64
	}{
		{"straight", noise{}, 0, 1},
		{"white FM 3e-12", noise{qx: 9}, 0, 1},
		{"oven", noise{25, 4}, 0, 1},
		{"random walk", noise{qy: 9}, 0, 1},
		{"sine of 9 s", noise{}, 3, 9},
		{"sine of 3 s", noise{}, 6, 3},
	} {
		var squares, wide float64
		outside := 0
		for seed := range uint64(seeds) {
			p, truth := measured(100+seed, test.q, test.sine, test.period)
			for _, i := range []int{0, 3000, 6000, 9000, 11990} {
				s := p.at(int64(i) * second / 1000)
				pull := (s.x - truth[i]) / math.Sqrt(s.xx)
				squares += pull * pull / 5
				if math.Abs(pull) > 3 {
					outside++
				}
			}
			wide += math.Sqrt(p.at(6*second).xx) / bound / seeds
		}
		t.Logf("%s: rms pull %.2f, %d of %d outside 3, deviation %.2f of a line's bound", test.name, math.Sqrt(squares/seeds), outside, 5*seeds, wide)
		if rms := math.Sqrt(squares / seeds); rms < 0.6 || rms > 1.3 || outside > 5*seeds/25 {
			t.Errorf("%s: rms pull %.2f, %d of %d outside 3", test.name, rms, outside, 5*seeds)
		}
		if test.q == (noise{}) && test.sine == 0 && wide > 2.1 {
			t.Errorf("%s: the deviation is %.2f of the bound", test.name, wide)
		}
	}
}

// TestHoldsInFewSlices is of short records, whose slices are so few that they hide noise:
// what is stated of a noisy clock holds in 99 %, and a quiet one costs little more.
func TestHoldsInFewSlices(t *testing.T) {
	const seeds, bound, slice = 60, 1.935, 300 // ms: 1000 pairs a second
	var outside, all int
	wide := 0.0
	for k, q := range []noise{{}, {qx: 9}, {qx: 100}, {25, 4}, {qy: 100}} {
		for seed := range uint64(seeds) {
			p, truth := measuredIn(slice, 10_000*uint64(k+1)+seed, q, 0, 1)
			for _, i := range []int{0, 3000, 6000, 9000, 11990} {
				s := p.at(int64(i) * second / 1000)
				all++
				if math.Abs(s.x-truth[i]) > 3*math.Sqrt(s.xx) {
					outside++
				}
			}
			if q == (noise{}) {
				wide += math.Sqrt(p.at(6*second).xx) / bound / seeds
			}
		}
	}
	t.Logf("%d of %d outside 3, deviation of a straight clock %.2f of a line's bound", outside, all, wide)
	if 100*outside > all || wide > 2.3 {
		t.Errorf("%d of %d outside 3, deviation of a straight clock %.2f of a line's bound", outside, all, wide)
	}
}

// TestSwayIsSeen is of a sine that is well above what its slices scatter: its
// deviation is that of a line with a sine of known period, about the root of 3 bounds.
func TestSwayIsSeen(t *testing.T) {
	p, truth := measured(7, noise{}, 20, 4)
	for i := 0; i < len(truth); i += 100 {
		s := p.at(int64(i) * second / 1000)
		if off := math.Abs(s.x - truth[i]); off > 4*math.Sqrt(s.xx) || math.Sqrt(s.xx) > 4 {
			t.Errorf("at %d ms: off by %.2f, deviation %.2f", i, s.x-truth[i], math.Sqrt(s.xx))
		}
	}
}

// TestFewSlicesHaveBeliefs: of one slice nothing is believed but its noise, and of
// two or three what is believed is a number.
func TestFewSlicesHaveBeliefs(t *testing.T) {
	whole, _ := measured(1, noise{}, 0, 1)
	for n := 1; n < 5; n++ {
		p := whole.part(0, n)
		p.smooth()
		p.believe(false)
		if s := p.known(p.slices[0].at); math.IsNaN(s.x) || !(s.xx > 0) || math.IsInf(s.xx, 1) {
			t.Errorf("of %d slices the clock is %+v, from %d beliefs", n, s, len(p.beliefs))
		}
	}
}

// TestSyntonizedClocks: a clock that is said to keep to a line, and does, is known to
// the bound of a line, and one that plainly does not is known as if nothing had been said.
func TestSyntonizedClocks(t *testing.T) {
	const seeds, bound = 60, 0.866
	var squares, wide float64
	doubted := 0
	for seed := range uint64(seeds) {
		p, truth := measured(300+seed, noise{}, 0, 1)
		p.believe(true)
		if p.beliefs != nil {
			doubted++
			continue
		}
		s := p.at(6 * second)
		squares += squared(s.x-truth[6000]) / s.xx
		wide += math.Sqrt(s.xx) / bound
		if p.noise != (noise{}) {
			t.Errorf("seed %d: a line of noise %+v", seed, p.noise)
		}
	}
	lines := float64(seeds - doubted)
	if rms := math.Sqrt(squares / lines); doubted > seeds/20 || wide > 1.02*lines || rms < 0.75 || rms > 1.25 {
		t.Errorf("%d of %d lines doubted, of the others the deviation is %.3f of the bound, and the rms pull %.2f", doubted, seeds, wide/lines, rms)
	}
	for _, test := range []struct {
		name         string
		q            noise
		sine, period float64
	}{{"white FM 2e-11", noise{qx: 400}, 0, 1}, {"walk", noise{qy: 100}, 0, 1}, {"sine", noise{}, 20, 4}} {
		for seed := range uint64(5) {
			p, _ := measured(500+seed, test.q, test.sine, test.period)
			free := p.at(6 * second)
			p.believe(true)
			if s := p.at(6 * second); s != free {
				t.Errorf("%s, seed %d: %+v, of a free clock %+v", test.name, seed, s, free)
			}
		}
	}
}
