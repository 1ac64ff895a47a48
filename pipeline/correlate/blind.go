package correlate

import (
	"math"
	"math/bits"
)

// blindAfter is a time within which tags hardly ever follow one another, though
// chance would have many do: a dead time, up to a quarter. 0: none is seen.
func blindAfter(tags []uint64) int64 {
	const enough, steps = 40, 4 // gaps that chance would give; lengths looked at in an octave
	if len(tags) < 2 {
		return 0
	}
	length := float64(tags[len(tags)-1] - tags[0])
	if length <= 0 {
		return 0
	}
	var shorter [64 * steps]int // gaps of a length
	for i := 1; i < len(tags); i++ {
		if gap := tags[i] - tags[i-1]; gap < steps {
			shorter[0]++
		} else if octave := bits.Len64(gap) - 1; octave < 63 {
			shorter[octave*steps+int(gap>>(octave-2))%steps]++
		}
	}
	n, found := float64(len(tags)), 0.0
	mean, counted := length/n, 0
	for k := range shorter {
		counted += shorter[k]
		below := math.Ldexp(1+float64(k%steps+1)/steps, k/steps)
		// after a dead time gaps are shorter than the mean says: by how much, half of it tells in any light
		due := n
		if left := mean - below/2; left > 0 {
			due *= -math.Expm1(-below / left)
		}
		if due > enough && float64(counted) < due/2 {
			found = below
		}
	}
	return int64(found)
}

// withoutSeen takes from the accidentals of two channels those that dead times let none
// see. Of two events in a window, the detector that saw one is blind for the other: so a
// tag of A meets one of B by chance only where B did not see A's event before, and the
// other way round. Where channels are moved, it meets all. seen are half the parts of
// either's tags that the other one saw, so this is right to the square of them.
func (y *yield) withoutSeen(window int64, blind [2]int64, tags [2]float64) {
	if !(y.accidentals > 0) || !(y.net > 0) {
		return
	}
	seen, unsure := 0.0, 0.0
	for i, b := range blind { // the blind one is the later, which is the other's partner half of the time
		part := min(1, y.net/max(1, tags[1-i])) / 2
		switch {
		case b >= window:
			seen += part
			unsure += part / 4
		case b > 0:
			unsure += part // it may be blind for a part of the window
		}
	}
	left := 1 - seen
	more := unsure * unsure * y.accidentals * y.accidentals
	y.net += seen * y.accidentals
	y.accidentals, y.ofChance = left*y.accidentals, left*y.ofChance
	for lane := range y.apart {
		y.apart[lane] *= left
	}
	y.variance += (left*left-1)*y.accidentalsVariance + more
	y.accidentalsVariance = left*left*y.accidentalsVariance + more
	y.ratesVariance *= left * left
	y.ratioVariance /= max(left*left, 0.01)
	y.counted = y.accidentals * y.accidentals / (y.accidentals*y.accidentals/max(y.counted, 1) + more)
}
