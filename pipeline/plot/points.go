package plot

import (
	"cmp"
	"math"
)

// MaxPoints is how many points of a curve are drawn at most.
const MaxPoints = 2000

// Point is one of a curve. A Y that is no number is a gap of the curve.
type Point struct {
	X, Y float64
	SD   float64 // of Y; 0 or no number: none
}

// known says whether a number can be drawn.
func known(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Reducer keeps at most [MaxPoints] of any number of points: of each stretch of them
// the lowest and the highest, so that nothing that sticks out is lost.
type Reducer struct {
	most    int // of them; 0 stands for MaxPoints
	each    int // points of a stretch; 0 stands for 1
	in      int // points in the last stretch
	buckets []bucket
}

// bucket is a stretch of points.
type bucket struct {
	low, high Point
	lowFirst  bool
	gap       bool // it holds points that are no numbers, and no others
}

// Add takes the next point. One without a place is left out.
func (r *Reducer) Add(p Point) {
	if !known(p.X) {
		return
	}
	r.each = max(r.each, 1)
	if len(r.buckets) == 0 || r.in == r.each {
		if len(r.buckets) >= max(1, cmp.Or(r.most, MaxPoints)/4)*2 {
			r.halve()
		}
		r.buckets, r.in = append(r.buckets, bucketOf(p)), 1
		return
	}
	last := &r.buckets[len(r.buckets)-1]
	*last = last.and(bucketOf(p))
	r.in++
}

func bucketOf(p Point) bucket { return bucket{p, p, true, !known(p.Y)} }

// and is two stretches as one.
func (b bucket) and(later bucket) bucket {
	switch {
	case b.gap:
		return later
	case later.gap:
		return b
	}
	both := b
	if later.low.Y < b.low.Y {
		both.low, both.lowFirst = later.low, false
	}
	if later.high.Y > b.high.Y {
		both.high, both.lowFirst = later.high, true
	}
	if later.low.Y < b.low.Y && later.high.Y > b.high.Y {
		both.lowFirst = later.lowFirst
	}
	return both
}

// halve makes one stretch of each two.
func (r *Reducer) halve() {
	for i := range len(r.buckets) / 2 {
		r.buckets[i] = r.buckets[2*i].and(r.buckets[2*i+1])
	}
	r.buckets = r.buckets[:len(r.buckets)/2]
	r.each *= 2
	r.in = r.each
}

// Points are what is kept, in order.
func (r *Reducer) Points() (points []Point) {
	for _, b := range r.buckets {
		first, second := b.low, b.high
		if !b.lowFirst {
			first, second = second, first
		}
		points = append(points, first)
		if second.X != first.X {
			points = append(points, second)
		}
	}
	return points
}

// reduced are at most so many of points.
func reduced(points []Point, most int) []Point {
	r := Reducer{most: most}
	for _, p := range points {
		r.Add(p)
	}
	return r.Points()
}
