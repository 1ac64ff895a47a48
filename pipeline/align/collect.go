package align

import "tsrun/pipeline/correlate"

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
