package align

import (
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

// line is what is known of B's clock while it is being found: the correction
// so far, good over the length about its Reference, and how far the truth may
// still be from it.
type line struct {
	correlate.Line
	length int64   // ps of A
	ux     float64 // ps, at Reference
	uy     float64 // slope, ps per ps
	bin    float64 // ps: resolution reached by counting
	sigma  float64 // ps: jitter, once fitted
	rate   float64 // pairs per second, once fitted
}

// moved returns the correction of which points have the residual x + y*t. What
// the integers of a Line cannot hold is left for the next step to find.
func moved(c correlate.Line, x, y float64) correlate.Line {
	f := float64(c.Frequency) / quantity.DriftUnit
	c.Offset += int64(math.Round((1 + f) * x))
	c.Frequency += quantity.Drift(math.Round((y + f*y) * quantity.DriftUnit))
	return c
}

// peak is the line of a Hough transform with most points on it.
type peak struct {
	x, y   float64 // offset at t = 0 and slope
	ll     float64 // log likelihood beyond chance, trials taken into account
	count  float64 // points on the line
	chance float64 // points expected there
	trials float64
}

const (
	maxLines = 400
	maxBins1 = 1 << 18
	bestBin  = 800.0 // ps: finer than this the fit is better than counting
)

// houghBin returns how wide bins must be for one transform to cover offsets
// within plus or minus ux and slopes within plus or minus uy, over a length.
func houghBin(ux, uy, length, finest float64) float64 {
	return max(finest, uy*length/(maxLines/2), 2*(ux+uy*length/2)/maxBins1)
}

// hough counts, for slopes within plus or minus uy so close that neighbours
// differ by one bin over the whole length, how many points fall on each line,
// and returns the fullest pair of neighbouring bins.
func hough(points []point, ux, uy, length, bin float64) peak {
	half := ux + uy*length/2
	bins := int(2*half/bin) + 2
	lines := 1
	if uy > 0 {
		lines = 2*int(math.Ceil(uy*length/bin)) + 1
	}
	const together = 16 // lines that share counters
	parts := make([]peak, (lines+together-1)/together)
	correlate.Each(len(parts), func(i int) {
		counts := make([]uint32, bins)
		parts[i] = peak{ll: math.Inf(-1)}
		for l := i * together; l < min(lines, (i+1)*together); l++ {
			slope := 0.0
			if lines > 1 {
				slope = uy * (2*float64(l)/float64(lines-1) - 1)
			}
			if p := fullest(points, counts, slope, half, bin); p.ll > parts[i].ll {
				parts[i] = p
			}
		}
	})
	best := parts[0]
	for _, p := range parts[1:] {
		if p.ll > best.ll {
			best = p
		}
	}
	best.trials = float64(lines) * float64(bins)
	best.ll -= math.Log(best.trials)
	return best
}

// fullest returns the fullest pair of neighbouring bins at one slope. Its
// counters belong to one goroutine and its points are not written to, which
// the race detector would take most of a test's time to find out.
//
//go:norace
func fullest(points []point, counts []uint32, slope, half, bin float64) peak {
	clear(counts)
	inside, perBin := 0, 1/bin
	for _, p := range points {
		k := int((p.d - slope*p.t + half) * perBin)
		if uint(k) < uint(len(counts)) {
			counts[k]++
			inside++
		}
	}
	most, at := uint32(0), 0
	for k := 1; k < len(counts); k++ {
		if n := counts[k-1] + counts[k]; n > most {
			most, at = n, k
		}
	}
	chance := max(2*(float64(inside)-float64(most))/float64(max(len(counts)-2, 1)), 1e-3)
	return peak{x: -half + float64(at)*bin, y: slope, ll: surprise(float64(most), chance), count: float64(most), chance: chance}
}

// verify looks at a candidate closely: pairs listed one by one must lie on one
// line of offset and frequency.
func (s *searcher) verify(c candidate) (line, bool) {
	l := line{
		Line:   correlate.Line{Reference: c.centre, Offset: c.offset},
		length: c.length, ux: float64(c.half), uy: float64(s.MaxDrift) / quantity.DriftUnit,
	}
	l, ok := s.closeIn(l, maxPoints, func(p peak, _, _ float64) bool {
		s.trials += p.trials
		return p.ll >= convincedLL && p.count >= 8
	})
	if ok && l.bin > 2*maxJitter {
		s.broad = l.bin
		return l, false
	}
	return l, ok
}

// closeIn counts the pairs about a line, not many more than most, in ever finer
// bins and returns the line as finely as counting resolves it, if believe says
// of the first peak, of its bins and of the length that it is one.
func (s *searcher) closeIn(l line, most int, believe func(p peak, bin, length float64) bool) (line, bool) {
	net := 0.0
	for round := 0; ; round++ {
		points, ok := s.listing(&l, most)
		if !ok {
			return line{}, false
		}
		length := float64(l.length)
		finest := s.grid.Bin(bestBin)
		bin := s.grid.Bin(houghBin(l.ux, l.uy, length, finest))
		p := hough(points, l.ux, l.uy, length, bin)
		if round == 0 {
			if !believe(p, bin, length) {
				return line{}, false
			}
		} else if p.count-p.chance < 0.5*net {
			return l, true // finer bins split the peak: its width is resolved
		}
		net = p.count - p.chance
		half := l.ux + l.uy*length/2
		l.Line = moved(l.Line, p.x, p.y)
		l.ux, l.uy, l.bin = 2*bin, min(l.uy, 4*bin/length), bin
		if bin <= finest {
			l.bin = breadth(points, p, bin, half)
			l.ux = max(l.ux, 2*l.bin)
			return l, true
		}
	}
}

// breadth widens the bin of a peak while the peak does not stand out of what
// is next to it: light that flickers has peaks so broad that narrow bins see
// only their noise. Half as much as a wider bin holds is enough to keep one.
func breadth(points []point, p peak, bin, half float64) float64 {
	inside := func(w float64) (all float64) {
		for _, q := range points {
			if math.Abs(q.d-p.x-p.y*q.t) <= w {
				all++
			}
		}
		return all
	}
	found, count := bin, inside(bin)
	for w := 4 * bin; w < half; w *= 4 {
		all := inside(w)
		chance := float64(len(points)) * w / half
		places := max(1, p.trials*w/half)
		if surprise(count, all*found/w)-math.Log(places) < convincedLL && all-chance > sureties*math.Sqrt(all) && all > 2*count {
			found, count = w, all
		}
	}
	return found
}

// listing collects the points of a line, of a shorter segment where there are
// too many to look at.
func (s *searcher) listing(l *line, most int) ([]point, bool) {
	for ; l.length >= 1e9; l.length = l.length * 3 / 4 {
		half := l.ux + l.uy*float64(l.length)/2
		from, to := s.segment(l.Reference, l.length)
		if float64(len(within(s.a, from, to)))*s.rateB()*2*half > float64(most) {
			continue
		}
		if points, stride := s.collect(l.Line, l.length, half, 2*most); stride == 1 {
			return points, true
		}
	}
	return nil, false
}

// rateB is how many tags per ps B has on average.
func (s *searcher) rateB() float64 {
	return float64(len(s.b)) / float64(s.b[len(s.b)-1]-s.b[0])
}

// point is a pair of tags: when it was on A's scale, from the line's
// Reference, and by how much its difference is off the line. Both in ps.
type point struct{ t, d float64 }

const (
	partOfA = 1 << 15 // tags of A that one part of a collection looks at
	chunkB  = 1 << 11 // tags of B that are corrected at a time: they stay in a core's own memory
)

// collect lists the pairs off the line by at most half, in the segment of the
// given length about its Reference. When there would be more than most, only
// every second, fourth, ... tag of A is used; stride says which.
func (s *searcher) collect(c correlate.Line, length int64, half float64, most int) (points []point, stride int) {
	from, to := s.segment(c.Reference, length)
	points, stride = s.collectIn(from, to+1, c, half, most)
	for i := range points {
		points[i].t += float64(int64(from - c.Reference))
	}
	return points, stride
}

// fixer carries times of B's clock to A's: a line or several.
type fixer interface {
	Apply(t uint64) uint64
	ApplyAll(dst, tags []uint64) []uint64
}

// collectIn is collect for A's tags in [from, to); the points' times count from
// the first of these.
func (s *searcher) collectIn(from, to uint64, c fixer, half float64, most int) (points []point, stride int) {
	a := within(s.a, from, to)
	if len(a) == 0 {
		return nil, 1
	}
	chance := float64(len(a)) * s.rateB() * 2 * half
	for stride = 1; chance > float64(stride)*float64(most); {
		stride *= 2
	}
	for ; ; stride *= 2 {
		if points, complete := collectEach(from, a, s.b, c, int64(half), stride, most); complete {
			return points, stride
		}
	}
}

// collectEach lists the pairs of every stride-th tag of A; complete is false
// when there are more than most.
func collectEach(zero uint64, a, b []uint64, c fixer, half int64, stride, most int) (all []point, complete bool) {
	size := max(1, partOfA/stride) * stride
	parts := make([][]point, (len(a)+size-1)/size)
	correlate.Each(len(parts), func(i int) {
		parts[i] = collectPart(zero, a[i*size:min(len(a), (i+1)*size)], b, c, half, stride, most)
	})
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n > most {
		return nil, false
	}
	if len(parts) == 1 {
		return parts[0], true
	}
	all = make([]point, 0, n)
	for _, p := range parts {
		all = append(all, p...)
	}
	return all, true
}

// collectPart walks through a and b side by side; it ends early once there are
// more than most pairs.
func collectPart(zero uint64, a, b []uint64, c fixer, half int64, stride, most int) (points []point) {
	b = b[search(len(b), func(i int) bool { return int64(c.Apply(b[i])-a[0]) >= -half }):]
	fixed := make([]uint64, 0, 2*chunkB)
	for i := 0; i < len(a) && len(points) <= most; {
		for len(b) > 0 && (len(fixed) == 0 || int64(fixed[len(fixed)-1]-a[i]) <= half) {
			n := min(chunkB, len(b))
			fixed, b = c.ApplyAll(fixed, b[:n]), b[n:]
		}
		ready := len(a) // tags of A that have their whole window
		if len(b) > 0 {
			last := fixed[len(fixed)-1]
			ready = i + 1 + search(len(a)-i-1, func(k int) bool { return int64(last-a[i+1+k]) <= half })
		}
		var done int
		points, done = window(points, zero, a[i:ready], fixed, half, stride, most)
		fixed = fixed[:copy(fixed, fixed[done:])]
		i += (ready - i + stride - 1) / stride * stride
	}
	return points
}

// window lists the pairs of every stride-th tag of a and returns how many tags
// of b lie before what may follow. Most tags are passed without a branch that
// a processor could guess wrong.
func window(points []point, zero uint64, a, b []uint64, half int64, stride, most int) ([]point, int) {
	i, k, width := 0, 0, uint64(2*half)
	for i < len(a) && k < len(b) && len(points) <= most {
		d := b[k] - (a[i] - uint64(half))
		if d > width {
			behind := int(d >> 63)
			k += behind
			i += (1 - behind) * stride
			continue
		}
		for j := k; j < len(b); j++ {
			d := int64(b[j] - a[i])
			if d > half {
				break
			}
			points = append(points, point{float64(int64(a[i] - zero)), float64(d)})
		}
		i += stride
	}
	return points, k
}
