package correlate

import (
	"fmt"
	"math"
	"slices"

	"tsrun/sdk/quantity"
)

// uneven is by what part chance near zero differs from chance where channels are
// moved to, in what was looked at.
type uneven struct {
	part, sd float64
	beside   bool // because the places are beside the pulses
}

// unevenness compares the lags nearer than half a shift with those about the
// shifted windows, over whole periods of the light. Where nothing correlates the
// channels but pairs, and where they were moved by whole periods, both are alike. A
// shift that was given and is no whole number of periods is compared by its places.
func (l *lags) unevenness(at places, sky light, half, beside float64) uneven {
	shift, longest := float64(at[shiftsEachSide+1]), 0.0
	if n := len(sky.periods); n > 0 {
		longest = sky.periods[n-1].length
		if u := l.besidePulses(at, sky.periods[0].length, half); u.certain() {
			u.beside = true
			return u
		}
	}
	whole := func(x float64) float64 { // the next odd multiple of half the period
		if longest == 0 {
			return x
		}
		return (math.Ceil(x/longest-0.5) + 0.5) * longest
	}
	low, middle, high := whole(max(beside, float64(sky.blind)*1.25)), whole(shift/2), min(whole(4.5*shift), l.width())
	if middle > shift {
		middle -= longest
	}
	due := func(from, to float64) float64 { return (to - from) * max(0, l.time-(from+to)/2) }
	far, dueFar := l.within(middle, high), due(middle, high)
	u := compare(l.typical(low, middle, longest), due(low, middle), far, dueFar)
	if longest > 0 {
		return u
	}
	for high := middle; high > max(2*low, middle/bunchedWithin); high /= 2 {
		if near, known := l.median(low, high); known {
			if v := compare(near, due(low, high), far, dueFar); v.part > u.part && v.certain() {
				u = v
			}
		}
	}
	return u
}

// bunchedWithin is how many times nearer than half a shift light that bunches is looked for:
// what correlates channels nearer than that is a peak.
const bunchedWithin = 4

// besidePulses compares the lags about whole periods with those about the places,
// taken modulo the period.
func (l *lags) besidePulses(at places, length, half float64) uneven {
	near := min(max(half, length/64), length/8)
	on, off := 0.0, 0.0
	for _, d := range l.of {
		turns := d / length
		if math.Abs(turns-math.Round(turns))*length < near {
			on += shiftedWindows
		}
		for place, by := range at {
			if turns := (d - float64(by)) / length; place != shiftsEachSide && math.Abs(turns-math.Round(turns))*length < near {
				off++
			}
		}
	}
	return compare(on/shiftedWindows, 1, off/shiftedWindows, 1)
}

// within counts the lags of a size from low to high.
func (l *lags) within(low, high float64) (n float64) {
	for _, d := range l.of {
		if size := math.Abs(d); size >= low && size < high {
			n++
		}
	}
	return n
}

// typical is how many lags of a size from low to high there would be if all parts
// of that were like most: a peak beside zero, of pairs that a delay moved there, is
// no chance. Parts are whole periods.
func (l *lags) typical(low, high, length float64) float64 {
	const parts, least = 10, 8 // to each side; of lags in a part, for its rank to say something
	unit := (high - low) / parts
	if length > 0 {
		unit = length * max(1, math.Round((high-low)/length/parts))
	}
	n := int(math.Round((high - low) / unit))
	if n < 1 {
		return 0
	}
	counts, total := make([]float64, 2*n), 0.0
	for _, d := range l.of {
		if size := math.Abs(d); size >= low && size < high {
			part := min(int((size-low)/unit), n-1)
			if d < 0 {
				part += n
			}
			counts[part]++
			total++
		}
	}
	slices.Sort(counts)
	cut := len(counts) / 5
	middle := 0.0
	for _, c := range counts[cut : len(counts)-cut] {
		middle += c
	}
	middle *= float64(len(counts)) / float64(len(counts)-2*cut)
	if counts[len(counts)/2] < least {
		return min(total, middle+least*float64(len(counts))) // too few to tell a peak from chance
	}
	return middle
}

// median is how many lags of a size from low to high there would be if all parts of that
// were like the middle one, so that a peak in less than half of them is no chance; not
// known of few.
func (l *lags) median(low, high float64) (n float64, known bool) {
	const parts, least = 10, 8
	counts := make([]float64, 2*parts)
	for _, d := range l.of {
		if size := math.Abs(d); size >= low && size < high {
			part := min(int((size-low)/(high-low)*parts), parts-1)
			if d < 0 {
				part += parts
			}
			counts[part]++
		}
	}
	slices.Sort(counts)
	middle := (counts[parts-1] + counts[parts]) / 2
	return 2 * parts * middle, middle >= least
}

// widen adds to the deviations of two channels by how much chance near zero differs from
// that where they were moved, which is known too badly to correct it.
func (y *yield) widen(u uneven) {
	if u.beside || !u.certain() || !(y.accidentals > 0) {
		return
	}
	y.uneven = u.part
	y.unsure(u.part * u.part * y.accidentals * y.accidentals)
}

// unsure adds to the variance of accidentals and of what follows from them.
func (y *yield) unsure(more float64) {
	y.accidentalsVariance += more
	y.variance += more
	if y.accidentals > 0 {
		y.counted = y.accidentals * y.accidentals / (y.accidentals*y.accidentals/max(y.counted, 1) + more)
	}
}

// widenAsPairs adds to the deviations of more than two channels what their pairs differ by
// near zero and lose by dead times: groups that met by chance are as many pairs of groups.
func (y *yield) widenAsPairs(pairs []*yield) {
	for _, p := range pairs {
		if math.Abs(p.uneven) > math.Abs(y.uneven) {
			y.uneven = p.uneven
		}
		y.blind = max(y.blind, p.blind)
		y.repeated = max(y.repeated, p.repeated)
	}
	off := 0.0
	for i, n := range y.divided {
		groups := float64(i + 2)
		met := groups * (groups - 1) / 2
		off += n * math.Abs(math.Pow(max(0, 1+y.uneven), met)-1)
		off += n * (1 - math.Pow(max(0, 1-y.blind), met))
	}
	y.unsure(off * off)
}

// compare returns by what part there is more of the first than of the second, for
// what was due in proportion.
func compare(first, due, second, of float64) uneven {
	const few = 20
	if due <= 0 || of <= 0 || first*of/due+second < few {
		return uneven{}
	}
	if second < 1 {
		return uneven{part: math.Inf(1), sd: 1}
	}
	ratio := first * of / due / second
	return uneven{part: ratio - 1, sd: math.Sqrt((first+1)/(second*second)*(of/due)*(of/due) + ratio*ratio/second)}
}

const certainlyUneven = 5 // standard deviations

func (u uneven) certain() bool { return math.Abs(u.part) > certainlyUneven*u.sd }

// doubt says why chance, as it was counted in the pairs of channels, is not to be
// believed; empty where it is.
func (l light) doubt(counters []*counter, g *gather, at places) string {
	shift := quantity.Time(at[shiftsEachSide+1])
	hint := "; give the light's period, or a shift by whole periods beyond what correlates the channels"
	if l.other > 0 {
		return fmt.Sprintf("the light repeats after %.9g ps, which the period given does not explain, so what is chance is not known; leave the period out, or give this one", l.other)
	}
	pair := 0
	for _, c := range counters {
		if len(c.lanes) != 2 {
			continue
		}
		e := c.exposureOf(g)
		y := c.yield(e)
		if math.IsNaN(y.net) {
			return ""
		}
		if p := c.scatter(e, y); p > 0 {
			return fmt.Sprintf("windows of chance for %s, shifted by %s and more, differ from one another %.3g times as much as chance lets them, so what is chance is not known%s", nameOf(c.mask), shift, p, hint)
		}
		if pair < len(l.uneven) {
			u := l.uneven[pair]
			bias := math.Abs(u.part) * max(y.accidentals, 0)
			switch {
			case !u.certain():
			case u.beside && math.Abs(u.part) > 0.5:
				return fmt.Sprintf("the light repeats after %.9g ps, and windows that are shifted by %s and more lie beside its pulses, so what is chance is not known; leave the shift out, or give whole periods", l.periods[0].length, shift)
			case !u.beside && bias > 2*math.Sqrt(y.variance):
				return fmt.Sprintf("%s is correlated beyond its pairs: chance near zero is %.3g times that where windows are shifted by %s and more, so it is not known%s", nameOf(c.mask), 1+u.part, shift, hint)
			}
		}
		pair++
	}
	return ""
}

// scatter is by how many times the windows of two channels scatter more than
// counts of one mean do; 0 where chance may do it.
func (c *counter) scatter(e exposure, y *yield) float64 {
	const rare = 60.0 // of chi-square with 7 degrees of freedom: once in 10^10
	total, due := 0.0, e.of(1)
	for place, n := range c.placed {
		if place != shiftsEachSide {
			total += float64(n)
		}
	}
	if total == 0 {
		return 0
	}
	beyond := y.accidentalsVariance * due * due / (total + fewCounted) // 1 but where tags are in many windows
	square := 0.0
	for place, n := range c.placed {
		if mean := total * e.ofPair(place) / due; place != shiftsEachSide && mean > 0 {
			square += (float64(n) - mean) * (float64(n) - mean) / ((mean + fewCounted) * beyond)
		}
	}
	if square < rare {
		return 0
	}
	return math.Sqrt(square / (shiftedWindows - 1))
}
