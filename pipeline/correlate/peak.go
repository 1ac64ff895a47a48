package correlate

import (
	"math"

	"tsrun/sdk/quantity"
)

// Peak is where pairs stand out of a scan. Offset and Sigma are the mean and the
// standard deviation of the pairs' differences, with what chance adds under the
// peak taken off; they are of the pairs and do not depend on window and step.
// FWHM is the width of the scan's own curve, window included, at half the way
// from the chance level to the highest count; 0 where the scan does not show it.
type Peak struct {
	Offset   quantity.Fine `json:"offset_ps"` // B minus A
	OffsetSD float64       `json:"offset_sd_ps"`
	Sigma    float64       `json:"sigma_ps"`
	SigmaSD  float64       `json:"sigma_sd_ps"`
	FWHM     float64       `json:"fwhm_ps"`
	Highest  int64         `json:"highest_ps"` // the delay with most coincidences, the middle one of equals
	// These have no value where chance is not known: [Scan.Warning].
	Pairs        quantity.Number `json:"pairs"` // within four Sigma, less chance
	PairsSD      quantity.Number `json:"pairs_sd"`
	Accidentals  quantity.Number `json:"accidentals"`  // by chance in the window of the highest count
	Significance quantity.Number `json:"significance"` // of the highest count, in standard deviations of chance
}

// evidence is how far the log of the likelihood ratio of the highest count must
// be above the log of the number of delays: chance shows as much once in e^8 scans.
const evidence = 8

// narrow is the variance in bins of whole picoseconds, of a peak that is narrower
// than half a bin: where in its bin it is, its counts do not tell.
const narrow = 0.34

// peak measures the peak of a scan whose first window begins at the difference
// edge; nil when none stands out of chance, or the scan shows too little beside it.
// The warning says why chance is not known, where it is not.
func (s *scanner) peak(r Scan, edge int64, seen []float64, chance repeated) (p *Peak, warning string) {
	highest := middleOfHighest(r.Counts)
	m := moments{fine: s.fine, seen: seen, first: int(int64(highest) * s.step / s.bin), most: int(s.window/s.bin) + 1, mean: float64((int64(highest)*s.step + s.window/2) / s.bin), reach: max(float64(s.window/2/s.bin), 2), chance: chance, grain: s.grain}
	if !m.settle() && !m.settleAtHighest() {
		return nil, chance.short()
	}
	most := float64(r.Counts[highest])
	first := float64(int64(highest)*s.step) / float64(s.bin)
	due := m.within(first, first+float64(s.window+1)/float64(s.bin))
	if m.grain > 0 && chance.fine == nil { // the highest is of a window that holds most steps
		due *= max(1, (math.Floor(float64(s.window)/float64(s.bin)/m.grain)+1)*m.grain*float64(s.bin)/float64(s.window+1))
	}
	likelihood := most*math.Log(most/due) - (most - due) - math.Log(float64(len(r.Counts)))
	if most <= due || likelihood < evidence {
		return nil, chance.short()
	}
	bin := float64(s.bin)
	middle := (bin - 1) / 2 // of the whole picoseconds of a bin
	p = &Peak{
		Offset: quantity.NewFine(edge, m.mean*bin+middle), OffsetSD: m.meanSD() * bin,
		Highest: r.Start + int64(highest)*r.Step, Pairs: quantity.Number(m.net), PairsSD: quantity.Number(m.netSD()),
		Accidentals: quantity.Number(due), Significance: quantity.Number(math.Sqrt(2 * likelihood)),
	}
	blur := (1 - 1/(bin*bin)) / 12 // variance of the picoseconds of a bin, in bins
	p.Sigma = math.Sqrt(max(0, m.variance-blur)) * bin
	if p.Sigma > 0 {
		p.SigmaSD = m.varianceSD() * bin * bin / (2 * p.Sigma)
	} else {
		p.SigmaSD = math.Sqrt(max(m.varianceSD(), 1.0/12)) * bin
	}
	if m.variance < narrow && s.bin > 1 {
		p.OffsetSD = math.Hypot(p.OffsetSD, bin/math.Sqrt(12))
	}
	p.FWHM = halfWidth(r.Counts, highest, (most+due)/2) * float64(r.Step)
	if warning = m.doubt(); r.Overlap == 0 {
		warning = "at the middle delay there is no time that both recorded, so what is chance is not known"
	}
	if warning != "" {
		p.Pairs, p.PairsSD, p.Accidentals, p.Significance = quantity.None(), quantity.None(), quantity.None(), quantity.None()
	}
	return p, warning
}

// middleOfHighest is the middle of the first run of highest counts.
func middleOfHighest(counts []uint64) int {
	first, last := 0, 0
	for k, n := range counts {
		switch {
		case n > counts[first]:
			first, last = k, k
		case n == counts[first] && k == last+1:
			last = k
		}
	}
	return (first + last) / 2
}

// noPeak says why a scan cannot have a peak; empty where none stands out of chance.
func (s *scanner) noPeak(r Scan, g *gather) string {
	nothing, pairs := g.noTime(), uint64(0)
	for _, n := range s.fine {
		pairs += n
	}
	switch {
	case r.TagsA == 0 || r.TagsB == 0:
		return nothing
	case r.Overlap == 0 && pairs == 0:
		return nothing + " at the middle of these delays, and there are no pairs"
	case pairs > 0 && r.Counts[middleOfHighest(r.Counts)] == pairs:
		return "all pairs of the scan are in one window, so what is chance is not known; scan more beside it"
	}
	return ""
}

// seen sums, up to each bin, for what part of the longest time A recorded and B
// recorded so much later. Chance is in proportion to it. It is nil where the scan is
// so short against the record that the parts are alike.
func (s *scanner) seen(g *gather) []float64 {
	const alike = 1e-4
	a, b := g.lanes[0].record(g), g.lanes[1].record(g)
	longest := min(a.to-a.from, b.to-b.from)
	if longest <= 0 || float64(s.width) < alike*longest && a.from < b.to && b.from < a.to {
		return nil
	}
	sums := make([]float64, len(s.fine)+1)
	for k := range s.fine {
		delay := float64(s.low) + (float64(k)+0.5)*float64(s.bin)
		sums[k+1] = sums[k] + max(0, min(a.to, b.to-delay)-max(a.from, b.from-delay))/longest
	}
	if sums[len(s.fine)] == 0 {
		return nil
	}
	return sums
}

// moments are those of a peak over chance, in bins. Chance is a level, that of the
// bins beyond the peak, times the part of the time that was seen, but for light that
// repeats.
type moments struct {
	fine           []uint64
	seen           []float64 // summed up to each bin; nil: alike
	chance         repeated
	grain          float64 // bins, by which differences come; 0: none that matters
	first, most    int     // the bin in which the window of the highest count begins, and how many it has
	mean, reach    float64 // the peak is looked for within mean +- reach
	low, high      int     // the same, as bins
	level          float64 // chance per bin that is seen all the time, from the bins beyond
	beyond         float64 // counts there
	inside, net    float64 // counts; less chance
	variance       float64
	spread, fourth float64 // sums over counts of squares from the mean, and of (square - variance)^2
}

// settle finds mean and variance within four standard deviations of the mean,
// again and again until they stay; false when there is no peak to measure.
func (m *moments) settle() bool {
	const rounds = 50
	for range rounds {
		mean, reach := m.mean, m.reach
		if !m.measure() {
			return false
		}
		m.reach = max(4*math.Sqrt(max(0, m.variance)), 2)
		if math.Abs(m.mean-mean) < 1e-3 && math.Abs(m.reach-reach) < 1e-2*reach {
			return true
		}
	}
	return true
}

// settleAtHighest is settle from the highest bin of where the peak was looked for:
// chance in a wide window moves the mean away from a peak that is much narrower.
func (m *moments) settleAtHighest() bool {
	highest := m.first
	for k := m.first; k < m.first+m.most && k < len(m.fine); k++ {
		if m.fine[k] > m.fine[highest] {
			highest = k
		}
	}
	m.mean, m.reach = float64(highest), 2
	return m.settle()
}

// measure takes the moments within reach. The level needs as many bins beyond
// as the peak has.
func (m *moments) measure() bool {
	total := uint64(0)
	for _, n := range m.fine {
		total += n
	}
	m.low = int(math.Max(0, math.Floor(m.mean-m.reach)))
	m.high = int(math.Min(float64(len(m.fine)), math.Ceil(m.mean+m.reach)+1))
	if m.high <= m.low || len(m.fine)-(m.high-m.low) < max(10, m.high-m.low) {
		return false
	}
	inside := uint64(0)
	for _, n := range m.fine[m.low:m.high] {
		inside += n
	}
	m.inside, m.beyond = float64(inside), float64(total-inside)
	outside := m.outside()
	if outside <= 0 {
		return false
	}
	m.level = max(m.beyond, 0.5) / outside // no count is no proof of zero
	m.net = m.inside - m.within(float64(m.low), float64(m.high))
	if m.net <= 0 {
		return false
	}
	sum, squares := 0.0, 0.0
	for k := m.low; k < m.high; k++ {
		x := float64(k) - m.mean
		net := float64(m.fine[k]) - m.under(k)
		sum += net * x
		squares += net * x * x
	}
	shift := sum / m.net
	m.mean += shift
	m.variance = squares/m.net - shift*shift
	m.spread, m.fourth = 0, 0
	for k := m.low; k < m.high; k++ {
		square := (float64(k) - m.mean) * (float64(k) - m.mean)
		m.spread += float64(m.fine[k]) * square
		m.fourth += float64(m.fine[k]) * (square - m.variance) * (square - m.variance)
	}
	return m.mean >= 0 && m.mean < float64(len(m.fine))
}

// seenOf is for what part of the time bins were seen, together.
func (m *moments) seenOf(low, high int) float64 {
	if m.seen == nil {
		return float64(high - low)
	}
	return m.seen[high] - m.seen[low]
}

// outside is seenOf the bins beyond the peak.
func (m *moments) outside() float64 {
	return m.seenOf(0, len(m.fine)) - m.seenOf(m.low, m.high)
}

// The standard deviations follow from counts of each bin that scatter as
// Poisson's do; a bin cannot tell its pairs apart better than a uniform spread.
func (m *moments) meanSD() float64 { return math.Sqrt(max(m.spread, m.inside/12)) / m.net }

func (m *moments) netSD() float64 {
	n := m.seenOf(m.low, m.high)
	if m.chance.fine != nil {
		return math.Sqrt(m.inside + m.within(float64(m.low), float64(m.high))/m.chance.parts)
	}
	return math.Sqrt(m.inside + n*n*m.levelVariance())
}

func (m *moments) varianceSD() float64 {
	sum, squares := 0.0, 0.0
	for k := m.low; k < m.high; k++ {
		apart := (float64(k)-m.mean)*(float64(k)-m.mean) - m.variance
		sum += apart * m.seenOf(k, k+1)
		squares += apart * apart * m.under(k)
	}
	if m.chance.fine != nil {
		return math.Sqrt(m.fourth+squares/m.chance.parts) / m.net
	}
	return math.Sqrt(m.fourth+sum*sum*m.levelVariance()) / m.net
}

func (m *moments) levelVariance() float64 {
	n := m.outside()
	return m.beyond / (n * n)
}

// halfWidth is how many steps apart the curve crosses the level to both sides of
// the highest point, between points along straight lines; 0 if it does not.
func halfWidth(counts []uint64, highest int, level float64) float64 {
	width := 0.0
	for _, way := range []int{-1, 1} {
		k := highest
		for k >= 0 && k < len(counts) && float64(counts[k]) > level {
			k += way
		}
		if k < 0 || k == len(counts) {
			return 0
		}
		above, below := float64(counts[k-way]), float64(counts[k])
		width += math.Abs(float64(k-way-highest)) + (above-level)/(above-below)
	}
	return width
}
