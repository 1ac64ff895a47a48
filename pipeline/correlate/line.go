package correlate

import (
	"fmt"
	"math/bits"

	"tsrun/pipeline/quantity"
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
	MaxDrift  = driftUnit / 1000
	driftUnit = 1_000_000_000_000_000 // quantity.Drift counts parts of this
	maxOffset = int64(1) << 61        // ps, 26 days
)

// Check says whether the line can be applied exactly.
func (l Line) Check() error {
	if l.Offset > maxOffset || l.Offset < -maxOffset {
		return &LimitError{What: "offset", Value: fmt.Sprintf("%d ps", l.Offset), Limit: "26 days", Hint: "give tags of both nodes the same zero first"}
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
func (l Line) Apply(t uint64) uint64 {
	elapsed := int64(t - l.Reference - uint64(l.Offset)) // of B's clock
	if l.Frequency == 0 {
		return l.Reference + uint64(elapsed)
	}
	return l.Reference + uint64(elapsed-scale(elapsed, int64(l.Frequency), driftUnit+int64(l.Frequency)))
}

// ApplyAll appends the corrected tags to dst.
func (l Line) ApplyAll(dst, tags []uint64) []uint64 {
	if l.Frequency == 0 {
		for _, t := range tags {
			dst = append(dst, t-uint64(l.Offset))
		}
		return dst
	}
	for _, t := range tags {
		dst = append(dst, l.Apply(t))
	}
	return dst
}

// OffsetAt returns B minus A at the time t of A's clock, in ps.
func (l Line) OffsetAt(t uint64) int64 {
	return l.Offset + l.Frequency.Of(int64(t-l.Reference))
}

// scale returns v*num/den rounded to nearest, halves away from zero, through a
// product of 128 bits. den is positive and |num| at most den/2, so the
// quotient fits.
func scale(v, num, den int64) int64 {
	hi, lo := bits.Mul64(magnitude(v), magnitude(num))
	lo, carry := bits.Add64(lo, uint64(den)/2, 0)
	q, _ := bits.Div64(hi+carry, lo, uint64(den))
	if (v < 0) != (num < 0) {
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
