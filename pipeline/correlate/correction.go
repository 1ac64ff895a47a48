package correlate

import (
	"fmt"
	"slices"
)

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
