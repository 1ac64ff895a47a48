package quantity

import "math/bits"

// Of returns d times v, rounded to the nearest integer, halves away from zero:
// by how much a clock that is d fast has gained in v of true time. It goes
// through a product of 128 bits, so nothing is lost; |d| is below 1e15.
func (d Drift) Of(v int64) int64 {
	const unit = 1_000_000_000_000_000
	hi, lo := bits.Mul64(magnitude(v), magnitude(int64(d)))
	lo, carry := bits.Add64(lo, unit/2, 0)
	q, _ := bits.Div64(hi+carry, lo, unit)
	if (v < 0) != (d < 0) {
		return -int64(q)
	}
	return int64(q)
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
