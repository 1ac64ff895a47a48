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
	each(len(parts), func(i int) {
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
	k := 0 // fixed[:k] lie before the window
	for i := 0; i < len(a) && len(points) <= most; i += stride {
		t := a[i]
		for k < len(fixed) && int64(fixed[k]-t) < -half {
			k++
		}
		for len(b) > 0 && (len(fixed) == 0 || int64(fixed[len(fixed)-1]-t) <= half) {
			fixed = fixed[:copy(fixed, fixed[k:])]
			n := min(chunkB, len(b))
			fixed, b = c.ApplyAll(fixed, b[:n]), b[n:]
			for k = 0; k < len(fixed) && int64(fixed[k]-t) < -half; {
				k++
			}
		}
		for j := k; j < len(fixed); j++ {
			d := int64(fixed[j] - t)
			if d > half {
				break
			}
			points = append(points, point{float64(int64(t - zero)), float64(d)})
		}
	}
	return points
}
