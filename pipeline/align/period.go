package align

import (
	"cmp"
	"math"
	"slices"
)

const (
	minTeeth    = 5   // peaks of a comb, at least
	evenTeeth   = 0.7 // of the comb's strength that a true period shows; its multiples show about all
	fewestMet   = 20  // pairs of counts a period apart
	certainComb = 7.0 // standard deviations of an autocorrelation that count as a period
	unlike      = 6.0 // log likelihood of three and a half standard deviations
)

// period returns after how many ps the peaks around the highest repeat, or 0
// where they do not: what a pulsed source leaves in the accidental pairs. It is
// found in the autocorrelation of the counts without the highest peak.
func (r around) period() float64 {
	rest := make([]float64, len(r.counts))
	middle := (len(r.counts) - 1) / 2
	beside := int(math.Ceil(besidePeak*r.sigma/r.bin)) + 1
	mean, n := 0.0, 0.0
	for k, c := range r.counts {
		if k < middle-beside || k > middle+beside {
			mean, n = mean+c, n+1
		}
	}
	mean /= n
	variance := 0.0
	for k, c := range r.counts {
		if k < middle-beside || k > middle+beside {
			rest[k] = c - mean
			variance += rest[k] * rest[k]
		}
	}
	variance /= n
	if variance == 0 {
		return 0
	}
	lags := len(rest) / minTeeth
	strength := make([]float64, lags)
	best := 0.0
	for l := 2; l < lags; l++ {
		sum := 0.0
		for k, v := range rest[:len(rest)-l] {
			sum += v * rest[k+l]
		}
		m := float64(len(rest) - l)
		strength[l] = sum / (m * variance)
		met := sum + m*mean*mean // of counts that have one another a lag away
		if sum > certainComb*variance*math.Sqrt(m) && met >= fewestMet && surprise(met, m*mean*mean) > certainComb*certainComb/2 {
			best = max(best, strength[l])
		}
	}
	if best == 0 {
		return 0
	}
	l := r.firstPeak(strength, best)
	if l == 0 {
		return 0
	}
	return r.followed(rest, float64(l)*r.bin)
}

// firstPeak returns the shortest lag of which the strength is a peak about as
// high as the best, after a trough: near lag 0 a comb of wide teeth, and light
// that flickers, are like themselves too.
func (r around) firstPeak(strength []float64, best float64) int {
	fallen := false
	for l := 2; l+1 < len(strength); l++ {
		fallen = fallen || strength[l] < best/4
		if fallen && strength[l] >= evenTeeth*best && strength[l] >= strength[l-1] && strength[l] >= strength[l+1] {
			return l
		}
	}
	return 0
}

// followed improves a period known to a bin: the tooth n periods away tells it
// n times as well, so it is followed outwards from tooth to tooth.
func (r around) followed(rest []float64, period float64) float64 {
	zero := (len(rest) - 1) / 2 // the bin of difference 0
	width := max(1, min(int(period/r.bin/3), int(3*r.sigma/r.bin)+1))
	var tt, tp float64
	for n := 1; ; n++ {
		at := float64(n) * period / r.bin
		if zero+int(at)+width+1 >= len(rest) {
			return period
		}
		for _, side := range []float64{-1, 1} {
			centre := zero + int(math.Round(side*at))
			if centre < width {
				continue
			}
			weight, moment := 0.0, 0.0
			for k := centre - width; k <= centre+width; k++ {
				v := max(0, rest[k])
				weight, moment = weight+v, moment+v*float64(k-zero)*r.bin
			}
			if weight > 0 {
				t := side * float64(n)
				tt, tp = tt+weight*t*t, tp+t*moment
			}
		}
		if tt > 0 {
			period = tp / tt
		}
	}
}

// comb is how many pairs are in the highest peak of a pulsed source, and in
// those beside it, in a share of the record.
type comb struct {
	main, highest, mean, scatter, share float64
	fades                               bool // in a part of the record the highest is like the others
}

// shifted is a correction that leaves B's tags later by a constant less.
type shifted struct {
	fixer
	by int64 // ps
}

func (f shifted) Apply(t uint64) uint64 { return f.fixer.Apply(t) - uint64(f.by) }

func (f shifted) ApplyAll(dst, tags []uint64) []uint64 {
	had := len(dst)
	dst = f.fixer.ApplyAll(dst, tags)
	for i := range dst[had:] {
		dst[had+i] -= uint64(f.by)
	}
	return dst
}

// teeth counts the pairs about each peak.
func (r around) teeth(period float64) comb {
	half := min(toothReach*r.sigma, period/3)
	n := int((r.half - half) / period)
	counts := make([]float64, 2*n+1)
	for _, p := range r.points {
		k := math.Round(p.d / period)
		if math.Abs(p.d-k*period) <= half && math.Abs(k) <= float64(n) {
			counts[int(k)+n]++
		}
	}
	return newComb(counts, r.share)
}

// newComb compares the middle one of the counts with the others. Those next to
// it, which dead times make unlike the rest, only count as heights.
func newComb(counts []float64, share float64) comb {
	n := len(counts) / 2
	c := comb{main: counts[n], share: share}
	var others []float64
	for k, v := range counts {
		if k != n {
			c.highest = max(c.highest, v)
		}
		if away := max(n-k, k-n); away > disturbed || away > 0 && n <= 2*disturbed {
			others = append(others, v)
		}
	}
	for _, v := range others {
		c.mean += v / float64(len(others))
	}
	for _, v := range others {
		c.scatter += (v - c.mean) * (v - c.mean) / float64(len(others))
	}
	c.scatter = max(1, c.scatter/max(c.mean, 1e-3))
	return c
}

// standsOut says whether the others do not explain the highest, which is that
// of so many.
func (c comb) standsOut(trials float64) bool {
	return surprise(c.main, max(c.mean, 1e-3))/c.scatter-math.Log(trials) > convincedLL && surprise(c.main, c.highest) > unlike
}

const (
	faintPairs  = 256.0   // of the highest peak: beside one of more, others as high show one by one
	faintMost   = 1 << 15 // differences that are looked at
	faintMet    = 1 << 21 // pairs of these, so far apart that they tell the period
	faintBins   = 1 << 19 // of how far they are apart
	faintBeside = 64      // bins to each side that tell how many would be so far apart anyway
	faintAgain  = 0.5     // of the highest of these, from which one is the period
)

// faint is what peaks too low to be seen one by one leave together: the same
// differences come again in other parts of the record, and so do those a period
// later. What is counted is how far the differences of every second part are from
// those of the others, which share no photon.
type faint struct {
	even, odd []difference // in order
	half, bin float64      // ps
	sigma     float64
}

// difference is one of a tag of B, on A's scale, and one of A.
type difference struct {
	d float64 // ps beside the correction
	b uint64  // the tag of B
}

// faint says after how many ps such peaks repeat, or 0 where they do not.
func (t teeth) faint() period {
	if t.pairs > faintPairs {
		return period{}
	}
	w := t.whole()
	perPs := w.share * float64(len(within(t.s.a, t.s.from, t.s.to))) * t.s.rateB()
	f := faint{half: min(faintMost/(2*perPs), float64(t.s.to-t.s.from)/2), sigma: t.sigma}
	far := min(2*faintMet/(faintMost*perPs), f.half)
	f.bin = t.s.grid.Bin(max(2*t.sigma, narrowest, far/faintBins))
	if far < 4*faintBeside*f.bin {
		return period{}
	}
	for k, part := range w.parts {
		if k%2 == 0 {
			f.even = t.listed(f.even, part, f.half)
		} else {
			f.odd = t.listed(f.odd, part, f.half)
		}
	}
	for _, all := range [][]difference{f.even, f.odd} {
		slices.SortFunc(all, func(x, y difference) int { return cmp.Compare(x.d, y.d) })
	}
	return f.period(int(far / f.bin))
}

// listed adds the differences of a part up to half, without those of the highest
// peak.
func (t teeth) listed(all []difference, part [2]uint64, half float64) []difference {
	b, first := t.s.corrected(part, t.c, int64(half)), 0
	for _, at := range within(t.s.a, part[0], part[1]) {
		for first < len(b) && float64(int64(b[first]-at)) < -half {
			first++
		}
		for _, tag := range b[first:] {
			d := float64(int64(tag - at))
			if d > half || len(all) > 2*faintMost {
				break
			}
			if d += t.s.grid.Even(len(all)); math.Abs(d) > besidePeak*t.sigma {
				all = append(all, difference{d, tag})
			}
		}
	}
	return all
}

// apart counts how far the differences of one list are from those of the other,
// in bins.
func (f faint) apart(bins int) []float64 {
	counts := make([]float64, bins)
	reach, first := float64(bins)*f.bin, 0
	for _, e := range f.even {
		for first < len(f.odd) && f.odd[first].d < e.d-reach {
			first++
		}
		for _, o := range f.odd[first:] {
			if o.d > e.d+reach {
				break
			}
			if k := int(math.Abs(o.d-e.d) / f.bin); k < bins && o.b != e.b {
				counts[k]++
			}
		}
	}
	return counts
}

// period finds it: the shortest distance that is much more frequent than those
// about it, as no distance and twice that one are.
func (f faint) period(bins int) period {
	counts := f.apart(bins)
	sums := make([]float64, bins+1)
	for k, n := range counts {
		sums[k+1] = sums[k] + n
	}
	even := 2 * sums[bins] / float64(bins)
	excess := func(k int) (n, ll float64) { // of two neighbouring bins
		from, to := max(0, k-faintBeside), min(bins, k+2+faintBeside)
		n = sums[k+2] - sums[k]
		chance := max(2*(sums[to]-sums[from]-n)/float64(to-from-2), even/2, 1e-3)
		return n - chance, surprise(n, chance)
	}
	none, ll := excess(0)
	if ll < convincedLL {
		return period{}
	}
	var found []int
	highest := 0.0
	for k := 2; k+2 <= bins; k++ {
		if n, ll := excess(k); ll-math.Log(float64(bins)) > convincedLL && n > none/2 {
			found, highest = append(found, k), max(highest, n)
		}
	}
	for _, k := range found {
		p := period{float64(k+1) * f.bin, f.bin}
		if n, _ := excess(k); n < faintAgain*highest {
			continue
		}
		once, twice := f.near(p.ps, f.bin), f.near(2*p.ps, 2*f.bin)
		if 2*p.ps < f.half && (twice.ll < enoughLL || twice.net < evenHeight*once.net) {
			continue
		}
		return f.refined(p)
	}
	return period{}
}

// near finds about which distance, within reach of one, most differences are
// apart.
func (f faint) near(at, reach float64) tooth {
	window := 6 * math.Sqrt2 * max(f.sigma, 1)
	half := reach + 2*window
	var all []float64
	for _, lists := range [][2][]difference{{f.even, f.odd}, {f.odd, f.even}} {
		first := 0
		for _, e := range lists[0] {
			for first < len(lists[1]) && lists[1][first].d < e.d+at-half {
				first++
			}
			for _, o := range lists[1][first:] {
				d := o.d - e.d - at
				if d > half {
					break
				}
				if o.b != e.b {
					all = append(all, d)
				}
			}
		}
	}
	found := densest(all, window, reach)
	found.at += at
	return found
}

// refined follows the period over ever more of them.
func (f faint) refined(p period) period {
	for n := 1.0; n*p.ps < f.half; n *= 2 {
		reach := n*p.uncertain + f.sigma
		if reach > p.ps/3 {
			break
		}
		if at := f.near(n*p.ps, reach); at.ll > convincedLL {
			better := period{at.at / n, (8*f.sigma/math.Sqrt(max(1, at.net)) + 1) / n}
			if better.uncertain < p.uncertain {
				p = better
			}
		}
	}
	return p
}
