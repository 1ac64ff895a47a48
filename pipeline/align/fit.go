package align

import (
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/scatter"
)

// fit is a straight line through points scattered about it, over a flat
// background. The line is where the weighted residuals balance,
//
//	sum of w(r)*r = 0 = sum of w(r)*r*t        r = d - x - y*t
//
// For a normal peak the weight w is the probability of a point to belong to it,
// as in expectation maximisation (Dempster, Laird, Rubin 1977), so that without
// background the deviation is the Cramér-Rao bound, sigma/sqrt(n) for x; what
// package scatter says of its least background keeps the line where it is
// whatever the background. A peak that the steps of the tags shape is weighed by
// a window. The covariance is that of such an estimate (Huber 1967), whatever
// the shape of the peak.
type fit struct {
	x, y, sigma float64
	share       float64 // of the points that belong to the line
	n           float64 // points that belong to the line
	vx, vy, cxy float64 // covariance of x and y
	density     float64 // points of the background per ps of d
	length      float64 // scale of t
	common      float64 // ps, of an error of all x alike that the covariance holds too
	grid        scatter.Grid
}

const (
	fewSquares    = 32.0 // pairs, whose squares tell a covariance to a quarter
	maxRounds     = 200
	reachOfNormal = 7 // standard deviations beyond which a normal weighs nothing
)

// sums are weighted moments of residuals about the current line, with t in
// units of the length.
type sums struct{ n, t, tt, r, rt, rr float64 }

func (s *sums) add(o sums) {
	s.n += o.n
	s.t += o.t
	s.tt += o.tt
	s.r += o.r
	s.rt += o.rt
	s.rr += o.rr
}

// step returns the shift of the line that the moments ask for.
func (s sums) step() (dx, dy float64) {
	if det := s.n*s.tt - s.t*s.t; det > 1e-9*s.n*s.n {
		return (s.tt*s.r - s.t*s.rt) / det, (s.n*s.rt - s.t*s.r) / det
	}
	return s.r / s.n, 0
}

// fitLine fits points with |d| <= half, beginning with the line x = y = 0 and
// the given sigma. With flat set the slope stays 0. ok is false when too few points belong to the line.
func fitLine(points []point, half, sigma, length float64, flat bool, grid scatter.Grid) (f fit, ok bool) {
	const most = 1 << 14 // points that bring the fit near to where all of them do
	f = fit{sigma: max(sigma, grid.Floor()), share: 0.5, length: length, grid: grid}
	if len(points) > 2*most {
		f.climb(sample(points, most), half, flat)
	}
	if !f.climb(points, half, flat) {
		return f, false
	}
	return f, f.spread(points, half, flat)
}

// climb takes steps until they change nothing. It is false where too few points
// belong to the line.
func (f *fit) climb(points []point, half float64, flat bool) bool {
	for range maxRounds {
		w := f.weigher(half)
		s, _ := f.moments(points, w)
		if s.n < 4 {
			return false
		}
		dx, dy := s.step()
		if flat {
			dx, dy = s.r/s.n, 0
		}
		var variance float64
		f.n, variance = w.Peak(s.n, s.rr-dx*s.r-dy*s.rt, float64(len(points)), half)
		if f.n < 4 {
			return false
		}
		f.x, f.y = f.x+dx, f.y+dy
		before := f.sigma
		f.sigma = math.Sqrt(max(variance, f.grid.Floor()*f.grid.Floor()))
		share := min(f.n/float64(len(points)), 1-1e-9)
		settled := math.Abs(share-f.share) < 1e-6 && math.Abs(f.sigma-before) < 1e-4*f.sigma &&
			math.Abs(dx)+math.Abs(dy) < 1e-3*f.sigma/math.Sqrt(s.n)
		f.share = share
		if settled {
			break
		}
	}
	f.density = (float64(len(points)) - f.n) / (2 * half)
	return true
}

// weigher is what weighs the points of one round.
type weigher struct{ scatter.Weigher }

func (f *fit) weigher(half float64) weigher {
	return weigher{f.grid.Weigher(f.sigma, f.share, half)}
}

// at returns the weight of a residual and by how much weight*r grows with r.
func (w *weigher) at(r float64) (weight, growth float64) {
	if w.Coarse {
		weight = w.Window.At(r)
		return weight, weight // on average: its slopes balance
	}
	z := r / w.Sigma
	if z > reachOfNormal || z < -reachOfNormal {
		return 0, 0
	}
	e := w.Height * math.Exp(-z*z/2)
	weight = e / (e + w.Flat)
	return weight, weight - weight*(1-weight)*z*z
}

// moments weighs each point. Beside the sums of the weights it returns those of
// their growths (n, t, tt) and of the squares of what is balanced (r, rt, rr:
// by 1, t and t*t).
func (f *fit) moments(points []point, w weigher) (s sums, info sums) {
	const part = 1 << 13 // of fixed size, so that sums are the same on any number of cores
	n := (len(points) + part - 1) / part
	parts := make([][2]sums, n)
	correlate.Each(n, func(i int) {
		parts[i][0], parts[i][1] = f.momentsOf(points[i*part:min(len(points), (i+1)*part)], w)
	})
	for _, p := range parts {
		s.add(p[0])
		info.add(p[1])
	}
	return s, info
}

func (f *fit) momentsOf(points []point, weigh weigher) (s sums, info sums) {
	for _, p := range points {
		t := p.t / f.length
		r := p.d - f.x - f.y*t
		w, growth := weigh.at(r)
		if w == 0 {
			continue
		}
		s.n += w
		s.t += w * t
		s.tt += w * t * t
		s.r += w * r
		s.rt += w * r * t
		s.rr += w * r * r
		info.n += growth
		info.t += growth * t
		info.tt += growth * t * t
		square := w * r * w * r
		info.r += square
		info.rt += square * t
		info.rr += square * t * t
	}
	return s, info
}

// spread fills in the covariance and turns y into ps per ps.
func (f *fit) spread(points []point, half float64, flat bool) bool {
	w := f.weigher(half)
	s, i := f.moments(points, w)
	if w.Coarse { // of the weights only those of pairs tell
		part := f.n / s.n
		i.n, i.t, i.tt = part*i.n, part*i.t, part*i.tt
	}
	step := f.grid.Widest()
	if _, even := w.Window.Even(); w.Coarse && s.rr-f.density*even < fewBeside*step*step {
		// All pairs lie on one step. The light may keep step with the clocks:
		// then the offset may be anywhere about it.
		f.common = f.grid.Floor()
	}
	common := f.common * f.common
	defer func() { f.vx, f.vy = f.vx+common, f.vy+common/(f.length*f.length) }()
	// The squares of few pairs tell hardly what the covariance is: a peak of any
	// shape is taken for a normal one where it seems to tell more.
	few, square := min(1, fewSquares/f.n), f.sigma*f.sigma
	if w.Coarse {
		few = 0
	}
	if flat {
		f.vx = i.r / (i.n * i.n)
		f.vx += few * max(0, square/s.n-f.vx)
		return i.n > 0
	}
	det := i.n*i.tt - i.t*i.t
	if !(det > 0) {
		return false
	}
	// growth^-1 * squares * growth^-1
	a, b, c := i.tt/det, -i.t/det, i.n/det
	f.vx = a*a*i.r + 2*a*b*i.rt + b*b*i.rr
	f.vy = (b*b*i.r + 2*b*c*i.rt + c*c*i.rr) / (f.length * f.length)
	f.cxy = (a*b*i.r + (a*c+b*b)*i.rt + b*c*i.rr) / f.length
	if normal := s.n*s.tt - s.t*s.t; few > 0 && normal > 0 {
		f.vx += few * max(0, square*s.tt/normal-f.vx)
		f.vy += few * max(0, square*s.n/normal/(f.length*f.length)-f.vy)
	}
	f.y /= f.length
	return true
}

// widen lets three deviations hold as often as three of a normal, of pairs so few
// that the width of their peak, which they tell as well as so many parameters, is
// hardly known (Student 1908).
func (f *fit) widen(parameters int) {
	free := max(1, int(f.n)-parameters)
	by := student(free) * student(free) * max(1, f.n/float64(free))
	common := f.common * f.common // is known
	f.vx, f.cxy = common+(f.vx-common)*by, f.cxy*by
	common /= f.length * f.length
	f.vy = common + (f.vy-common)*by
}

// fewBeside is how many pairs must lie beside the step where all others are for
// them to say where within a step the offset is.
const fewBeside = 20

// residuals are how far points are off the fitted line.
func (f fit) residuals(points []point) []float64 {
	r := make([]float64, len(points))
	for i, p := range points {
		r[i] = p.d - f.x - f.y*p.t
	}
	return r
}

// at returns the fitted line and its standard deviation at t.
func (f fit) at(t float64) (x, sd float64) {
	return f.x + f.y*t, math.Sqrt(max(0, f.vx+2*t*f.cxy+t*t*f.vy))
}
