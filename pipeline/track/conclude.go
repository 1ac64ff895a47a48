package track

import (
	"context"
	"math"
)

// conclude smooths the slices of the first pass, cuts the pairs about that path
// into slices of the best length, smooths those, and tells what was found.
func (f *follower) conclude(ctx context.Context, p *path) (*Track, error) {
	s := newStrip(p.slices, f.grid)
	p.estimate()
	p.findLeaps()
	lost := f.tried - len(p.slices)
	f.locateAll(p, s)
	var r []float64
	for range cuts { // more than once only where finer slices show more jumps, or other moments of them
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		r = s.residuals(p)
		s.fitPeak(r)
		s.rate = p.rate()
		record := p.slices[len(p.slices)-1].to - p.slices[0].from
		fine := s.cut(p, r, s.bestLength(p.noise, f.slice, record))
		if len(fine.slices) < leastSlices {
			return nil, ErrLost
		}
		fine.refine(fine.likelihood(fine.noise), 3)
		fine.findLeaps()
		p = fine
		if !f.locateAll(p, s) {
			break
		}
	}
	r = p.rescale(s, f.seed.Syntonized)
	p.doubt()
	t := f.report(p, s, r)
	t.Slices, t.Lost = f.tried, max(lost, 0)
	return t, nil
}

const cuts = 6 // of the pairs into slices, at most

// rescale gives the slices the variances of the pairs' width about the path
// itself: about the one before it they seemed wider, by that one's errors. It
// returns how far the pairs are off the path.
func (p *path) rescale(s *strip, syntonized bool) []float64 {
	before := s.peak.each()
	s.fitPeak(s.residuals(p))
	ratio := s.peak.each() / before
	for i := range p.slices {
		p.slices[i].v *= ratio
	}
	p.refine(p.likelihood(p.noise), 2)
	p.hedge()
	p.smooth()
	p.believe(syntonized)
	return s.residuals(p)
}

// each is what the variance of a mean is for each pair, but for the background.
func (g normal) each() float64 {
	each := g.sigma * g.sigma
	if g.grid.Coarse(g.sigma) {
		each = g.grid.Floor() * g.grid.Floor()
	}
	if g.broad > 0 {
		each *= g.broad
	}
	return each
}

// locateAll places all jumps in time, and says whether one of them had another
// place before.
func (f *follower) locateAll(p *path, s *strip) (moved bool) {
	if len(p.leaps) == 0 {
		return false
	}
	back := p.backward()
	for k := range p.leaps {
		before := p.leaps[k]
		f.locate(p, s, back, k)
		l := &p.leaps[k]
		moved = moved || !before.placed || math.Abs(float64(l.at-before.at)) > l.sd/2
		l.placed = true
	}
	return moved
}

// rate is how many pairs there are per second of the slices.
func (p *path) rate() float64 {
	var n, length float64
	for i := range p.slices {
		n += p.slices[i].n
		length += float64(p.slices[i].to-p.slices[i].from) / second
	}
	return max(n/length, 1e-3)
}

// report says what was found.
func (f *follower) report(p *path, s *strip, r []float64) *Track {
	t := &Track{path: p, frame: f.frame, Noise: p.noise.told(), Steps: f.steps(p), Jitter: s.peak.sigma, Brief: p.lasting() < 1}
	t.Knots = make([]Knot, 0, len(p.slices))
	var length float64
	for i := range p.slices {
		q := &p.slices[i]
		t.Knots = append(t.Knots, f.knot(q.at, p.unsure(q.at, p.all[i]), q.n))
		t.Pairs += q.n
		length += float64(q.to-q.from) / second
	}
	t.Slice = length / float64(len(p.slices))
	within := 0.0
	for _, d := range r {
		if math.Abs(d) <= s.half {
			within++
		}
	}
	t.Accidentals = within * (1 - s.peak.share) * 3 * s.peak.sigma / s.half
	t.odd = s.odd(r)
	t.straighten(p)
	t.Quarters = f.quarters(p, s, r)
	t.Gaps = f.gaps(p, s, r)
	t.Allan = p.allan()
	return t
}

// straighten fits a straight line to all slices, weighted by their variances.
func (t *Track) straighten(p *path) {
	var w, wt, wx float64
	for i := range p.slices {
		q := &p.slices[i]
		w += 1 / q.v
		wt += q.t / q.v
		wx += q.x / q.v
	}
	mean, middle := wt/w, wx/w
	var tt, tx float64
	for i := range p.slices {
		q := &p.slices[i]
		tt += (q.t - mean) * (q.t - mean) / q.v
		tx += (q.t - mean) * (q.x - middle) / q.v
	}
	slope := tx / tt
	for i := range p.slices {
		q := &p.slices[i]
		d := q.x - middle - slope*(q.t-mean)
		t.ChiSquare += d * d / q.v
	}
	t.Freedom = len(p.slices) - 2
	at := int64(mean * second)
	t.Straight = t.knot(at, state{x: middle + slope*(float64(at)/second-mean), y: slope, xx: 1 / w, yy: 1 / tt}, t.Pairs)
}

// quarters looks at the corrected record in four parts.
func (f *follower) quarters(p *path, s *strip, r []float64) []Part {
	first, last := p.slices[0].from, p.slices[len(p.slices)-1].to
	parts := make([]Part, 0, 4)
	part := make([]float64, 0, len(r)) // one after another
	k := 0
	for i := range int64(4) {
		from, to := first+(last-first)/4*i, first+(last-first)/4*(i+1)
		part = part[:0]
		for ; k < len(r) && s.points[k].at < to; k++ {
			if math.Abs(r[k]) <= s.half {
				part = append(part, r[k])
			}
		}
		q := Part{From: f.recordedBy(from), To: f.recordedBy(to)}
		if g, ok := s.peak.fit(part, s.half, false); ok {
			q.Centre, q.CentreSD, q.Width, q.Pairs = g.mu, math.Sqrt(g.v), g.sigma, g.n
		}
		parts = append(parts, q)
	}
	return parts
}

// recordedBy is a time on A's scale, or the nearest that A's record has: slices
// of time begin before it and end after it.
func (f *follower) recordedBy(at int64) uint64 {
	at = min(max(at, f.since(f.a[0])), f.since(f.a[len(f.a)-1]))
	return f.line.Reference + uint64(at)
}

const gapSlices = 3 // without pairs are a gap

// gaps lists the stretches without pairs, between the slices and at the ends.
func (f *follower) gaps(p *path, s *strip, r []float64) []Gap {
	gaps, last := f.endGaps(p, s, r)
	for i := 1; i < len(p.slices); i++ {
		from, to := p.slices[i-1].to, p.slices[i].from
		if to-from >= gapSlices*f.slice {
			gaps = append(gaps, Gap{From: f.recordedBy(from), To: f.recordedBy(to)})
		}
	}
	return append(gaps, last...)
}

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
