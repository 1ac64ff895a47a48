package track

import "math"

// slice is a stretch of A's time and where the pairs in it are.
type slice struct {
	from, to int64   // ps since Reference
	at       int64   // ps since Reference: mean time of the pairs
	t        float64 // s, the same
	length   float64 // s
	x, v     float64 // ps, ps^2: where the pairs are beside the seed's line at that time
	n        float64 // pairs, without chance ones
	sigma    float64 // ps: their width
	share    float64 // of the points about them that are pairs
	points   []point // the pairs and what chance added about them
}

// normal is a normal distribution over a flat background, within plus or minus
// half.
type normal struct {
	mu, sigma, share float64
	n                float64 // points that belong to the peak
	v                float64 // variance of mu
}

const (
	leastPairs    = 8   // of an accepted slice
	convincing    = 9.0 // log likelihood beyond chance
	reachOfNormal = 6   // standard deviations beyond which a normal weighs nothing
	maxRounds     = 30
	settled       = 0.03 // of a standard deviation: a round that changes less is the last
)

// fit finds the most likely normal, by expectation maximisation (Dempster,
// Laird, Rubin 1977), beginning with g. With fixed set only mu is found. The
// variance is the inverse of the observed information (Louis 1982): what the
// background hides of which points belong to the peak makes it larger.
func (g normal) fit(r []float64, half float64, fixed bool) (normal, bool) {
	lowest, highest := g.sigma/3, 3*g.sigma
	for range maxRounds {
		n, s, ss, _ := g.moments(r, half)
		if n < 1 {
			return g, false
		}
		shift := s / n
		g.mu += shift
		g.n = n
		done := math.Abs(shift) < settled*g.sigma/math.Sqrt(n)
		if !fixed {
			before := g.sigma
			g.sigma = min(max(math.Sqrt(max(ss/n-shift*shift, 0.25)), lowest), highest)
			g.share = min(n/float64(len(r)), 1-1e-6)
			done = done && math.Abs(g.sigma-before) < settled/math.Sqrt(n)*before
		}
		if done {
			break
		}
	}
	n, _, _, hidden := g.moments(r, half)
	variance := g.sigma * g.sigma
	info := n/variance - hidden/(variance*variance)
	g.n = n
	if !(info > 0.1*n/variance) {
		return g, false
	}
	g.v = 1 / info
	return g, true
}

// moments weighs each point by the probability that it belongs to the peak:
// sums of weights, of weighted residuals and their squares, and the information
// that is hidden because the weights are not 0 or 1.
func (g normal) moments(r []float64, half float64) (n, s, ss, hidden float64) {
	peak := g.share / (g.sigma * math.Sqrt(2*math.Pi))
	flat := (1 - g.share) / (2 * half)
	scale := bellSteps / (g.sigma * g.sigma)
	for _, v := range r {
		d := v - g.mu
		z := d * d * scale
		if !(z < bellSteps*reachOfNormal*reachOfNormal) {
			continue
		}
		k := int(z)
		e := peak * (bell[k] + (bell[k+1]-bell[k])*(z-float64(k)))
		w := e / (e + flat)
		n += w
		s += w * d
		ss += w * d * d
		hidden += w * (1 - w) * d * d
	}
	return n, s, ss, hidden
}

// bell is exp(-z^2/2) at steps of z^2, close enough for weights when it is
// interpolated: to 1e-5.
var bell = func() (table [bellSteps*reachOfNormal*reachOfNormal + 2]float64) {
	for i := range table {
		table[i] = math.Exp(-float64(i) / bellSteps / 2)
	}
	return table
}()

const bellSteps = 64 // per unit of z^2

// mode returns the middle of the fullest two neighbouring bins.
func mode(r []float64, half, bin float64) float64 {
	counts := make([]int32, int(2*half/bin)+2)
	for _, v := range r {
		if k := int((v + half) / bin); k >= 0 && k < len(counts) {
			counts[k]++
		}
	}
	best, at := int32(-1), 0
	for k := 1; k < len(counts); k++ {
		if c := counts[k-1] + counts[k]; c > best {
			best, at = c, k
		}
	}
	return -half + float64(at)*bin
}

// convinces says whether a peak explains the points better than an even spread,
// wherever in the window it could have been found.
func (g normal) convinces(r []float64, half float64) bool {
	peak := g.share * 2 * half / (g.sigma * math.Sqrt(2*math.Pi))
	ll := 0.0
	for _, v := range r {
		z := (v - g.mu) / g.sigma
		ll += math.Log(1 - g.share + peak*math.Exp(-z*z/2))
	}
	return g.n >= leastPairs && ll-math.Log(max(1, half/g.sigma)) > convincing
}

// surprise is the log likelihood ratio of c counts where chance expects them.
func surprise(c, chance float64) float64 {
	if c <= chance {
		return 0
	}
	return c*math.Log(c/chance) - (c - chance)
}

// measure finds where the pairs of a slice are among the points about an aim.
func measure(points []point, m aim, sigma, share float64, buffer []float64) (s slice, ok bool, used []float64) {
	r := buffer[:0]
	for _, p := range points {
		r = append(r, m.off(p))
	}
	if len(r) < leastPairs {
		return s, false, r
	}
	g := normal{sigma: sigma, share: share}
	if m.half > 8*sigma {
		g.share = 0.5
		g.mu = mode(r, m.half, 2*sigma)
	}
	g, ok = g.fit(r, m.half, false)
	if !ok || !g.convinces(r, m.half) {
		return s, false, r
	}
	at := meanTime(points, r, g)
	return slice{
		at: at, t: float64(at) / second, n: g.n, sigma: g.sigma, share: g.n / float64(len(r)),
		x: g.mu + m.x + m.y*float64(at-m.centre), v: g.v,
	}, true, r
}

// meanTime is the mean time of the points near the peak, ps.
func meanTime(points []point, r []float64, g normal) int64 {
	sum, n := 0.0, 0.0
	first := points[0].at
	for i, p := range points {
		if math.Abs(r[i]-g.mu) < 3*g.sigma {
			sum += float64(p.at - first)
			n++
		}
	}
	if n == 0 {
		return first
	}
	return first + int64(sum/n)
}
