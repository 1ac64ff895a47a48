package correlate

import (
	"fmt"
	"math/bits"
	"slices"

	"tsrun/sdk/quantity"
)

// Line carries times of B's clock to A's, along a straight line.
//
// At the time Reference on A's scale B's clock shows Offset more than A's, and
// it gains Frequency for every unit of A's time:
//
//	B = A + Offset + Frequency*(A - Reference)
//
// Apply solves this for A, so the offset is SUBTRACTED from the target. The
// zero Correction changes nothing.
type Line struct {
	Reference uint64         `json:"reference_ps"`   // ps, on A's scale
	Offset    int64          `json:"offset_ps"`      // ps, B minus A at Reference
	Frequency quantity.Drift `json:"frequency_1e15"` // parts per 1e15; positive: B's clock runs fast
}

const (
	// MaxDrift is the largest difference of frequencies that is corrected:
	// 1000 ppm; no clock that makes time tags is worse.
	MaxDrift  = quantity.DriftUnit / 1000
	maxOffset = int64(1) << 61 // ps, 26 days
)

// Check says whether the line can be applied exactly.
func (l Line) Check() error {
	if l.Offset > maxOffset || l.Offset < -maxOffset {
		return &LimitError{What: "offset", Value: fmt.Sprintf("%d ps", l.Offset), Limit: "26 days", Hint: "bring the times of the records closer together first: tsrun convert IN OUT --shift TIME"}
	}
	if l.Frequency > MaxDrift || l.Frequency < -MaxDrift {
		return &LimitError{What: "frequency", Value: fmt.Sprintf("%d ppb", l.Frequency/1_000_000), Limit: "1000 ppm", Hint: "no clock of a time controller is that far off"}
	}
	return nil
}

// Apply returns when, on A's clock, B's clock showed t. The result is rounded
// to the nearest picosecond, halves away from Reference, by integers alone, so
// it is the same on every machine, and order is kept.
//
// A time before A's zero wraps around; differences between results and A's
// tags, taken modulo 2^64 and read as signed, stay right.
func (l Line) Apply(t uint64) uint64 { return l.toA().apply(t) }

// ApplyAll appends the corrected tags, which are in order, to dst.
func (l Line) ApplyAll(dst, tags []uint64) []uint64 {
	start := len(dst)
	dst = slices.Grow(dst, len(tags))[:start+len(tags)]
	l.toA().applyAll(dst[start:], tags)
	return dst
}

// OffsetAt returns B minus A at the time t of A's clock, in ps.
func (l Line) OffsetAt(t uint64) int64 {
	return l.Offset + l.Frequency.Of(int64(t-l.Reference))
}

// began is what B's clock shows at the line's Reference.
func (l Line) began() uint64 { return l.Reference + uint64(l.Offset) }

// toA is the line solved for A: e of B's time after the Reference are
// e - e*F/(1+F) of A's.
func (l Line) toA() slope {
	return slope{from: l.began(), to: l.Reference, num: -int64(l.Frequency), den: quantity.DriftUnit + int64(l.Frequency)}
}

// toB is the line as it is written.
func (l Line) toB() slope {
	return slope{from: l.Reference, to: l.began(), num: int64(l.Frequency), den: quantity.DriftUnit}
}

// slope carries a time t to to + e + e*num/den, where e = t - from; the
// fraction is rounded to the nearest integer, halves away from zero.
type slope struct {
	from, to uint64 // ps
	num, den int64  // |num| is at most den/998, and den about 1e15
}

func (s slope) apply(t uint64) uint64 {
	e := int64(t - s.from)
	gain := s.gain(quantity.Magnitude(e))
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
	r, _ := bits.Div64(quantity.Magnitude(s.num)<<pointAt, 0, uint64(s.den))
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
	return scaled(size, quantity.Magnitude(s.num), uint64(s.den))
}

// scaled returns v*num/den rounded to nearest, halves up, through a product of
// 128 bits. num is at most den/2, so the quotient fits.
func scaled(v, num, den uint64) uint64 {
	hi, lo := bits.Mul64(v, num)
	lo, carry := bits.Add64(lo, den/2, 0)
	q, _ := bits.Div64(hi+carry, lo, den)
	return q
}

// Correction carries times of B's clock to A's along one line or several, each
// from its Reference on; the first also holds before its own. So it follows a
// clock whose frequency wanders, and one that steps. The zero Correction
// changes nothing.
//
// [Correction.Inverse] and [Chain] make corrections of corrections. They are
// applied step by step, each step rounded to the picosecond, and not merged
// into new lines: a line's frequency, a whole number of 1e-15, could not hold
// the product of two over an hour.
type Correction struct{ steps []step }

// step is a way from one clock to another: along lines, or against them.
type step struct {
	lines   []Line // at least one
	against bool   // from A's clock to B's
}

// NewCorrection returns the correction of these lines, which are in order of
// their references, on A's scale and on B's.
func NewCorrection(lines ...Line) (Correction, error) {
	for i, l := range lines {
		if err := l.Check(); err != nil {
			return Correction{}, err
		}
		if i > 0 && (int64(l.Reference-lines[i-1].Reference) <= 0 || int64(l.began()-lines[i-1].began()) <= 0) {
			return Correction{}, fmt.Errorf("line %d of a correction begins at %d ps of A and %d ps of B, not after the line before it", i, l.Reference, l.began())
		}
	}
	if len(lines) == 0 {
		return Correction{}, nil
	}
	return Correction{[]step{{lines: slices.Clone(lines)}}}, nil
}

// Lines returns the lines in order; none for the zero Correction and for those
// that Inverse and Chain made.
func (c Correction) Lines() []Line {
	if len(c.steps) != 1 || c.steps[0].against {
		return nil
	}
	return slices.Clone(c.steps[0].lines)
}

// IsZero says whether the correction changes nothing.
func (c Correction) IsZero() bool { return len(c.steps) == 0 }

// Inverse returns what carries A's times to B's clock. A time that B's clock
// skipped or showed twice, where lines do not meet, becomes the next line's
// first.
func (c Correction) Inverse() Correction {
	steps := slices.Clone(c.steps)
	slices.Reverse(steps)
	for i := range steps {
		steps[i].against = !steps[i].against
	}
	return Correction{steps}
}

// Chain returns what carries C's times to A's clock, given first, which
// carries B's to A's, and second, which carries C's to B's.
func Chain(first, second Correction) Correction {
	return Correction{slices.Concat(second.steps, first.steps)}
}

// Apply returns when, on A's clock, B's clock showed t; order is kept, also
// from line to line.
func (c Correction) Apply(t uint64) uint64 {
	for _, s := range c.steps {
		t = s.apply(t)
	}
	return t
}

// ApplyAll appends the corrected tags, which are in order, to dst.
func (c Correction) ApplyAll(dst, tags []uint64) []uint64 {
	if len(c.steps) == 0 {
		return append(dst, tags...)
	}
	start := len(dst)
	dst = slices.Grow(dst, len(tags))[:start+len(tags)]
	fixed := dst[start:]
	for _, s := range c.steps {
		s.applyAll(fixed, tags)
		tags = fixed
	}
	return dst
}

// OffsetAt returns B minus A at the time t of A's clock, in ps.
func (c Correction) OffsetAt(t uint64) int64 { return int64(c.Inverse().Apply(t) - t) }

// slope returns the i-th line in the direction of the step.
func (s step) slope(i int) slope {
	if s.against {
		return s.lines[i].toB()
	}
	return s.lines[i].toA()
}

// at returns the index of the line that holds at t.
func (s step) at(t uint64) int {
	return max(0, search(len(s.lines), func(i int) bool { return int64(s.slope(i).from-t) > 0 })-1)
}

func (s step) apply(t uint64) uint64 {
	i := s.at(t)
	fixed := s.slope(i).apply(t)
	if i+1 < len(s.lines) {
		if next := s.slope(i + 1).to; int64(fixed-next) > 0 {
			return next
		}
	}
	return fixed
}

// applyAll is apply for each of tags, which are in order and may be dst.
func (s step) applyAll(dst, tags []uint64) {
	if len(tags) == 0 {
		return
	}
	for i := s.at(tags[0]); len(tags) > 0; i++ {
		n, this := len(tags), s.slope(i)
		if i+1 == len(s.lines) {
			this.applyAll(dst, tags)
			return
		}
		next := s.slope(i + 1)
		n = search(n, func(k int) bool { return int64(tags[k]-next.from) >= 0 })
		this.applyAll(dst[:n], tags[:n])
		for k := n - 1; k >= 0 && int64(dst[k]-next.to) > 0; k-- {
			dst[k] = next.to
		}
		dst, tags = dst[n:], tags[n:]
	}
}
