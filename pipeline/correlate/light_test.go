package correlate_test

import (
	"math"
	"math/rand/v2"
	"slices"
)

// light is a source whose events reach several detectors. Times are those of a
// Poisson process; everything is a pure function of the seed.
type light struct {
	seconds float64
	events  float64   // per second
	see     []float64 // by channel: the part of the events it detects
	noise   []float64 // by channel: uncorrelated tags per second
	jitter  float64   // ps, of each detection
	later   []float64 // by channel: ps; nil: none
}

func (l light) tags(seed uint64) [][]uint64 {
	rng := rand.New(rand.NewPCG(seed, 77))
	channels := make([][]uint64, len(l.see))
	const zero = 1e12
	stamp := func(i int, t float64) {
		t += zero + rng.NormFloat64()*l.jitter
		if l.later != nil {
			t += l.later[i]
		}
		channels[i] = append(channels[i], uint64(math.Round(t)))
	}
	process := func(rate float64, each func(t float64)) {
		if rate <= 0 {
			return
		}
		for t := rng.ExpFloat64() * 1e12 / rate; t < l.seconds*1e12; t += rng.ExpFloat64() * 1e12 / rate {
			each(t)
		}
	}
	process(l.events, func(t float64) {
		for i, part := range l.see {
			if rng.Float64() < part {
				stamp(i, t)
			}
		}
	})
	for i, rate := range l.noise {
		process(rate, func(t float64) { stamp(i, t) })
		slices.Sort(channels[i])
	}
	return channels
}

// pulls gathers (estimate - truth)/sd over seeds.
type pulls []float64

func (p pulls) moments() (mean, sd float64) {
	for _, x := range p {
		mean += x / float64(len(p))
	}
	for _, x := range p {
		sd += (x - mean) * (x - mean) / float64(len(p)-1)
	}
	return mean, math.Sqrt(sd)
}

// hold says whether pulls scatter as they should, about 0 with a standard
// deviation of 1, within four standard deviations of what n of them give.
func (p pulls) hold() bool {
	mean, sd := p.moments()
	n := float64(len(p))
	return math.Abs(mean) < 4/math.Sqrt(n) && math.Abs(sd-1) < 4/math.Sqrt(2*n)
}
