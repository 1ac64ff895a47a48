package correlate

import (
	"math"
	"math/cmplx"
)

const (
	gridGroups   = 64   // of neighbouring tags, spread over the record
	gridTags     = 9    // in each
	onGrid       = 0.25 // of the groups, which have no tag beside the grid
	gridSample   = 1 << 18
	gridCells    = 1 << 14
	fewestSteps  = 256 // differences that are asked for a grid that is not of whole ps
	mostSteps    = 1 << 11
	clearGrid    = 0.6     // of the strength that a grid without other tags would have
	cellGrowth   = 16      // from the cells for a grid to those for the next wider
	widestCell   = 256     // ps
	finestGrid   = 6.0     // ps: finer ones are no matter
	longestGrid  = 3e10    // ps: differences that tell the period of a grid
	gridGrowth   = 4.0     // from differences that tell it to the next longer
	betweenLines = 0.6     // of the strength of a grid whose period lies between two lines of the spectrum
	finer        = 1.0 / 4 // of the strength's width, from try to try
)

// GridOf returns by what steps, in ps, the tags come: a whole number that
// divides their differences, or one that does but for the rounding to whole ps;
// 1 where there is none. A few tags beside the grid, and an offset of all, do
// not matter.
func GridOf(tags []uint64) float64 {
	if q := wholeStep(tags); q > 1 {
		return float64(q)
	}
	found := 0
	for cell := uint64(1); cell <= widestCell && found < 2; cell *= cellGrowth {
		d := differences(tags, 0, gridCells*cell, mostSteps)
		if len(d) < fewestSteps {
			continue
		}
		found++
		if q := roundedStep(tags, d, cell); q > finestGrid {
			return q
		}
	}
	return 1
}

// wholeStep is the greatest common divisor of the differences in most groups of
// neighbouring tags.
func wholeStep(tags []uint64) uint64 {
	groups := min(gridGroups, len(tags)/gridTags)
	found := make(map[uint64]int)
	for k := range groups {
		at := (len(tags) - gridTags) * k / max(groups-1, 1)
		d := uint64(0)
		for i := at + 1; i < at+gridTags; i++ {
			d = divisor(d, tags[i]-tags[i-1])
		}
		found[d]++
	}
	best := uint64(1)
	for d, n := range found {
		if d > 1 && (n > found[best] || best == 1 || n == found[best] && d < best) {
			best = d
		}
	}
	if best > 1 && float64(found[best]) >= onGrid*float64(groups) {
		return best
	}
	return 1
}

// roundedStep looks for a grid that is not of whole ps in the spectrum of the
// short differences, counted in cells of so many ps. Pulses come in a grid too,
// but no light keeps to one within a picosecond: the harmonics say so.
func roundedStep(tags, short []uint64, cell uint64) float64 {
	counts := make([]float32, gridCells)
	for _, v := range short {
		counts[v/cell]++
	}
	power := PowerSpectrum(counts)
	const lowest, half = 16, gridCells / 2
	best, at := float32(0), 0
	for k := lowest; k < half; k++ {
		if power[k] > best {
			best, at = power[k], k
		}
	}
	if least := betweenLines * clearGrid * float64(len(short)); float64(best) < least*least {
		return 1
	}
	for k := lowest; k < at; k++ { // of the harmonics the first
		if power[k] >= best*betweenLines*betweenLines && power[k] >= power[k+1] {
			at = k
			break
		}
	}
	rate, ok := refinedGrid(tags, short, float64(at)/float64(gridCells*cell), 1/float64(gridCells*cell))
	if ok && keepsGrid(short, rate) {
		return 1 / rate
	}
	return 1
}

// refinedGrid improves the steps per ps, known to a width, by ever longer
// differences.
func refinedGrid(tags, short []uint64, rate, width float64) (float64, bool) {
	d, long := short, 1/width
	for {
		best, at := 0.0, rate
		for r := rate - width; r <= rate+width; r += finer / long {
			if s := strength(d, r); s > best {
				best, at = s, r
			}
		}
		if best < clearGrid*betweenLines {
			return 0, false
		}
		rate, width = at, 2*finer/long
		if long *= gridGrowth; long > longestGrid {
			return rate, true
		}
		if next := differences(tags, uint64(long/2), uint64(long), fewestSteps); len(next) >= fewestSteps/4 {
			d = next
		} else if len(d) > 0 && long < longestGrid/gridGrowth {
			d, long = differences(tags, uint64(long/2), uint64(long*gridGrowth), fewestSteps), long*gridGrowth
		}
	}
}

// keepsGrid says whether differences are those of tags rounded to whole ps from
// a grid of so many steps per ps: their harmonics are as strong as that leaves.
func keepsGrid(d []uint64, rate float64) bool {
	harmonic := rate * math.Max(1, math.Round(1/(4*rate)))
	left := math.Sin(math.Pi*harmonic) / (math.Pi * harmonic)
	return strength(d, harmonic) >= clearGrid*left*left
}

// commonStep is by what steps, in ps, differences of tags of two channels come, of which
// the first ones are given; 0 where by none that matters, as where one clock moves against
// the other.
func commonStep(a, b []uint64) float64 {
	const least, most, clear = 2, 1 << 11, 0.5 // ps; differences; of them, that agree
	x := GridOf(a)
	if x < least {
		return 0
	}
	y, step := GridOf(b), x
	if math.Abs(x-y) > 1e-4*x {
		step = float64(divisor(uint64(x), uint64(y)))
		if x != math.Trunc(x) || y != math.Trunc(y) {
			return 0
		}
	}
	if step < least {
		return 0
	}
	var apart []uint64
	stride, k := len(a)/most+1, 0
	for i := 0; i < len(a) && len(b) > 0; i += stride {
		for k < len(b)-1 && int64(b[k]-a[i]) < 0 {
			k++
		}
		if d := int64(b[k] - a[i]); d >= 0 {
			apart = append(apart, uint64(d))
		}
	}
	if len(apart) < gridTags || strength(apart, 1/step) < clear {
		return 0
	}
	return step
}

// strength is how well differences agree with so many steps per ps, from 0 to 1.
func strength(d []uint64, rate float64) float64 {
	var sum complex128
	for _, v := range d {
		_, part := math.Modf(float64(v) * rate)
		sin, cos := math.Sincos(2 * math.Pi * part)
		sum += complex(cos, sin)
	}
	return cmplx.Abs(sum) / float64(len(d))
}

// differences lists those of tags at least from and less than to apart, so many
// at most, of the first tags of a record.
func differences(tags []uint64, from, to uint64, most int) []uint64 {
	var found []uint64
	first := 0
	for i := 1; i < min(len(tags), gridSample) && len(found) < most; i++ {
		for tags[i]-tags[first] >= to {
			first++
		}
		for k := first; k < i && tags[i]-tags[k] >= from && len(found) < most; k++ {
			found = append(found, tags[i]-tags[k])
		}
	}
	return found
}
