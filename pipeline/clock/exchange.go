package clock

import "slices"

// Exchange is one probe and its answer, in ns since 1970: T1 and T4 of this PC's
// clock, T2 and T3 of the other's.
type Exchange struct{ T1, T2, T3, T4 int64 }

// trip is how long the probe and its answer were on the way together, in ns.
func (e Exchange) trip() int64 { return (e.T4 - e.T1) - (e.T3 - e.T2) }

// possible reports whether clocks that run forward can have given these times, and
// whether they are near enough to each other to be worked with.
func (e Exchange) possible() bool {
	const long, far = int64(1e11), int64(1) << 61 // ns: 100 s in one exchange, 73 years between clocks
	for _, t := range []int64{e.T1, e.T2, e.T3, e.T4} {
		if t <= -far || t >= far {
			return false
		}
	}
	return e.T1 <= e.T4 && e.T2 <= e.T3 && e.T4-e.T1 < long && e.T3-e.T2 < long && e.trip() >= 0
}

// point is an exchange relative to the first of a window: t is its middle on this
// PC's clock; low and high bound this clock minus the other's. All are in ns, and
// small enough to be exact.
type point struct{ t, low, high float64 }

func (p point) middle() float64 { return (p.low + p.high) / 2 }
func (p point) trip() float64   { return p.high - p.low }

// pointsOf returns exchanges, ordered in time, relative to a moment and an offset.
func pointsOf(window []Exchange) (points []point, at, offset int64) {
	first := window[0]
	at, offset = first.T1, first.T1-first.T2
	points = make([]point, len(window))
	for i, e := range window {
		points[i] = point{
			t:    float64(e.T1-at)/2 + float64(e.T4-at)/2,
			low:  float64(e.T1 - e.T2 - offset),
			high: float64(e.T4 - e.T3 - offset),
		}
	}
	slices.SortFunc(points, func(a, b point) int {
		switch {
		case a.t < b.t:
			return -1
		case a.t > b.t:
			return 1
		}
		return 0
	})
	return points, at, offset
}
