package align

import (
	"fmt"
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
)

const (
	maxFitPoints = 1 << 22                  // pairs that are fitted; of more, an even part is taken
	fitReach     = 20.0                     // standard deviations of jitter about the line that are fitted
	sureties     = 5.0                      // standard deviations that count as certain
	wander       = 5e-11                    // slope a quiet clock may change by between segments
	seedPairs    = 400                      // pairs on a line from which the clock can be followed
	broader      = 1.3                      // than before, by which pairs beside a line show that the clock leaves it
	seedLength   = int64(2_000_000_000_000) // ps: longer segments are for following, not for a line
)

// recentred returns the same line with its Reference elsewhere.
func (l line) recentred(reference uint64) line {
	l.ux += l.uy * math.Abs(float64(int64(reference-l.Reference)))
	l.Line = correlate.Line{Reference: reference, Offset: l.OffsetAt(reference), Frequency: l.Frequency}
	return l
}

// extend fits a line to a segment that grows four times as long each time, so
// that the line is never carried further than it is known, until it has enough
// pairs to follow the clock from, or to the whole record.
func (s *searcher) extend(l line, whole bool) (line, error) {
	if err := s.overlap(l.Line); err != nil {
		return l, err
	}
	if l.bin > 2*maxJitter {
		return l, tooBroad(l.bin)
	}
	all := int64(s.to - s.from)
	l.sigma = l.bin
	most := 0.0 // ps: width of a peak that still may be the one before
	for length, first := min(l.length, all), true; ; length, first = min(4*length, all), false {
		next, f, ok := s.fitted(l, length)
		if !ok && (first || whole) {
			return l, &Refusal{Code: "not-straight",
				Reason: fmt.Sprintf("the pairs of %.3g s are on a line that is lost within %.3g s", float64(length)/4e12, float64(length)/1e12),
				Hint:   "the clocks wander or step; align shorter parts of the record"}
		}
		if !ok || !first && !whole && next.sigma > most {
			return l, nil // the clock leaves the line: what is known is followed from here
		}
		l, most = next, broader*next.sigma*widest(f.n)
		if length == all || !whole && (f.n >= seedPairs || length >= seedLength) {
			return l, nil
		}
	}
}

// widest is how many times as wide as its n pairs showed it a peak may be, by three
// standard deviations: of ten pairs on a line four times, of a thousand hardly more.
func widest(n float64) float64 {
	free := max(1, n-2)
	part := 2 / (9 * free)
	edge := max(0.3, 1-part-3*math.Sqrt(part)) // Wilson and Hilferty 1931
	return math.Sqrt(n / free / (edge * edge * edge))
}

// fitted returns the line that pairs of a segment of the given length are on.
func (s *searcher) fitted(l line, length int64) (line, fit, bool) {
	from, to := s.segment(l.Reference, length)
	l = l.recentred(from + (to-from)/2)
	l.length = length
	reach := max(s.grid.Reach(l.sigma, fitReach/2), 4000)
	half := reach + l.ux + (l.uy+wander)*float64(length)/2
	points, stride := s.collect(l.Line, length, half, maxFitPoints)
	if half > max(fitReach*l.sigma, 1.5*reach) {
		points = s.narrow(&l, points, reach)
		half = reach + l.ux
	}
	f, ok := fitLine(points, half, 1.5*l.sigma, float64(length)/2, false, s.grid)
	if !ok {
		return l, f, false
	}
	l.Line = moved(l.Line, f.x, f.y)
	l.sigma = f.sigma
	l.ux, l.uy = 1+sureties*math.Sqrt(f.vx), 1e-15+sureties*math.Sqrt(f.vy)
	l.rate = f.n * float64(stride) / float64(length) * 1e12
	return l, f, true
}

// seed is what following the clock begins with.
func (s *searcher) seed(l line) track.Seed {
	return track.Seed{Line: l.Line, OffsetSD: l.ux / sureties, FrequencySD: l.uy / sureties, Jitter: l.sigma, PairRate: l.rate, Grid: s.grid, Syntonized: s.syntonized()}
}

// tooBroad refuses a peak that is no peak of pairs.
func tooBroad(width float64) error {
	return &Refusal{Code: "too-broad",
		Reason: fmt.Sprintf("the light of A and B varies together, but within %.3g ns: no peak of pairs", width/1e3),
		Hint:   "check that the source makes pairs and that its light does not flicker"}
}

// narrow finds by counting where on a wide strip the line is, moves it there,
// and returns the points about it.
func (s *searcher) narrow(l *line, points []point, reach float64) []point {
	length := float64(l.length)
	bin := s.grid.Bin(houghBin(l.ux, l.uy+wander, length, 2*l.sigma))
	p := hough(sample(points, maxPoints/4), l.ux, l.uy+wander, length, bin)
	l.Line = moved(l.Line, p.x, p.y)
	l.ux, l.uy = 2*bin, 4*bin/length
	half := reach + l.ux
	var near []point
	for _, q := range points {
		if d := q.d - p.x - p.y*q.t; math.Abs(d) <= half {
			near = append(near, point{q.t, d})
		}
	}
	return near
}

// sample returns every n-th point, so many that about most remain.
func sample(points []point, most int) []point {
	stride := len(points)/most + 1
	if stride == 1 {
		return points
	}
	kept := make([]point, 0, most+1)
	for i := 0; i < len(points); i += stride {
		kept = append(kept, points[i])
	}
	return kept
}

// overlap sets the limits of the search to the time that both recorded.
func (s *searcher) overlap(c fixer) error {
	zero := s.a[0]
	began, ended := int64(c.Apply(s.b[0])-zero), int64(c.Apply(s.b[len(s.b)-1])-zero)
	from, to := max(0, began), min(int64(s.a[len(s.a)-1]-zero), ended)
	if to-from < minOverlap {
		return &Refusal{Code: "no-overlap",
			Reason: fmt.Sprintf("with this offset the records have only %.3g ms in common", float64(max(to-from, 0))/1e9),
			Hint:   "they need 10 ms; measure longer, or start both nodes together"}
	}
	s.from, s.to = zero+uint64(from), zero+uint64(to)
	return nil
}
