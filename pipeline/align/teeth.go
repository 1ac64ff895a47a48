package align

import (
	"cmp"
	"math"
	"slices"

	"tsrun/pipeline/correlate"
)

const (
	sampledPairs = 4096.0  // of the highest peak, in the part of the record where others are looked for
	sampledTags  = 1 << 22 // of A, in that part at most
	evenHeight   = 0.3     // of a peak, from which another is of the same comb
)

// teeth measures the peaks beside the highest: how many pairs lie at which
// difference from a correction.
type teeth struct {
	s     *searcher
	c     fixer
	sigma float64 // ps, of the highest
	pairs float64 // in it, in the whole record
	parts [][2]uint64
	share float64 // of the record that these are
}

// newTeeth takes so many parts of the record that the highest peak can be
// compared with others.
func (s *searcher) newTeeth(c fixer, sigma, pairs float64) teeth {
	tags := float64(len(within(s.a, s.from, s.to)))
	share := min(1, sampledPairs/max(pairs, 1), sampledTags/max(tags, 1))
	return teeth{s: s, c: c, sigma: sigma, pairs: pairs, parts: s.stretches(s.from, s.to, share), share: share}
}

// stretches returns parts that make such a share of a time, one in each
// sixteenth, but at no even distance: pulses must not fall between all of them.
func (s *searcher) stretches(from, to uint64, share float64) (parts [][2]uint64) {
	const golden = 0.6180339887498949
	each := int64(to-from) / aroundParts
	stretch := max(1, min(each, int64(share*float64(each))))
	for k := range int64(aroundParts) {
		_, place := math.Modf(golden * float64(k))
		from := from + uint64(k*each+int64(place*float64(each-stretch)))
		parts = append(parts, [2]uint64{from, from + uint64(stretch)})
	}
	return parts
}

// tooth is a peak of pairs.
type tooth struct {
	at    float64 // ps beside the correction
	count float64 // pairs within three standard deviations
	net   float64 // without what lies evenly beside it
	ll    float64 // log likelihood that this is more than lies beside it
}

// near finds the highest peak within reach of a difference.
func (t teeth) near(at, reach float64) (found tooth) {
	window := 6 * max(t.sigma, 1)
	half := reach + 2*window
	var all []float64
	for _, part := range t.parts {
		points, _ := t.s.collectIn(part[0], part[1], shifted{t.c, int64(math.Round(at))}, half, maxFitPoints/aroundParts)
		for i, p := range points {
			all = append(all, p.d+t.s.grid.Even(i))
		}
	}
	found = densest(all, window, reach)
	found.at += math.Round(at)
	return found
}

// densest finds the window that holds most of all, which lie evenly up to two
// windows beyond reach of 0.
func densest(all []float64, window, reach float64) (found tooth) {
	half := reach + 2*window
	slices.Sort(all)
	best := 0
	first, last := 0, 0
	for i, k := 0, 0; k < len(all); k++ {
		for all[k]-all[i] > window {
			i++
		}
		if middle := (all[i] + all[k]) / 2; k-i+1 > best && math.Abs(middle) <= reach+window/2 {
			best, first, last = k-i+1, i, k
		}
	}
	if best == 0 {
		return tooth{}
	}
	mean := 0.0
	for _, d := range all[first : last+1] {
		mean += d / float64(best)
	}
	beside := max(float64(len(all)-best), 1) * window / (2*half - window)
	found = tooth{at: mean, count: float64(best), net: float64(best) - beside}
	found.ll = surprise(found.count, beside) - math.Log(1+2*reach/window)
	return found
}

// count counts the pairs at a difference in the parts.
func (t teeth) count(at, half float64) (n float64) {
	for _, part := range t.each(at, half) {
		n += part
	}
	return n
}

// each counts them in each part.
func (t teeth) each(at, half float64) []float64 {
	counts := make([]float64, len(t.parts))
	for i, part := range t.parts {
		points, stride := t.s.collectIn(part[0], part[1], shifted{t.c, int64(math.Round(at))}, half, maxFitPoints/aroundParts)
		counts[i] = float64(len(points) * stride)
	}
	return counts
}

// period is after how many ps peaks repeat, and how far off that may be.
type period struct{ ps, uncertain float64 }

// comb says after how many ps peaks repeat, from those that were found, or 0
// where they do not.
func (t teeth) comb(found []rival) period {
	var sharp []tooth
	highest := 0.0
	for _, v := range found {
		if p := t.near(v.away, 4*t.sigma+narrowest); p.ll > enoughLL {
			sharp = append(sharp, p)
			highest = max(highest, p.net)
		}
	}
	slices.SortFunc(sharp, func(x, y tooth) int { return cmp.Compare(math.Abs(x.at), math.Abs(y.at)) })
	for _, first := range sharp {
		if first.net < evenHeight*highest {
			continue
		}
		others := 0
		for _, k := range []float64{-1, 2, -2} {
			p := t.near(k*first.at, 6*t.sigma)
			if p.ll > enoughLL && p.net > evenHeight*first.net {
				others++
			}
		}
		if others >= 2 {
			return t.finest(math.Abs(first.at), first.net)
		}
	}
	return period{}
}

// finest divides a period where the peaks come more often.
func (t teeth) finest(p, height float64) period {
	uncertain := 4 * t.sigma
	for _, parts := range []float64{2, 3, 5, 7} {
		for p/parts > 8*t.sigma {
			after, before := t.near(p/parts, uncertain), t.near(-p/parts, uncertain)
			if min(after.ll, before.ll) < enoughLL || min(after.net, before.net) < evenHeight*height {
				break
			}
			p = (after.at - before.at) / 2
		}
	}
	return period{p, uncertain}
}

// refined follows the peaks outwards: the one n periods away tells the period n
// times as well. Each is looked for where it can be, and counts where it is
// found.
func (t teeth) refined(p period, far float64) period {
	for n := 1.0; n*p.ps <= far; n *= 2 {
		reach := n*p.uncertain + t.sigma
		if reach > p.ps/3 {
			break
		}
		after, before := t.near(n*p.ps, reach), t.near(-n*p.ps, reach)
		better := p
		switch sure := t.sigma / math.Sqrt(max(1, min(after.net, before.net))); {
		case after.ll > convincedLL && before.ll > convincedLL:
			better = period{(after.at - before.at) / (2 * n), (4*sure + 1) / n}
		case after.ll > convincedLL:
			better = period{after.at / n, (8*t.sigma/math.Sqrt(after.net) + 1) / n}
		case before.ll > convincedLL:
			better = period{-before.at / n, (8*t.sigma/math.Sqrt(before.net) + 1) / n}
		}
		if better.uncertain < p.uncertain {
			p = better
		}
	}
	return p
}

const (
	neighbours = 20 // peaks to each side that the highest is compared with
	toothReach = 5  // standard deviations: a correction follows the noise of its own peak, and so leaves that narrower
	disturbed  = 4  // of them next to it, which dead times make unlike the others
)

// compared counts the pairs of a peak and of those beside it.
func (t teeth) compared(period float64) comb {
	half := min(toothReach*t.sigma, period/3)
	counts := make([]float64, 2*neighbours+1)
	main, others := make([]float64, len(t.parts)), make([]float64, len(t.parts))
	for k := range counts {
		for i, n := range t.each(float64(k-neighbours)*period, half) {
			counts[k] += n
			if k == neighbours {
				main[i] = n
			} else {
				others[i] += n / (2 * neighbours)
			}
		}
	}
	c := newComb(counts, t.share)
	c.fades = c.fadesIn(main, others)
	return c
}

const (
	sureExcess = 5.0 // standard deviations of what a part should have more than its neighbours
	noExcess   = 1.0 // of what it has, if it has nothing
)

// fadesIn says whether the peak is like the others in a part of the record,
// where it should be higher: the clock has jumped from one peak to another.
func (c comb) fadesIn(main, others []float64) bool {
	higher := c.main/max(c.mean, 1e-3) - 1
	for size := 1; size <= len(main)/2; size *= 2 {
		for i := 0; i+size <= len(main); i += size {
			n, mean := 0.0, 0.0
			for k := i; k < i+size; k++ {
				n, mean = n+main[k], mean+others[k]
			}
			sd := math.Sqrt(c.scatter * max(mean, 1))
			if higher*mean > sureExcess*sd && n-mean < noExcess*sd && absence(n, (1+higher)*mean) > convincedLL {
				return true
			}
		}
	}
	return false
}

// pulses says after how many ps the pulses of a source repeat, and how many
// pairs they have, or 0.
func (t teeth) pulses(seen around, rivals []rival) (p period, c comb) {
	if ps := seen.period(); ps > 0 {
		return period{ps, 4 * seen.bin * ps / lookAround}, seen.teeth(ps)
	}
	if p = t.faint(); p.ps == 0 { // before single peaks: the highest of a faint comb may be alone there
		if p = t.comb(rivals); p.ps == 0 {
			return p, comb{}
		}
		p = t.refined(p, 2*neighbours*p.ps)
	}
	return p, t.whole().compared(p.ps)
}

const (
	farthest   = 1e11    // ps: how far away peaks are looked for, at most
	farLeast   = 1.1e9   // ps: and at least, so that a laser of 1 kHz shows its period
	farPairs   = 128.0   // of the highest peak, in the part that is looked at
	farMost    = 1 << 20 // differences that are looked at
	farCap     = 1 << 24 // the same, so that it is farLeast
	farPerBin  = 4       // differences that chance puts into a bin
	farWidest  = 200_000 // ps
	farBins    = 1 << 20
	farNearest = 8 // peaks that are looked at closely
)

// far looks for peaks further off than lookAround: which are there, the nearest
// first. Pulses that are rare show so, and those of few photons.
func (t teeth) far(beyond float64) (found []rival) {
	share := min(1, farPairs/max(t.pairs, 1))
	sample := t
	for { // pulses of many pairs may lie between short parts
		sample.parts = t.s.stretches(t.s.from, t.s.to, share)
		if share == 1 || sample.count(0, 3*t.sigma) >= farPairs/2 {
			break
		}
		share = min(1, 4*share)
	}
	perPs := share * float64(len(within(t.s.a, t.s.from, t.s.to))) * t.s.rateB()
	half := min(max(farMost/(2*perPs), farLeast), farCap/(2*perPs), farthest, float64(t.s.to-t.s.from)/2)
	bin := max(min(farPerBin/perPs, farWidest), 2*half/farBins, 2*t.sigma, narrowest)
	bin = t.s.grid.Bin(bin) // steps of the tags are no period of the light
	bins := int(2 * half / bin)
	if half < 2*beyond || bins < 8 {
		return nil
	}
	counts := t.s.differences(sample.parts, t.c, half, bin, bins)
	sums := make([]float64, bins+1)
	for k, n := range counts {
		sums[k+1] = sums[k] + float64(n)
	}
	even := 2 * sums[bins] / float64(bins)
	const wide = 32 // bins to each side that tell how many are there anyway
	type peak struct{ at, height float64 }
	var peaks []peak
	for k := 1; k < bins; k++ {
		at := float64(k)*bin - half
		h := sums[k+1] - sums[k-1]
		if h < even+6*math.Sqrt(even)/2+2 || math.Abs(at) < beyond+bin {
			continue
		}
		from, to := max(0, k-1-wide), min(bins, k+1+wide)
		local := 2 * (sums[to] - sums[from] - h) / float64(to-from-2)
		if surprise(h, max(local, even/2, 1e-3))-math.Log(float64(bins)) <= enoughLL {
			continue
		}
		if last := len(peaks) - 1; last >= 0 && at-peaks[last].at < 1.5*bin { // one peak, in two neighbouring pairs of bins
			if h > peaks[last].height {
				peaks[last] = peak{at, h}
			}
			continue
		}
		peaks = append(peaks, peak{at, h})
	}
	slices.SortFunc(peaks, func(x, y peak) int { return cmp.Compare(math.Abs(x.at), math.Abs(y.at)) })
	if highest := len(peaks) - 1; highest >= farNearest {
		top(peaks[farNearest:], 1, func(p peak) float64 { return p.height })
		peaks = peaks[:farNearest+1]
	}
	main := max(1, t.near(0, t.sigma).net)
	for _, p := range peaks { // where they are within their bins, which may be wide
		if p := t.near(p.at, bin); p.ll > enoughLL {
			found = append(found, rival{p.at, p.net / main})
		}
	}
	return found
}

// differences counts differences from minus to plus half in bins.
func (s *searcher) differences(parts [][2]uint64, c fixer, half, bin float64, bins int) []uint32 {
	return countInGroups(parts, bins, func(part [2]uint64, counts []uint32) { s.differencesIn(part, c, half, bin, counts) })
}

// countInGroups adds up what count enters for each part at n places.
func countInGroups(parts [][2]uint64, n int, count func(part [2]uint64, counts []uint32)) []uint32 {
	const groups = 4 // that count by themselves
	var counts [groups][]uint32
	correlate.Each(groups, func(g int) {
		counts[g] = make([]uint32, n)
		for i := g; i < len(parts); i += groups {
			count(parts[i], counts[g])
		}
	})
	for _, more := range counts[1:] {
		for k, n := range more {
			counts[0][k] += n
		}
	}
	return counts[0]
}

// differencesIn adds those of one part.
func (s *searcher) differencesIn(part [2]uint64, c fixer, half, bin float64, counts []uint32) {
	a, b := within(s.a, part[0], part[1]), s.corrected(part, c, int64(half))
	perBin, width, first := 1/bin, uint64(2*half), 0
	for _, at := range a {
		zero := at - uint64(int64(half))
		for first < len(b) && int64(b[first]-zero) < 0 {
			first++
		}
		for _, t := range b[first:] {
			d := t - zero
			if d > width {
				break
			}
			if k := int(float64(d) * perBin); k < len(counts) {
				counts[k]++
			}
		}
	}
}

// corrected returns B's tags on A's scale that may be in a part, or half of it
// away.
func (s *searcher) corrected(part [2]uint64, c fixer, half int64) []uint64 {
	i := search(len(s.b), func(i int) bool { return int64(c.Apply(s.b[i])-part[0]) >= -half })
	k := search(len(s.b), func(i int) bool { return int64(c.Apply(s.b[i])-part[1]) >= half })
	return c.ApplyAll(nil, s.b[i:max(i, k)])
}
