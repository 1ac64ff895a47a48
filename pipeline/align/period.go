package align

import "math"

const (
	minTeeth    = 5   // peaks of a comb, at least
	evenTeeth   = 0.7 // of the comb's strength that a true period shows; its multiples show about all
	fewestMet   = 20  // pairs of counts a period apart
	certainComb = 7.0 // standard deviations of an autocorrelation that count as a period
	twice       = 2.0 // log likelihood of two standard deviations
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
	return surprise(c.main, max(c.mean, 1e-3))/c.scatter-math.Log(trials) > convincedLL && surprise(c.main, c.highest) > twice
}
