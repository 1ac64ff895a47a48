package track

import "math"

const (
	missedAtEnd = 40.0 // pairs, expected at an end of the record, without which the clock is not known there
	strayAtEnd  = 3.0  // pairs that chance may put there beyond what is expected of it
)

// endGaps are the stretches at the ends of the time both recorded in which
// there are no pairs about the path: the source was dark, or the clock jumped
// so late that too few pairs tell by how much.
func (f *follower) endGaps(p *path, s *strip, r []float64) (first, last []Gap) {
	begin, end := f.both(p)
	n := len(r)
	if at, found := s.silence(r, end, func(i int) int { return n - 1 - i }); found {
		last = []Gap{{From: f.recordedBy(at), To: f.recordedBy(end)}}
	}
	if at, found := s.silence(r, begin, func(i int) int { return i }); found {
		first = []Gap{{From: f.recordedBy(begin), To: f.recordedBy(at)}}
	}
	return first, last
}

// both is the time in which both recorded, in ps of A's since Reference, as
// the path has it at its ends.
func (f *follower) both(p *path) (begin, end int64) {
	n := len(p.slices)
	ofB := func(tag uint64, i int) int64 { return f.since(f.line.Apply(tag)) - int64(p.all[i].x) }
	begin = max(f.since(f.a[0]), ofB(f.b[0], 0))
	end = min(f.since(f.a[len(f.a)-1]), ofB(f.b[len(f.b)-1], n-1))
	return begin, end
}

// silence goes from an end of the record inwards, point by point in the given
// order, and returns how far there are no more of them about the path than
// chance puts there, if pairs are missing.
func (s *strip) silence(r []float64, end int64, order func(int) int) (at int64, found bool) {
	near := 3 * s.peak.sigma
	chance := s.rate * (1 - s.peak.share) / s.peak.share * near / s.half // per second
	seen := 0.0
	for i := range r {
		k := order(i)
		if math.Abs(r[k]) > near {
			continue
		}
		length := math.Abs(float64(s.points[k].at-end)) / second
		stray := chance * length
		if seen > stray+strayAtEnd+3*math.Sqrt(stray) {
			break
		}
		if s.rate*length > missedAtEnd+2*stray {
			at, found = s.points[k].at, true
		}
		seen++
	}
	return at, found
}
