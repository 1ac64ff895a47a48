package sky

import (
	"math"
	"math/rand/v2"
)

// Random numbers are drawn from counters, not from a running state: a key made
// of everything a decision depends on (seed, purpose, cell, input) starts a
// generator of its own. The generator is SplitMix64 (Steele, Lea and Flood,
// OOPSLA 2014): a Weyl sequence through a 64-bit mixer.

const weyl = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio, odd

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// counter is a generator of 64-bit numbers; it implements rand.Source.
type counter struct{ state uint64 }

func (c *counter) Uint64() uint64 {
	c.state += weyl
	return mix(c.state)
}

// key folds words into the state a counter starts from.
func key(words ...uint64) uint64 {
	k := uint64(0)
	for _, w := range words {
		k = mix(k+weyl) ^ mix(w+weyl)
		k = mix(k + weyl)
	}
	return k
}

// keyOfText folds a text into one word for key.
func keyOfText(s string) uint64 {
	k := uint64(len(s))
	for _, b := range []byte(s) {
		k = mix(k+weyl) ^ uint64(b)
	}
	return mix(k)
}

// What a generator is for; part of its key, so that no two purposes share numbers.
const (
	purposePairs = iota + 1
	purposeDetection
	purposeDark
	purposeClock
	purposeSource
)

// process draws the times of a Poisson process within one cell.
type process struct{ meanGap float64 } // ps; +Inf when nothing ever happens

// newProcess returns the process with a rate in millihertz.
func newProcess(rate int64) process { return process{meanGap: 1e15 / float64(rate)} }

// appendCell appends the events of one cell, in ps from the cell's begin.
// Every gap is drawn from the exponential distribution; as that has no memory,
// starting anew at each cell leaves the process exactly Poisson.
func (p process) appendCell(dst []int64, c *counter, base int64) []int64 {
	for at := int64(0); ; {
		u := float64(c.Uint64()>>11+1) * 0x1p-53 // (0, 1], never 0
		gap := -math.Log(u) * p.meanGap
		if !(gap < CellPs) {
			return dst
		}
		at += int64(gap + 0.5)
		if at >= CellPs {
			return dst
		}
		dst = append(dst, base+at)
	}
}

// normal draws from the standard normal distribution, cut off at ±reachSigma
// so that a detection is never farther from its photon than can be looked at.
func normal(r *rand.Rand) float64 {
	for {
		if x := r.NormFloat64(); x >= -reachSigma && x <= reachSigma {
			return x
		}
	}
}

// reachSigma bounds jitter; beyond it lie two of 1e9 detections.
const reachSigma = 6
