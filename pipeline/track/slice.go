package track

import (
	"math"

	"tsrun/pipeline/scatter"
)

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

// normal is a peak of pairs over a flat background, within plus or minus half:
// a normal distribution, or what the steps of the tags make of one.
type normal struct {
	mu, sigma, share float64
	n                float64 // points that belong to the peak
	v                float64 // variance of mu
	told             float64 // the same, as the scatter of these points tells it
	broad            float64 // times that of a normal peak, or of even steps, is the variance; 0: 1
	grid             scatter.Grid
}

const (
	leastPairs    = 8   // of an accepted slice
	convincing    = 9.0 // log likelihood beyond chance
	reachOfNormal = 6   // standard deviations beyond which a normal weighs nothing
	maxRounds     = 30
	settled       = 0.03 // of a standard deviation: a round that changes less is the last
)

// fit finds where the weighted differences balance, beginning with g: the most
// likely normal (by expectation maximisation, Dempster, Laird, Rubin 1977), but
// weighed as package scatter says. With fixed set only mu is found.
func (g normal) fit(r []float64, half float64, fixed bool) (normal, bool) {
	lowest, highest := max(g.sigma/3, g.grid.Floor()), max(3*g.sigma, g.grid.Floor())
	all := float64(len(r))
	for range maxRounds {
		w := weigher{g.grid.Weigher(g.sigma, g.share, half)}
		m := w.moments(r, g.mu)
		if m.n < 1 {
			return g, false
		}
		shift := m.s / m.n
		g.mu += shift
		done := math.Abs(shift) < settled*g.sigma/math.Sqrt(m.n)
		if !fixed {
			before := g.sigma
			pairs, variance := w.Peak(m.n, m.ss-shift*m.s, all, half)
			g.sigma = min(max(math.Sqrt(max(variance, 0)), lowest), highest)
			g.share = min(max(pairs/all, 1e-6), 1-1e-6)
			done = done && math.Abs(g.sigma-before) < settled/math.Sqrt(m.n)*before
		}
		if done {
			break
		}
	}
	w := weigher{g.grid.Weigher(g.sigma, g.share, half)}
	m := w.moments(r, g.mu)
	g.n = w.Pairs(m.n, (1-g.share)*all/(2*half))
	var ok bool
	g.v, ok = w.variance(m, g.n, all, half)
	g.told = w.told(m, g.n)
	if g.broad > 0 {
		g.v *= g.broad
	}
	return g, ok
}

// told is the variance of mu for a peak of any shape (Huber 1967).
func (w *weigher) told(m moments, pairs float64) float64 {
	if w.Coarse { // one pair more on the next step would not be strange
		return (m.squares + w.Window.Step()*w.Window.Step()) / (pairs * pairs)
	}
	growth := m.n - m.hidden/(w.Sigma*w.Sigma)
	return m.squares / (growth * growth)
}

// weigher is what weighs the points of one round.
type weigher struct{ scatter.Weigher }

// moments are sums of weights, of weighted residuals, of their squares, of the
// squares of weighted residuals, and what is hidden because the weights are not
// 0 or 1.
type moments struct{ n, s, ss, squares, hidden float64 }

func (w *weigher) moments(r []float64, mu float64) (m moments) {
	if w.Coarse {
		for _, v := range r {
			d := v - mu
			weight := w.Window.At(d)
			m.n += weight
			m.s += weight * d
			m.ss += weight * d * d
			m.squares += weight * d * weight * d
		}
		return m
	}
	scale := bellSteps / (w.Sigma * w.Sigma)
	for _, v := range r {
		d := v - mu
		z := d * d * scale
		if !(z < bellSteps*reachOfNormal*reachOfNormal) {
			continue
		}
		k := int(z)
		e := w.Height * (bell[k] + (bell[k+1]-bell[k])*(z-float64(k)))
		weight := e / (e + w.Flat)
		square := weight * d * d
		m.n += weight
		m.s += weight * d
		m.ss += square
		m.squares += weight * square
		m.hidden += square - weight*square
	}
	return m
}

// variance is that of mu, with so many of the points in the peak: of a weighted
// mean where the weights do not depend on the background; else the inverse of
// the observed information (Louis 1982), because what the background hides of
// which points belong to the peak makes it larger.
func (w *weigher) variance(m moments, pairs, points, half float64) (v float64, ok bool) {
	variance := w.Sigma * w.Sigma
	switch {
	case !(pairs > 0):
		return 0, false
	case w.Coarse: // on average over where the offset may be within a step
		return w.Window.Floor() * w.Window.Floor() / pairs, true
	case w.Least:
		flat := max(points-pairs, 0) / (2 * half) * w.Sigma
		whole := pairs * scatter.Square
		return variance * (pairs*scatter.Spread + flat*scatter.EvenSpread) / (whole * whole), true
	}
	info := m.n/variance - m.hidden/(variance*variance)
	return 1 / info, info > 0.1*m.n/variance
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
	var room [128]int32
	counts := room[:]
	if n := int(2*half/bin) + 2; n <= len(room) {
		counts = counts[:n]
	} else {
		counts = make([]int32, n)
	}
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
func measure(points []point, m aim, g normal, buffer []float64) (s slice, ok bool, used []float64) {
	r := buffer[:0]
	for _, p := range points {
		r = append(r, m.off(p))
	}
	if len(r) < leastPairs {
		return s, false, r
	}
	if m.half > 8*g.sigma {
		g.share = 0.5
		g.mu = mode(r, m.half, 2*g.sigma)
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
