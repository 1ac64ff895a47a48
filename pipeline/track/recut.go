package track

import (
	"math"
	"slices"

	"tsrun/pipeline/scatter"
)

// strip is the pairs about the clock, whatever slices they were found in, so
// that finer slices need not look through the records again.
type strip struct {
	points []point
	peak   normal  // of all of them about the path: width and share
	half   float64 // ps about the path that are used
	rate   float64 // pairs per second, while there are any

	room []float64 // for residuals
}

const (
	fewestInSlice = 15      // pairs of the finest slices, on average
	shortSlices   = 64      // of a short record, if each has
	shortPairs    = 20      // pairs
	mostSlices    = 1 << 17 // of a record, however long
	reach         = 5.5     // standard deviations about the path
	noChance      = 5.0     // log likelihood of a slice's points beyond what chance gives
	mostFitted    = 1 << 16 // points that are enough for the width of all
)

func newStrip(found []slice, grid scatter.Grid) *strip {
	n := 0
	widths := make([]float64, len(found))
	for i := range found {
		n += len(found[i].points)
		widths[i] = found[i].sigma
	}
	s := &strip{points: make([]point, 0, n)}
	for i := range found {
		s.points = append(s.points, found[i].points...)
		found[i].points = nil
	}
	slices.Sort(widths)
	s.peak = normal{sigma: widths[len(widths)/2], share: 0.9, grid: grid}
	s.half = grid.Reach(s.peak.sigma, reach)
	return s
}

// walker goes along a path in order of time, straight from knot to knot.
type walker struct {
	*path
	i, leap int
}

// at returns the phase at a time that is not before the one asked for last.
func (w *walker) at(time int64) float64 {
	for w.i < len(w.slices) && w.slices[w.i].at < time {
		w.i++
	}
	for w.leap < len(w.leaps) && w.leaps[w.leap].before < w.i {
		w.leap++
	}
	t := float64(time) / second
	from := func(k int) float64 { return w.all[k].x + w.all[k].y*(t-w.slices[k].t) }
	switch {
	case w.i == 0:
		return from(0)
	case w.i == len(w.slices):
		return from(w.i - 1)
	case w.leap < len(w.leaps) && w.leaps[w.leap].before == w.i:
		if time < w.leaps[w.leap].at {
			return from(w.i - 1)
		}
		return from(w.i)
	}
	left, right := &w.slices[w.i-1], &w.slices[w.i]
	part := (t - left.t) / (right.t - left.t)
	return w.all[w.i-1].x*(1-part) + w.all[w.i].x*part
}

// residuals returns how far each point is off the path. They hold until the next call.
func (s *strip) residuals(p *path) []float64 {
	w := walker{path: p}
	if cap(s.room) < len(s.points) { // others may have come since the last call
		s.room = make([]float64, len(s.points))
	}
	r := s.room[:len(s.points)]
	for i, q := range s.points {
		r[i] = q.d - w.at(q.at)
	}
	return r
}

// fitPeak finds the width of all pairs about the path and their share. Of many
// points an even part is enough.
func (s *strip) fitPeak(r []float64) {
	stride := len(r)/mostFitted + 1
	sample := make([]float64, 0, len(r)/stride+1)
	for i := 0; i < len(r); i += stride {
		if math.Abs(r[i]) <= s.half {
			sample = append(sample, r[i])
		}
	}
	peak := s.peak
	peak.broad = 0
	if g, ok := peak.fit(sample, s.half, false); ok {
		g.mu, g.broad = 0, g.told/g.v
		if !g.grid.Coarse(g.sigma) {
			g.broad = max(g.broad, 1)
		}
		s.peak = g
	}
}

// odd is which part of the pairs, of which an even part is enough, lie elsewhere
// than a normal peak has them.
func (s *strip) odd(r []float64) float64 {
	stride := len(r)/mostFitted + 1
	sample := make([]float64, 0, len(r)/stride+1)
	within := 0.0
	for i := 0; i < len(r); i += stride {
		sample = append(sample, r[i])
		if math.Abs(r[i]) <= s.half {
			within++
		}
	}
	part, odd := s.peak.grid.Odd(sample, s.peak.sigma, within*(1-s.peak.share)/(2*s.half))
	if !odd {
		return 0
	}
	return part
}

// cut measures the pairs about the path again, in slices of the given length,
// no slice across a leap. It returns the new path, not yet smoothed.
func (s *strip) cut(p *path, r []float64, length int64) *path {
	c := cutter{strip: s, path: p, length: length, fresh: &path{noise: p.noise}}
	for i, q := range s.points {
		if math.Abs(r[i]) <= s.half {
			c.add(q, r[i])
		}
	}
	c.close()
	c.fresh.leaps = slices.DeleteFunc(c.fresh.leaps, func(l leap) bool { return l.before >= len(c.fresh.slices) })
	return c.fresh
}

// cutter collects points of one slice after the other.
type cutter struct {
	*strip
	path   *path
	length int64
	fresh  *path
	leap   int // next one of the path
	times  []int64
	r      []float64
	d      []float64
	end    int64
}

func (c *cutter) add(q point, r float64) {
	crossed := c.leap < len(c.path.leaps) && q.at >= c.path.leaps[c.leap].at
	if crossed || (len(c.r) > 0 && q.at >= c.end && (float64(len(c.r))*c.peak.share >= leastPairs || q.at >= c.end+4*c.length)) {
		c.close()
	}
	for ; c.leap < len(c.path.leaps) && q.at >= c.path.leaps[c.leap].at; c.leap++ {
		l := c.path.leaps[c.leap]
		if n := len(c.fresh.slices); n > 0 && (len(c.fresh.leaps) == 0 || c.fresh.leaps[len(c.fresh.leaps)-1].before < n) {
			l.before = n
			c.fresh.leaps = append(c.fresh.leaps, l)
		}
	}
	if len(c.r) == 0 {
		c.end = floor(q.at, c.length) + c.length
	}
	for q.at >= c.end {
		c.end += c.length
	}
	c.times, c.r, c.d = append(c.times, q.at), append(c.r, r), append(c.d, q.d)
}

// close measures the collected points; too few are left out.
func (c *cutter) close() {
	defer func() { c.times, c.r, c.d = c.times[:0], c.r[:0], c.d[:0] }()
	g := c.peak
	g.mu = 0
	if float64(len(c.r))*g.share < leastPairs {
		return
	}
	first, last := c.times[0], c.times[len(c.times)-1]
	from := floor(first, c.length)
	chance := c.rate * (1 - g.share) / g.share * float64(c.end-from) / second
	g, ok := g.fit(c.r, c.half, true)
	if !ok || g.n < leastPairs/2 || surprise(float64(len(c.r)), chance) < noChance {
		return
	}
	// The mean of what is measured at the mean of its times: the path it was
	// measured about may bend within.
	var weight, time, base float64
	for i, r := range c.r {
		if math.Abs(r-g.mu) < 3*g.sigma {
			weight++
			time += float64(c.times[i] - first)
			base += c.d[i] - r
		}
	}
	if weight == 0 {
		return
	}
	at := first + int64(time/weight)
	span := max(float64(last-first)*weight/max(weight-1, 1), 1) / second
	c.fresh.slices = append(c.fresh.slices, slice{
		from: from, to: c.end, at: at, t: float64(at) / second, length: span,
		x: base/weight + g.mu, v: g.v, n: g.n, sigma: g.sigma,
	})
}

// bestLength is how long slices should be: shorter ones are too few pairs for
// a clock that walks so little, longer ones hide how it walks. Never so short
// that there are too few pairs to find the middle of. Those of a short record are
// finer, because a dozen hardly show noise.
func (s *strip) bestLength(q noise, longest, record int64) int64 {
	if l := float64(record) / second; l > brief && l < short {
		longest = min(longest, max(record/shortSlices, int64(shortPairs/s.rate*second)))
	}
	sigma, length := s.peak.sigma, float64(longest)/second
	if q.qx > 0 {
		length = min(length, 0.7*sigma/math.Sqrt(s.rate*q.qx))
	}
	if q.qy > 0 {
		length = min(length, 0.7*math.Pow(sigma*sigma/(s.rate*q.qy), 0.25))
	}
	length = max(length, fewestInSlice/s.rate)
	return min(longest, max(int64(length*second), record/mostSlices, 1000))
}
