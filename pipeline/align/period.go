package align

import "math"

const (
	minTeeth    = 5   // peaks of a comb, at least
	evenTeeth   = 0.7 // of the comb's strength that a true period shows; its multiples show about all
	certainComb = 7.0 // standard deviations of an autocorrelation that count as a period
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
		if sum > certainComb*variance*math.Sqrt(m) {
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
	return r.refined(rest, float64(l)*r.bin)
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

// refined improves a period known to a bin: the tooth n periods away tells it
// n times as well, so it is followed outwards from tooth to tooth.
func (r around) refined(rest []float64, period float64) float64 {
	middle := (len(rest) - 1) / 2
	width := max(1, min(int(period/r.bin/3), int(3*r.sigma/r.bin)+1))
	var tt, tp float64
	for n := 1; ; n++ {
		at := float64(n) * period / r.bin
		if int(at)+width+1 >= middle {
			return period
		}
		for _, side := range []float64{-1, 1} {
			centre := middle + int(math.Round(side*at))
			weight, moment := 0.0, 0.0
			for k := centre - width; k <= centre+width; k++ {
				v := max(0, rest[k])
				weight, moment = weight+v, moment+v*float64(k-middle)*r.bin
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
// those beside it.
type comb struct{ main, highest, mean, scatter float64 }

// teeth counts the pairs within three standard deviations of each peak.
func (r around) teeth(period float64) (c comb) {
	n := int((r.half - 3*r.sigma) / period)
	counts := make([]float64, 2*n+1)
	for _, p := range r.points {
		k := math.Round(p.d / period)
		if math.Abs(p.d-k*period) <= 3*r.sigma && math.Abs(k) <= float64(n) {
			counts[int(k)+n]++
		}
	}
	c.main = counts[n]
	counts = append(counts[:n], counts[n+1:]...)
	for _, v := range counts {
		c.mean += v / float64(len(counts))
		c.highest = max(c.highest, v)
	}
	for _, v := range counts {
		c.scatter += (v - c.mean) * (v - c.mean) / float64(len(counts))
	}
	c.scatter = max(1, c.scatter/max(c.mean, 1e-3))
	return c
}

// surprise is how badly the mean of the others explains the highest, as a log
// likelihood.
func (c comb) surprise() float64 { return surprise(c.main, max(c.mean, 1e-3)) / c.scatter }
