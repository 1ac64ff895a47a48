package clock

import (
	"cmp"
	"math"
	"slices"
)

// line is θ(t) = value + drift (t - middle), in ns, between the bounds of points.
type line struct {
	middle, value, drift float64
	margin               float64 // ns to the nearest bound; below 0 no line keeps all bounds
	above, below         []corner
}

func (l line) at(t float64) float64 { return l.value + l.drift*(t-l.middle) }

// fit returns the straight line that keeps the largest distance to the bounds of
// all points, which are in the order of time. Only the corners of the bounds'
// convex hulls can be nearest.
func fit(points []point) line {
	l := line{middle: (points[0].t + points[len(points)-1].t) / 2}
	l.above = corners(points, l.middle, func(p point) corner { return corner{p.until, p.high} }, -1)
	l.below = corners(points, l.middle, func(p point) corner { return corner{p.from, p.low} }, 1)
	l.drift = highest(-maxDrift, maxDrift, func(drift float64) float64 {
		low, high := l.values(drift)
		return high - low
	})
	low, high := l.values(l.drift)
	l.value, l.margin = (low+high)/2, (high-low)/2
	return l
}

// values returns between which values at the middle a line of this drift keeps all bounds.
func (l line) values(drift float64) (low, high float64) {
	low, high = math.Inf(-1), math.Inf(1)
	for _, c := range l.above {
		high = min(high, c.y-drift*c.x)
	}
	for _, c := range l.below {
		low = max(low, c.y-drift*c.x)
	}
	return low, high
}

// limits returns between which values all lines are at t that keep all bounds.
func (l line) limits(t float64) (low, high float64) {
	if l.margin < 0 {
		return math.Inf(-1), math.Inf(1)
	}
	least, most := l.edge(-maxDrift), l.edge(maxDrift)
	reach := t - l.middle
	top := func(drift float64) float64 { _, v := l.values(drift); return v + drift*reach }
	bottom := func(drift float64) float64 { v, _ := l.values(drift); return -v - drift*reach }
	return -bottom(highest(least, most, bottom)), top(highest(least, most, top))
}

// edge returns the drift nearest to far of which a line keeps all bounds.
func (l line) edge(far float64) float64 {
	near := l.drift
	for range 60 {
		half := (near + far) / 2
		if low, high := l.values(half); low <= high {
			near = half
		} else {
			far = half
		}
	}
	return near
}

// highest returns where a concave function is highest between two places.
func highest(from, to float64, f func(float64) float64) float64 {
	for range 120 { // each leaves two thirds: far below what a float64 tells apart
		third := (to - from) / 3
		if f(from+third) < f(to-third) {
			from += third
		} else {
			to -= third
		}
	}
	return (from + to) / 2
}

type corner struct{ x, y float64 }

// corners returns the corners of the hull of a bound, from below (turn -1) or from above (1);
// their times are from the middle.
func corners(points []point, middle float64, bound func(point) corner, turn float64) []corner {
	all := make([]corner, len(points))
	for i, p := range points {
		all[i] = bound(p)
		all[i].x -= middle
	}
	// An answer that was held back comes after the next one's.
	slices.SortStableFunc(all, func(a, b corner) int { return cmp.Compare(a.x, b.x) })
	var hull []corner
	for _, c := range all {
		for len(hull) >= 2 {
			a, b := hull[len(hull)-2], hull[len(hull)-1]
			if turn*((b.x-a.x)*(c.y-a.y)-(b.y-a.y)*(c.x-a.x)) < 0 {
				break
			}
			hull = hull[:len(hull)-1]
		}
		hull = append(hull, c)
	}
	return hull
}
