package align

import (
	"cmp"
	"math"
	"slices"
)

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
