package align

import (
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

// found looks for the line about the places at which both may have recorded.
// Where the search is wide and B short, it is better to look from B's tags: A
// has recorded wherever they may belong.
func (s *searcher) found() (line, error) {
	if len(s.uncovered()) == 0 || s.a[len(s.a)-1]-s.a[0] <= s.b[len(s.b)-1]-s.b[0] {
		return s.find()
	}
	r, err := newSearcher(s.ctx, s.b, s.a, s.Options)
	if err != nil {
		return line{}, err
	}
	l, err := r.find()
	s.trials, s.broad = r.trials, r.broad
	if err != nil {
		return l, err
	}
	return l.reversed(), nil
}

// reversed makes what carries A's times to B's clock what carries B's to A's.
func (l line) reversed() line {
	f := float64(l.Frequency) / quantity.DriftUnit
	l.Line = correlate.Line{Reference: l.Reference + uint64(l.Offset), Offset: -l.Offset,
		Frequency: quantity.Drift(math.Round(-f / (1 + f) * quantity.DriftUnit))}
	return l
}

const maxPlaces = 12 // of the record, at which a peak is looked for

// places returns times of A about which a peak is looked for: the middle of what
// both recorded, were the offset zero; two more, because it may have been dark
// there; and, where the search allows offsets that leave no B at the middle,
// others, so that for every offset there is a place.
func (s *searcher) places() []uint64 {
	middle := s.centre
	found := []uint64{middle}
	if aside := int64(middle-s.start) / 2; aside >= minSegment {
		found = append(found, middle-uint64(aside), middle+uint64(aside))
	}
	return append(found, s.uncovered()...)
}

// uncovered returns places for the offsets that leave no B at the middle.
func (s *searcher) uncovered() (found []uint64) {
	zero := s.a[0]
	length := int64(s.a[len(s.a)-1] - zero)
	began, ended := int64(s.b[0]-zero), int64(s.b[len(s.b)-1]-zero)
	margin := min(minSegment, ended-began) / 2
	// Offsets that the place in the middle is for.
	lowest, highest := began-int64(s.centre-zero)+margin, ended-int64(s.centre-zero)-margin
	last := min(s.Search, ended-minOverlap)
	for offset := max(-s.Search, began-length+minOverlap); offset <= last && len(found) < maxPlaces; {
		if offset >= lowest && offset < highest {
			offset = highest
			continue
		}
		from, to := max(0, began-offset), min(length, ended-offset)
		at := from + (to-from)/4
		found = append(found, zero+uint64(at))
		offset = max(offset+minOverlap, ended-at-(to-from)/8)
	}
	return found
}
