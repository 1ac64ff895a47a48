package pack

import (
	"math/bits"
	"sync"
)

// divisor divides by a tick without a division, which takes forty times as long
// as a multiplication: the odd part of the tick has an inverse modulo 2^64, and
// a product with it is the quotient where there is no remainder (Granlund and
// Montgomery 1994, section 9).
type divisor struct {
	shift   int    // the tick is odd << shift
	inverse uint64 // of odd, modulo 2^64
	most    uint64 // quotient by odd of any 64-bit number
	even    uint64 // bits that are 0 in a multiple
}

func newDivisor(tick uint64) divisor {
	shift := bits.TrailingZeros64(tick)
	odd := tick >> shift
	inverse := odd // of the lowest 3 bits; every step doubles the bits that are right
	for range 5 {
		inverse *= 2 - odd*inverse
	}
	return divisor{shift, inverse, ^uint64(0) / odd, 1<<shift - 1}
}

// divides says whether n is a multiple of the tick.
func (d divisor) divides(n uint64) bool { return n&d.even == 0 && n>>d.shift*d.inverse <= d.most }

// quotient is how many ticks a multiple of the tick has.
func (d divisor) quotient(n uint64) uint64 { return n >> d.shift * d.inverse }

// tickOf returns the greatest time of which the time from the first tag to each
// other is a multiple: the step of a device, or a multiple of it. It is 1 where
// tags run backwards, and 0 where all are equal.
func tickOf(tags []uint64) uint64 {
	var tick uint64
	var by divisor
	last := tags[0]
	for _, t := range tags {
		n := t - tags[0]
		if t < last {
			return 1
		}
		last = t
		if n == 0 || tick != 0 && by.divides(n) {
			continue
		}
		if tick = commonDivisor(tick, n); tick == 1 {
			return 1
		}
		by = newDivisor(tick)
	}
	return tick
}

// commonDivisor returns the greatest common divisor of a and b.
func commonDivisor(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// rooms are for tags in ticks.
var rooms = sync.Pool{New: func() any { return new([MaxTags]uint64) }}

// inTicks appends how many ticks each tag is after the first.
func inTicks(dst, tags []uint64, tick uint64) []uint64 {
	by := newDivisor(tick)
	for _, t := range tags {
		dst = append(dst, by.quotient(t-tags[0]))
	}
	return dst
}

// inPicoseconds is inTicks undone, in place; false where a tag would be beyond
// 2^64 ps.
func inPicoseconds(ticks []uint64, first, tick uint64) bool {
	most := ^first / tick
	for _, n := range ticks {
		if n > most {
			return false
		}
	}
	for i, n := range ticks {
		ticks[i] = first + n*tick
	}
	return true
}
