package slave

import (
	"math"
	"slices"
	"time"

	"tsrun/pipeline/fact"
)

// A compensation follows what the newest starts took. A PC that is busy makes a start take
// longer and none quicker, so what they took is a line that the latency walks along, with
// noise about it and outliers above it. No start counts that is far from the line near which most are.
const (
	// So many starts are looked at,
	followed = 20
	// and so many must be near the line: one alone may have been held up.
	followedLeast = 2
	// Near it is what differs from it by chance, as a PC at work does.
	near = 60 * time.Microsecond
	// The line goes up and down by so much at most from each start to the next, in steps of this.
	steepest  = 16 * time.Microsecond
	steepness = 4 * time.Microsecond
	// A line that begins so much earlier than another is believed where so much as this
	// part of what speaks for that speaks for it.
	apart       = 2 * near
	quickerPart = 0.6
	// Each start says so much less than the one after it of which line it is, and of where it goes.
	memory     = 0.92
	lineMemory = 0.85
	// A slope is believed by how much its square is above this times its variance.
	surely = 3
	// The compensation moves by so much at most.
	followedMost = 100 * time.Microsecond
)

// learn takes from a shot how long the start took. Only the answer of a device that
// answers once it has begun tells it.
func (e *early) learn(s fact.Shot) {
	if e.back == nil || s.Returned < s.Called {
		return
	}
	e.took = append(e.took, min(max(0, s.Returned-*e.back-s.Called), mostEarly))
	e.took = e.took[max(0, len(e.took)-followed):]
}

// follow returns how much earlier the controller is fired in the next shot.
func (e early) follow() early {
	expected, ok := expect(e.took)
	if !ok {
		return e
	}
	most := followedMost.Nanoseconds()
	e.UsedNs = min(max(e.UsedNs+min(max(expected-e.UsedNs, -most), most), -mostEarly), mostEarly)
	e.took = slices.Clone(e.took)
	return e
}

// expect says what the next start takes from what those before it took, the newest last, in ns;
// ok is false where too few of them agree.
func expect(took []int64) (ns int64, ok bool) {
	points := make([]point, len(took))
	for i, t := range took {
		age := float64(len(took) - i)
		points[i] = point{-age, float64(t), math.Pow(memory, age)}
	}
	best := supported(points, line{at: math.Inf(1)}, 0)
	for quicker := best; quicker.support > 0; quicker = supported(points, best, quickerPart*best.support) {
		best = quicker
	}
	points = slices.DeleteFunc(points, func(p point) bool { return math.Abs(best.off(p)) >= float64(near) })
	if best.support == 0 || len(points) < followedLeast {
		return 0, false
	}
	for i, p := range points {
		points[i].weight = math.Pow(lineMemory, -p.x)
	}
	return max(0, int64(math.Round(extrapolate(points)))), true
}

// point is what a start took, by its number; the next one's is 0.
type point struct{ x, y, weight float64 }

// line goes by at at 0.
type line struct{ at, slope, support float64 }

func (l line) off(p point) float64 { return p.y - l.at - l.slope*p.x }

// supported returns the line near which most points are, of those that are far below another one
// and for which at least so much speaks; without support: none.
func supported(points []point, below line, least float64) (best line) {
	for _, p := range points {
		for slope := -steepest; slope <= steepest; slope += steepness {
			l := line{at: p.y - float64(slope)*p.x, slope: float64(slope)}
			if l.at > below.at-float64(apart) {
				continue
			}
			count := 0
			for _, q := range points {
				if part := l.off(q) / float64(near); part > -1 && part < 1 {
					l.support += q.weight * (1 - part*part)
					count++
				}
			}
			if count >= followedLeast && l.support >= least && l.support > best.support {
				best = l
			}
		}
	}
	return best
}

// extrapolate returns where the line through points is at 0. Of its slope it takes the less the
// more of it the noise of the points may be.
func extrapolate(points []point) float64 {
	var w, x, y float64
	for _, p := range points {
		w, x, y = w+p.weight, x+p.weight*p.x, y+p.weight*p.y
	}
	x, y = x/w, y/w
	var xx, xy, left, noise float64
	for _, p := range points {
		xx, xy = xx+p.weight*(p.x-x)*(p.x-x), xy+p.weight*(p.x-x)*(p.y-y)
	}
	if len(points) < 4 || xx == 0 {
		return y
	}
	slope := xy / xx
	for _, p := range points {
		off := p.y - y - slope*(p.x-x)
		left, noise = left+p.weight*off*off, noise+p.weight*p.weight*(p.x-x)*(p.x-x)
	}
	doubt := surely * left / w * float64(len(points)) / float64(len(points)-2) * noise / (xx * xx)
	if slope*slope <= doubt {
		return y
	}
	return y - slope*(1-doubt/(slope*slope))*x
}
