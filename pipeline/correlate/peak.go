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

// peak measures the peak of a scan whose first window begins at the difference
// edge; nil when none stands out of chance, or the scan shows too little beside it.
// The warning says why chance is not known, where it is not.
func (s *scanner) peak(r Scan, edge int64, chance repeated) (p *Peak, warning string) {
	highest := middleOfHighest(r.Counts)
	m := moments{fine: s.fine, mean: float64((int64(highest)*s.step + s.window/2) / s.bin), reach: max(float64(s.window/2/s.bin), 2), chance: chance}
	if !m.settle() {
		return nil, chance.short()
	}
	most := float64(r.Counts[highest])
	first := float64(int64(highest)*s.step) / float64(s.bin)
	due := m.within(first, first+float64(s.window+1)/float64(s.bin))
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
	}
	p.FWHM = halfWidth(r.Counts, highest, (most+due)/2) * float64(r.Step)
	if warning = m.doubt(); warning != "" {
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

// moments are those of a peak over chance, in bins. Chance is a flat level, that of
// the bins beyond the peak, but for light that repeats.
type moments struct {
	fine           []uint64
	chance         repeated
	mean, reach    float64 // the peak is looked for within mean +- reach
	low, high      int     // the same, as bins
	level          float64 // chance per bin, from the bins beyond
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
	m.level = max(m.beyond, 0.5) / float64(len(m.fine)-(m.high-m.low)) // no count is no proof of zero
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

// The standard deviations follow from counts of each bin that scatter as
// Poisson's do; a bin cannot tell its pairs apart better than a uniform spread.
func (m *moments) meanSD() float64 { return math.Sqrt(max(m.spread, m.inside/12)) / m.net }

func (m *moments) netSD() float64 {
	n := float64(m.high - m.low)
	if m.chance.fine != nil {
		return math.Sqrt(m.inside + m.within(float64(m.low), float64(m.high))/m.chance.parts)
	}
	return math.Sqrt(m.inside + n*n*m.levelVariance())
}

func (m *moments) varianceSD() float64 {
	sum, squares := 0.0, 0.0
	for k := m.low; k < m.high; k++ {
		apart := (float64(k)-m.mean)*(float64(k)-m.mean) - m.variance
		sum += apart
		squares += apart * apart * m.under(k)
	}
	if m.chance.fine != nil {
		return math.Sqrt(m.fourth+squares/m.chance.parts) / m.net
	}
	return math.Sqrt(m.fourth+sum*sum*m.levelVariance()) / m.net
}

func (m *moments) levelVariance() float64 {
	n := float64(len(m.fine) - (m.high - m.low))
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
