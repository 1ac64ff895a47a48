package correlate

import "math/bits"

// slope carries a time t to to + e + e*num/den, where e = t - from; the
// fraction is rounded to the nearest integer, halves away from zero.
type slope struct {
	from, to uint64 // ps
	num, den int64  // |num| is at most den/998, and den about 1e15
}

func (s slope) apply(t uint64) uint64 {
	e := int64(t - s.from)
	gain := s.gain(magnitude(e))
	if (e < 0) != (s.num < 0) {
		return s.to + uint64(e) - gain
	}
	return s.to + uint64(e) + gain
}

// applyAll is apply for each of tags, which are in order and may be dst.
//
// It divides by multiplying. With r = floor(2^73*|num|/den), which fits a word,
// |e|*r falls short of the true 2^73*|e*num|/den by less than |e|. So the
// rounded quotient is known unless the product plus |e| carries into its
// integer part: at e of an hour once in 2^21 tags. Only then it is divided.
func (s slope) applyAll(dst, tags []uint64) {
	if s.num == 0 {
		shift := s.to - s.from
		for i, t := range tags {
			dst[i] = t + shift
		}
		return
	}
	r, _ := bits.Div64(magnitude(s.num)<<pointAt, 0, uint64(s.den))
	before := search(len(tags), func(i int) bool { return int64(tags[i]-s.from) >= 0 })
	s.applySide(dst[:before], tags[:before], r, -1, ^(s.num >> 63))
	s.applySide(dst[before:], tags[before:], r, 0, s.num>>63)
}

// pointAt is how many bits of the high word of |e|*r are behind the point.
const pointAt = 73 - 64

// applySide is applyAll of tags that all have the sign of e, given as 0 or -1,
// and of e*num.
func (s slope) applySide(dst, tags []uint64, r uint64, sign, gainSign int64) {
	const fraction, half = 1<<pointAt - 1, 1 << (pointAt - 1)
	from, shift, minus, less := s.from, s.to-s.from, uint64(sign), uint64(gainSign)
	dst = dst[:len(tags)]
	for i, t := range tags {
		size := (t - from) ^ minus - minus
		hi, lo := bits.Mul64(size, r)
		hi += half
		gain := hi >> pointAt
		if hi&fraction == fraction && lo > ^size {
			gain = s.gain(size)
		}
		dst[i] = t + shift + (gain ^ less - less)
	}
}

// gain is |e*num/den| for e of this size, by division. Inlined, its registers
// would slow the loop that hardly ever calls it.
//
//go:noinline
func (s slope) gain(size uint64) uint64 {
	return scaled(size, magnitude(s.num), uint64(s.den))
}

// scaled returns v*num/den rounded to nearest, halves up, through a product of
// 128 bits. num is at most den/2, so the quotient fits.
func scaled(v, num, den uint64) uint64 {
	hi, lo := bits.Mul64(v, num)
	lo, carry := bits.Add64(lo, den/2, 0)
	q, _ := bits.Div64(hi+carry, lo, den)
	return q
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
