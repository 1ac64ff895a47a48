package track

import "math"

const (
	furthest   = 5e9     // ps: a clock that jumped further is not looked for
	growth     = 32.0    // from one window of a search to the next
	maxBins    = 1 << 21 // of a search
	mostListed = 1 << 21 // differences of tags in one window
	certain    = 14.0    // log likelihood beyond chance of a place found so
)

// search looks for lost pairs of a slice in ever wider windows, by counting
// differences of tags in bins: after a jump, or a long time without pairs.
func (k *tracker) search(ta, tb []uint64, from, to int64) (slice, bool) {
	m := k.window(k.bank, from, to)
	p := k.predicted(k.bank, m.centre)
	for half := m.half * growth; ; half = min(half*growth, furthest) {
		m.x, m.half = p.x, half
		if at, bin, ok := k.count(ta, tb, m); ok {
			m.x, m.half = at, max(2*bin, k.grid.Reach(k.sigma, 8))
			return k.measured(m, ta, tb, from, to)
		}
		if half >= furthest || k.work <= 0 {
			return slice{}, false
		}
	}
}

// count finds the fullest two neighbouring bins of the differences within an
// aim. Not more than mostListed are looked at, of the first tags of A.
func (k *tracker) count(ta, tb []uint64, m aim) (at, bin float64, ok bool) {
	if len(ta) == 0 || len(tb) == 0 || k.work <= 0 {
		return 0, 0, false
	}
	_, width := k.shift(ta, m)
	shift := 0
	for float64(uint64(1)<<shift) < 2*k.sigma || width>>shift >= maxBins {
		shift++
	}
	bins := int(width>>shift) + 2
	if len(k.counts) < bins {
		k.counts = make([]uint32, bins)
	}
	counts := k.counts[:bins]
	clear(counts)
	listed := k.tally(counts, tb, width, shift)
	k.work -= float64(listed) + float64(bins)/8
	best, place := uint32(0), 0
	for i := 1; i < bins; i++ {
		if c := counts[i-1] + counts[i]; c > best {
			best, place = c, i
		}
	}
	chance := max(2*float64(listed-int(best))/float64(bins), 1e-3)
	bin = float64(uint64(1) << shift)
	at = m.x - m.half - 2 + float64(place)*bin
	return at, bin, best >= leastPairs && surprise(float64(best), chance)-math.Log(float64(bins)) > certain
}

func (k *tracker) tally(counts []uint32, tb []uint64, width uint64, shift int) (listed int) {
	from := k.shifted
	j := search(tb, from[0])
	for _, low := range from {
		for j < len(tb) && int64(tb[j]-low) < 0 {
			j++
		}
		for _, t := range tb[j:] {
			d := t - low
			if d > width {
				break
			}
			counts[d>>shift]++
			listed++
		}
		if listed > mostListed {
			return listed
		}
	}
	return listed
}
