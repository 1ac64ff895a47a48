package align

import (
	"math"

	"tsrun/pipeline/correlate"
)

// fit is a straight line through points scattered normally about it, over a
// flat background: the maximum of the likelihood of
//
//	share*N(d - x - y*t; sigma) + (1-share)/(2*half)
//
// found by expectation maximisation (Dempster, Laird, Rubin 1977). At the
// maximum the covariance is the inverse of the empirical Fisher information,
// so without background it is the Cramér-Rao bound: sigma/sqrt(n) for x.
type fit struct {
	x, y, sigma float64
	share       float64 // of the points that belong to the line
	n           float64 // points that belong to the line
	vx, vy, cxy float64 // covariance of x and y
	density     float64 // points of the background per ps of d
	length      float64 // scale of t
}

const (
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
func fitLine(points []point, half, sigma, length float64, flat bool) (f fit, ok bool) {
	const most = 1 << 14 // points that bring the fit near to where all of them do
	f = fit{sigma: sigma, share: 0.5, length: length}
	if len(points) > 2*most {
		f.climb(sample(points, most), half, flat)
	}
	if !f.climb(points, half, flat) {
		return f, false
	}
	return f, f.spread(points, half, flat)
}

// climb takes steps of expectation maximisation until they change nothing. It
// is false where too few points belong to the line.
func (f *fit) climb(points []point, half float64, flat bool) bool {
	for range maxRounds {
		s, _ := f.moments(points, half)
		if s.n < 4 {
			return false
		}
		dx, dy := s.step()
		if flat {
			dx, dy = s.r/s.n, 0
		}
		variance := (s.rr - dx*s.r - dy*s.rt) / s.n
		f.x, f.y, f.n = f.x+dx, f.y+dy, s.n
		before := f.sigma
		f.sigma = math.Sqrt(max(variance, 0.25)) // tags are whole ps: less is not seen
		share := min(s.n/float64(len(points)), 1-1e-9)
		settled := math.Abs(share-f.share) < 1e-6 && math.Abs(f.sigma-before) < 1e-4*f.sigma &&
			math.Abs(dx)+math.Abs(dy) < 1e-3*f.sigma/math.Sqrt(s.n)
		f.share = share
		if settled {
			break
		}
	}
	return true
}

// moments weighs each point by the probability that it belongs to the line. It
// also returns the information: sums of the squared score, weight*r/sigma^2.
func (f *fit) moments(points []point, half float64) (s sums, info sums) {
	const part = 1 << 13 // of fixed size, so that sums are the same on any number of cores
	n := (len(points) + part - 1) / part
	parts := make([][2]sums, n)
	correlate.Each(n, func(i int) {
		parts[i][0], parts[i][1] = f.momentsOf(points[i*part:min(len(points), (i+1)*part)], half)
	})
	for _, p := range parts {
		s.add(p[0])
		info.add(p[1])
	}
	return s, info
}

func (f *fit) momentsOf(points []point, half float64) (s sums, info sums) {
	peak := f.share / (f.sigma * math.Sqrt(2*math.Pi))
	flat := (1 - f.share) / (2 * half)
	for _, p := range points {
		t := p.t / f.length
		r := p.d - f.x - f.y*t
		z := r / f.sigma
		if z > reachOfNormal || z < -reachOfNormal {
			continue
		}
		e := peak * math.Exp(-z*z/2)
		w := e / (e + flat)
		s.n += w
		s.t += w * t
		s.tt += w * t * t
		s.r += w * r
		s.rt += w * r * t
		s.rr += w * r * r
		score := w * r / (f.sigma * f.sigma)
		score *= score
		info.n += score
		info.t += score * t
		info.tt += score * t * t
	}
	return s, info
}

// spread fills in the covariance and turns y into ps per ps.
func (f *fit) spread(points []point, half float64, flat bool) bool {
	_, i := f.moments(points, half)
	f.density = float64(len(points)) * (1 - f.share) / (2 * half)
	if flat {
		f.vx = 1 / i.n
		return i.n > 0
	}
	det := i.n*i.tt - i.t*i.t
	if !(det > 0) {
		return false
	}
	f.vx = i.tt / det
	f.vy = i.n / det / (f.length * f.length)
	f.cxy = -i.t / det / f.length
	f.y /= f.length
	return true
}

// at returns the fitted line and its standard deviation at t.
func (f fit) at(t float64) (x, sd float64) {
	return f.x + f.y*t, math.Sqrt(max(0, f.vx+2*t*f.cxy+t*t*f.vy))
}
