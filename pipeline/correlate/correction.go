package correlate

import (
	"fmt"
	"slices"
)

// Correction carries times of B's clock to A's along one line or several, each
// from its Reference on; the first also holds before its own. So it follows a
// clock whose frequency wanders, and one that steps. The zero Correction
// changes nothing.
type Correction struct{ lines []Line }

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
	return Correction{slices.Clone(lines)}, nil
}

// Lines returns the lines in order; none for the zero Correction.
func (c Correction) Lines() []Line { return slices.Clone(c.lines) }

// IsZero says whether the correction changes nothing.
func (c Correction) IsZero() bool { return len(c.lines) == 0 }

// began is what B's clock shows at the line's Reference.
func (l Line) began() uint64 { return l.Reference + uint64(l.Offset) }

// at returns the index of the line that holds when B's clock shows t.
func (c Correction) at(t uint64) int {
	return max(0, search(len(c.lines), func(i int) bool { return int64(c.lines[i].began()-t) > 0 })-1)
}

// Apply returns when, on A's clock, B's clock showed t; order is kept, also
// from line to line.
func (c Correction) Apply(t uint64) uint64 {
	if len(c.lines) == 0 {
		return t
	}
	return c.apply(c.at(t), t)
}

func (c Correction) apply(i int, t uint64) uint64 {
	fixed := c.lines[i].Apply(t)
	if i+1 < len(c.lines) {
		if next := c.lines[i+1].Reference; int64(fixed-next) > 0 {
			return next
		}
	}
	return fixed
}

// ApplyAll appends the corrected tags, which are in order, to dst.
func (c Correction) ApplyAll(dst, tags []uint64) []uint64 {
	if len(c.lines) == 0 || len(tags) == 0 {
		return append(dst, tags...)
	}
	for i := c.at(tags[0]); len(tags) > 0; i++ {
		n := len(tags)
		if i+1 < len(c.lines) {
			began := c.lines[i+1].began()
			n = search(n, func(k int) bool { return int64(tags[k]-began) >= 0 })
		}
		for _, t := range tags[:n] {
			dst = append(dst, c.apply(i, t))
		}
		tags = tags[n:]
	}
	return dst
}

// OffsetAt returns B minus A at the time t of A's clock, in ps.
func (c Correction) OffsetAt(t uint64) int64 {
	if len(c.lines) == 0 {
		return 0
	}
	i := max(0, search(len(c.lines), func(i int) bool { return int64(c.lines[i].Reference-t) > 0 })-1)
	return c.lines[i].OffsetAt(t)
}
