package track

import "math"

// allan returns the overlapping Allan deviation at octaves of the time between
// slices (Allan 1966; Riley, NIST SP 1065, eq. 11), from the slices' phases:
//
//	s^2(tau) = <(x(t+2 tau) - 2 x(t+tau) + x(t))^2> / (2 tau^2)
//
// The variance that the slices' own errors add, 3 v/tau^2 for equal ones, is
// taken off; and what averaging white frequency noise over a slice takes away,
// qx*length/(2 tau^2), is added.
func (p *path) allan() []AllanPoint {
	x, v, unit := p.grid()
	var points []AllanPoint
	for m := 1; 3*m <= len(x); m *= 2 {
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
			continue
		}
		scale := 1 / (2 * tau * tau * second * second)
		all, floor := square/terms*scale, jitter/terms*scale
		variance := max(0, all-floor+p.noise.qx*unit*scale)
		sd := all * math.Sqrt(2/freedom(terms+2*float64(m), float64(m)))
		deviation := math.Sqrt(variance)
		points = append(points, AllanPoint{Tau: tau, Deviation: deviation, SD: spreadOfRoot(variance, sd), Floor: math.Sqrt(floor)})
	}
	return points
}

// freedom is how many independent values of frequency n phases give at a
// distance of m, for white frequency noise (Riley, NIST SP 1065, table 5).
func freedom(n, m float64) float64 {
	return max(1, (3*(n-1)/(2*m)-2*(n-2)/n)*4*m*m/(4*m*m+5))
}

// spreadOfRoot is the standard deviation of the root of a variance that is
// known to sd.
func spreadOfRoot(variance, sd float64) float64 {
	return math.Sqrt(variance+sd) - math.Sqrt(variance)
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
