package track

import "math"

// estimate finds the noise under which the slices are most likely: on a grid
// first, then closer.
func (p *path) estimate() {
	best := math.Inf(-1)
	for _, qx := range quiets {
		for _, qy := range walks {
			if ll := p.likelihood(noise{qx, qy}); ll > best {
				best, p.noise = ll, noise{qx, qy}
			}
		}
	}
	p.refine(best, 3)
	p.hedge()
}

const (
	finest = 1.1 // factor to which the noise is refined; its own uncertainty is larger
	// Less noise than this is none: a clock that cannot be seen to move in a day.
	leastWhite = 0.1  // ps^2/s
	leastWalk  = 1e-3 // ps^2/s^3
)

// refine improves the noise by trying factors up and down, each axis by itself,
// from the given factor to ever smaller ones.
func (p *path) refine(best, factor float64) {
	try := func(q noise) bool {
		if q.qx < leastWhite {
			q.qx = 0
		}
		if q.qy < leastWalk {
			q.qy = 0
		}
		if q == p.noise {
			return false
		}
		ll := p.likelihood(q)
		if ll > best+1e-6 {
			best, p.noise = ll, q
			return true
		}
		return false
	}
	for ; factor > finest; factor = math.Sqrt(factor) {
		for range 20 {
			q := p.noise
			moved := try(noise{q.qx * factor, q.qy}) || try(noise{q.qx / factor, q.qy})
			q = p.noise
			moved = try(noise{q.qx, q.qy * factor}) || try(noise{q.qx, q.qy / factor}) || moved
			if !moved {
				break
			}
		}
	}
}

// hedge takes the mean noise, by likelihood, in place of the most likely: where
// few slices say little of it, the most likely is often none at all, and the
// clock would be believed too well. Many slices leave no such doubt.
func (p *path) hedge() {
	if len(p.slices) > manySlices {
		return
	}
	type likely struct {
		noise
		ll float64
	}
	var all []likely
	best := math.Inf(-1)
	for _, qx := range around(p.noise.qx, quiets) {
		for _, qy := range around(p.noise.qy, walks) {
			q := likely{noise{qx, qy}, p.likelihood(noise{qx, qy})}
			all, best = append(all, q), max(best, q.ll)
		}
	}
	sum, mean := 0.0, noise{}
	for _, q := range all {
		w := math.Exp(q.ll - best)
		sum += w
		mean.qx += w * q.qx
		mean.qy += w * q.qy
	}
	p.noise = noise{mean.qx / sum, mean.qy / sum}
}

const manySlices = 4096

// around are noises about q, or all when it is none.
func around(q float64, all []float64) []float64 {
	if q == 0 {
		return all
	}
	return []float64{q / 10, q / math.Sqrt(10), q, q * math.Sqrt(10), q * 10}
}

// told is the noise in the units of the field.
func (q noise) told() Noise {
	return Noise{WhiteFM: math.Sqrt(q.qx) / second, RandomWalkFM: math.Sqrt(q.qy) / second}
}

// allan returns the deviations at octaves of the time between slices.
func (p *path) allan() []AllanPoint {
	x, v, unit := p.grid()
	var points []AllanPoint
	for m := 1; 3*m <= len(x); m *= 2 {
		if point, ok := p.noise.deviation(x, v, unit, m); ok {
			points = append(points, point)
		}
	}
	return points
}

// deviation returns the overlapping Allan deviation at m times the distance of phases
// (Allan 1966; Riley, NIST SP 1065, eq. 11), and the time deviation:
//
//	s^2(tau) = <(x(t+2 tau) - 2 x(t+tau) + x(t))^2> / (2 tau^2)
//
// The variance that the phases' own errors add, 3 v/tau^2 for equal ones, is
// taken off; and what averaging white frequency noise over the slice of each takes away,
// qx*length/(2 tau^2), is added. ok is false where there are too few.
func (q noise) deviation(x, v []float64, unit float64, m int) (point AllanPoint, ok bool) {
	tau := float64(m) * unit
	var square, jitter, terms float64
	for i := 0; i+2*m < len(x); i++ {
		if v[i] == 0 || v[i+m] == 0 || v[i+2*m] == 0 {
			continue
		}
		d := x[i+2*m] - 2*x[i+m] + x[i]
		square += d * d
		jitter += v[i] + 4*v[i+m] + v[i+2*m]
		terms++
	}
	if terms == 0 {
		return point, false
	}
	free := min(terms, q.freedom(terms+2*float64(m), float64(m), tau))
	if free < leastFreedom {
		return point, false
	}
	scale := 1 / (2 * tau * tau * second * second)
	found := dispersion{all: square / terms * scale, own: jitter / terms * scale, more: q.qx * unit * scale, freedom: free}
	point = AllanPoint{Tau: tau, Floor: math.Sqrt(found.own)}
	point.Deviation, point.SD = found.root()
	point.Time, point.TimeSD, point.TimeFloor = timeDeviation(x, v, m)
	return point, true
}

// timeDeviation is the overlapping time deviation of phases at m times their distance
// (Riley, NIST SP 1065, eq. 16 and 17),
//
//	s^2 = <(sum over m of x(t+2 tau) - 2 x(t+tau) + x(t))^2> / (6 m^2)
//
// without what their own errors add. Each phase is the mean of its slice, so it is that
// of times averaged over the whole of tau. 0 where every stretch lacks a quarter or more,
// and where the record holds too few.
func timeDeviation(x, v []float64, m int) (deviation, sd, floor float64) {
	var square, jitter, terms, sum, errors float64
	missing := 0 // of the terms of the sum
	add := func(i int, sign float64) {
		if v[i] == 0 || v[i+m] == 0 || v[i+2*m] == 0 {
			missing += int(sign)
			return
		}
		sum += sign * (x[i+2*m] - 2*x[i+m] + x[i])
		errors += sign * (v[i] + 4*v[i+m] + v[i+2*m])
	}
	for i := 0; i+2*m < len(x); i++ {
		add(i, 1)
		if i >= m {
			add(i-m, -1)
		}
		if i >= m-1 && 4*missing <= m { // the mean of most is that of all
			all := float64(m) / float64(m-missing)
			square += all * all * sum * sum
			jitter += all * all * errors
			terms++
		}
	}
	if terms < leastFreedom*float64(m) {
		return 0, 0, 0
	}
	scale := 1 / (6 * float64(m) * float64(m))
	found := dispersion{all: square / terms * scale, own: max(0, jitter) / terms * scale, freedom: terms / float64(m)}
	deviation, sd = found.root()
	return deviation, sd, math.Sqrt(found.own)
}

// leastFreedom is of how many independent values a deviation is stated: of fewer, three
// standard deviations would hold nearly anything.
const leastFreedom = 5

// ownDoubt is how far the variance of the slices' own errors is from what is stated of it:
// it is worked out from the same pairs.
const ownDoubt = 0.01

// dispersion is a variance that was found in so many independent values.
type dispersion struct {
	all, own, more float64 // own is in it by the values' own errors, more is missing
	freedom        float64
}

// root is the deviation without the values' own errors, and its standard deviation: three
// of it reach, as the values are chi-square distributed, as far as three of a normal one.
// That of few values lies unevenly about the truth: it is often found much too small.
func (s dispersion) root() (deviation, sd float64) {
	at := func(sigmas float64) float64 {
		part := 2 / (9 * s.freedom)
		edge := 1 - part - sigmas*math.Sqrt(part) // Wilson and Hilferty 1931: its cube is nearly normal
		return math.Sqrt(max(0, s.all/(edge*edge*edge)-s.own*(1-sigmas*ownDoubt)+s.more))
	}
	deviation = math.Sqrt(max(0, s.all-s.own+s.more))
	return deviation, max(at(3)-deviation, deviation-at(-3)) / 3
}

// freedom is how many independent values of frequency n phases give at a distance of m, for
// the kind of noise that is stronger at that time (Riley, NIST SP 1065, table 5).
func (q noise) freedom(n, m, tau float64) float64 {
	if q.qy*tau*tau > 3*q.qx {
		return (n - 2) / m * ((n-1)*(n-1) - 3*m*(n-1) + 4*m*m) / ((n - 3) * (n - 3))
	}
	return (3*(n-1)/(2*m) - 2*(n-2)/n) * 4 * m * m / (4*m*m + 5)
}

// grid returns the phases at the middles of slices of equal length, and their
// variances; 0 where a slice is missing. Jumps of the clock and of
// its frequency are taken off.
func (p *path) grid() (x, v []float64, unit float64) {
	length := p.slices[0].to - p.slices[0].from
	for i := range p.slices {
		length = min(length, p.slices[i].to-p.slices[i].from)
	}
	first, last := p.slices[0].from, p.slices[len(p.slices)-1].from
	n := int((last-first)/length) + 1
	if n > 4*len(p.slices)+64 { // mostly gaps: no grid worth its memory
		return nil, nil, 0
	}
	x, v = make([]float64, n), make([]float64, n)
	var back []state
	if len(p.leaps) > 0 {
		back = p.backward()
	}
	next, jumped, turned := 0, 0.0, 0.0
	for i := range p.slices {
		s := &p.slices[i]
		switch p.kindAt(i, &next) {
		case elsewhere:
			d, _ := size(p.ahead[i], back[i])
			jumped += d
		case anew:
			d, y := back[i].x-p.ahead[i].x, back[i].y-p.ahead[i].y
			jumped += d - y*s.t
			turned += y
		}
		if s.to-s.from != length {
			continue
		}
		k := int((s.from - first) / length)
		middle := s.from + length/2
		x[k] = s.x + p.all[i].y*float64(middle-s.at)/second - jumped - turned*float64(middle)/second
		v[k] = s.v
	}
	return x, v, float64(length) / second
}
