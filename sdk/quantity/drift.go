package quantity

import "math/bits"

// driftUnit is how many of a Drift's units are a whole: parts in 1e15.
const driftUnit = 1_000_000_000_000_000

// Of returns d times v, rounded to the nearest integer, halves away from zero:
// by how much a clock that is d fast has gained in v of true time. It goes
// through a product of 128 bits, so nothing is lost; |d| is below 1e15.
func (d Drift) Of(v int64) int64 {
	hi, lo := bits.Mul64(magnitude(v), magnitude(int64(d)))
	lo, carry := bits.Add64(lo, driftUnit/2, 0)
	q, _ := bits.Div64(hi+carry, lo, driftUnit)
	if (v < 0) != (d < 0) {
		return -int64(q)
	}
	return int64(q)
}

// FineOf returns d times v like Of, and keeps what Of rounds away, for a sum
// that is rounded only once.
func (d Drift) FineOf(v int64) Fine {
	hi, lo := bits.Mul64(magnitude(v), magnitude(int64(d)))
	q, rest := bits.Div64(hi, lo, driftUnit)
	whole, part := int64(q), float64(rest)/driftUnit
	if (v < 0) != (d < 0) {
		whole, part = -whole, -part
	}
	return NewFine(whole, part)
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
