package clock

import "slices"

// Exchange is one probe and its answer, in ns since 1970: T1 and T4 of this PC's
// clock, T2 and T3 of the other's.
type Exchange struct{ T1, T2, T3, T4 int64 }

// trip is how long the probe and its answer were on the way together, in ns.
func (e Exchange) trip() int64 { return (e.T4 - e.T1) - (e.T3 - e.T2) }

// far is how far from 1970 times are looked at, in ns: to the year 2116, and what lies between two of them is a number.
const far = int64(1) << 62

// possible reports whether clocks that run forward can have given these times, and
// whether they are near enough to each other to be worked with.
func (e Exchange) possible() bool {
	const long = int64(1e11) // ns: 100 s in one exchange
	for _, t := range []int64{e.T1, e.T2, e.T3, e.T4} {
		if t <= -far || t >= far {
			return false
		}
	}
	away, held := e.T4-e.T1, e.T3-e.T2
	return away >= 0 && held >= 0 && away < long && held < long && float64(e.trip()) >= -maxDrift*float64(held)
}

// point is an exchange relative to the first of a window: times are of this PC's clock, from and
// until when it was under way, and t between them. This clock minus the other's is low at least when the
// probe was sent, and high at most when the answer came: not at one moment, and where the other PC holds an
// answer back meanwhile a clock that drifts moves by more than the way took. All are in ns, and
// small enough to be exact.
type point struct{ from, t, until, low, high float64 }

func (p point) middle() float64 { return (p.low + p.high) / 2 }
func (p point) trip() float64   { return p.high - p.low }

// pointsOf returns exchanges, ordered in time, relative to a moment and an offset.
func pointsOf(window []Exchange) (points []point, at, offset int64) {
	first := window[0]
	at, offset = first.T1, first.T1-first.T2
	points = make([]point, len(window))
	for i, e := range window {
		points[i] = point{
			from:  float64(e.T1 - at),
			t:     float64(e.T1-at)/2 + float64(e.T4-at)/2,
			until: float64(e.T4 - at),
			low:   float64(e.T1 - e.T2 - offset),
			high:  float64(e.T4 - e.T3 - offset),
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

// levelled returns points whose bounds are those of the moment t, of a clock that drifts so.
func levelled(points []point, drift float64) []point {
	level := make([]point, len(points))
	for i, p := range points {
		level[i] = point{p.t, p.t, p.t, p.low + drift*(p.t-p.from), p.high - drift*(p.until-p.t)}
	}
	return level
}
