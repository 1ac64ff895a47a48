package align_test

import (
	"math"
	"math/rand/v2"
	"slices"
)

// experiment is a source of pairs between two nodes, with known truth. B's
// clock shows offset + df*t + ddf*t*t/2 + sine more than A's, which shows
// start + t; t is true time from the beginning of A's record.
type experiment struct {
	seconds       float64
	singlesA      float64 // counts per second, pairs included; 0: 100 k
	singlesB      float64
	pairs         float64 // detected by both, per second; 0: 5 k; negative: none
	jitter        float64 // ps, of each detection; 0: 150
	offset        int64   // ps at t = 0
	df            float64 // B fast: positive
	ddf           float64 // 1/s
	sine          float64 // ps, of a period of a third of the record
	step          float64 // ps, in the middle of the record
	echo          float64 // ps later than others every second partner reaches B
	start         uint64  // ps, A's clock at t = 0; 0: 40000 s
	lateB, earlyB float64 // s: B begins so much later, ends so much earlier
	seed          uint64
}

// truth is what align should say.
type truth struct {
	experiment
	pairsMade int
	sigma     float64 // ps, of a pair
	from, to  float64 // ps of true time that both recorded
}

func (e *experiment) defaults() {
	for _, v := range []struct {
		field *float64
		value float64
	}{{&e.singlesA, 100e3}, {&e.singlesB, 100e3}, {&e.pairs, 5e3}, {&e.jitter, 150}} {
		if *v.field == 0 {
			*v.field = v.value
		}
	}
	if e.start == 0 {
		e.start = 40_000_000_000_000_000
	}
	if e.offset == 0 {
		e.offset = 12_345_678_901
	}
}

// x is B minus A at true time t, ps, without the offset.
func (e *experiment) x(t float64) float64 {
	x := e.df*t + 0.5*e.ddf*1e-12*t*t
	if e.sine != 0 {
		x += e.sine * math.Sin(6*math.Pi*t/(e.seconds*1e12))
	}
	if t > e.seconds*0.5e12 {
		x += e.step
	}
	return x
}

// make returns the tags of both nodes in order of time.
func (e experiment) make() (a, b []uint64, tr truth) {
	e.defaults()
	rng := rand.New(rand.NewPCG(e.seed, 17))
	length := e.seconds * 1e12
	tr = truth{experiment: e, sigma: math.Sqrt2 * e.jitter, from: e.lateB * 1e12, to: length - e.earlyB*1e12}
	tagA := func(t float64) {
		a = append(a, e.start+uint64(math.Round(t+rng.NormFloat64()*e.jitter)))
	}
	tagB := func(t float64) {
		if t >= tr.from && t <= tr.to {
			b = append(b, e.start+uint64(e.offset)+uint64(int64(math.Round(t+e.x(t)+rng.NormFloat64()*e.jitter))))
		}
	}
	poisson(rng, e.pairs, length, func(t float64) {
		tagA(t)
		tagB(t + e.echo*float64(rng.IntN(2)))
		if t >= tr.from && t <= tr.to {
			tr.pairsMade++
		}
	})
	poisson(rng, e.singlesA-max(e.pairs, 0), length, tagA)
	poisson(rng, e.singlesB-max(e.pairs, 0), length, tagB)
	slices.Sort(a)
	slices.Sort(b)
	return a, b, tr
}

// poisson calls each at the times, in ps, of a Poisson process.
func poisson(rng *rand.Rand, rate, length float64, each func(float64)) {
	if rate <= 0 {
		return
	}
	for t := rng.ExpFloat64() / rate * 1e12; t < length; t += rng.ExpFloat64() / rate * 1e12 {
		each(t)
	}
}

// offsetAt is the true B minus A at a time of A's clock.
func (tr truth) offsetAt(t uint64) float64 {
	return float64(tr.offset) + tr.x(float64(t-tr.start))
}

// offsetBound and dfBound are the Cramér-Rao bounds of the offset at
// mid-record, in ps, and of the frequency.
func (tr truth) offsetBound() float64 { return tr.sigma / math.Sqrt(float64(tr.pairsMade)) }
func (tr truth) dfBound() float64 {
	return math.Sqrt(12) * tr.offsetBound() / (tr.to - tr.from)
}
