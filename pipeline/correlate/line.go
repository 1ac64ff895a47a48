package correlate

import (
	"fmt"
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
	return slope{from: l.began(), to: l.Reference, num: -int64(l.Frequency), den: driftUnit + int64(l.Frequency)}
}

// toB is the line as it is written.
func (l Line) toB() slope {
	return slope{from: l.Reference, to: l.began(), num: int64(l.Frequency), den: driftUnit}
}
