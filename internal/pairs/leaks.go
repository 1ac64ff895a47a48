package pairs

import (
	"math"
	"math/rand/v2"
)

// leaks is light of no source of pairs, which both nodes see: even, or as it
// flickers, fluctuates and flashes.
type leaks struct {
	e    *Experiment
	rng  *rand.Rand
	most float64 // the brightest it can be, of its mean

	before    float64    // time, ps
	amplitude [2]float64 // of thermal light
	flash     float64    // when the latest began, ps
	next      float64
}

const mostThermal = 6.0 // times the mean, above which thermal light is rarely

func newLeaks(e *Experiment, rng *rand.Rand) *leaks {
	l := &leaks{e: e, rng: rng, most: 1 + e.Flicker}
	if e.Bunching > 0 {
		l.most = mostThermal
		l.amplitude = [2]float64{rng.NormFloat64(), rng.NormFloat64()}
	}
	return l
}

// at returns when what even light of the brightest would give at t is seen, if
// it is.
func (l *leaks) at(t float64) (at float64, seen bool) {
	switch e := l.e; {
	case e.Bunching > 0:
		return t, l.rng.Float64()*l.most < l.thermal(t)
	case e.FlashHz > 0 && l.rng.IntN(2) == 0:
		for l.next <= t {
			l.flash, l.next = l.next, l.next+l.rng.ExpFloat64()/e.FlashHz*1e12
		}
		return l.flash + e.FlashWidth*l.rng.Float64(), true
	case e.Flicker > 0:
		return t, l.rng.Float64()*l.most <= 1+e.Flicker*math.Sin(2*math.Pi*e.FlickerHz*t*1e-12)
	}
	return t, true
}

// thermal is how bright thermal light is at a time after that asked for before,
// of its mean: the square of an amplitude whose correlation decays.
func (l *leaks) thermal(t float64) float64 {
	kept := math.Exp(-(t - l.before) / l.e.Bunching)
	l.before = t
	bright := 0.0
	for i, a := range l.amplitude {
		l.amplitude[i] = kept*a + math.Sqrt(1-kept*kept)*l.rng.NormFloat64()
		bright += l.amplitude[i] * l.amplitude[i] / 2
	}
	return bright
}
