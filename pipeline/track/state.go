package track

import "math"

// state is what is known of the clock at one time: its phase x and slope y
// beside the seed's line, with their covariance. Units are ps and s.
type state struct{ x, y, xx, xy, yy float64 }

// noise is how the clock moves by itself: the phase walks randomly, which is
// white noise of the frequency, and so does the frequency.
type noise struct {
	qx float64 // ps^2/s
	qy float64 // ps^2/s^3
}

// after returns the state dt seconds later, by the covariance of a two-state
// clock in continuous time (Zucca and Tavella 2005, eq. 18), exact for every dt.
func (s state) after(dt float64, q noise) state {
	s.x += s.y * dt
	s.xx += dt * (2*s.xy + dt*s.yy + q.qx + q.qy*dt*dt/3)
	s.xy += dt * (s.yy + q.qy*dt/2)
	s.yy += dt * q.qy
	return s
}

// given returns the state after the phase was measured to be z with variance v
// (Kalman 1960), and how far off that measurement is.
func (s state) given(z, v float64) (state, innovation) {
	sum := s.xx + v
	gainX, gainY, off := s.xx/sum, s.xy/sum, z-s.x
	return state{
		x: s.x + gainX*off, y: s.y + gainY*off,
		xx: s.xx * v / sum, xy: s.xy * v / sum, yy: s.yy - gainY*s.xy,
	}, innovation{sum, off * off / sum}
}

// innovation is how far measurements are off what was foretold (Kalman 1960).
type innovation struct {
	variance float64 // foretold; of several their product
	squares  float64 // of standard deviations
}

// logLikelihood is that of the measurements, but for a constant.
func (s innovation) logLikelihood() float64 { return -0.5 * (math.Log(s.variance) + s.squares) }

// leapt is the state after a jump of unknown size: the slope goes on, the phase
// is what is measured.
func (s state) leapt(z, v float64) state {
	return state{x: z, y: s.y, xx: v, yy: s.yy}
}

// smoothed returns the state s, dt before next, with all that is known of next
// from later on (Rauch, Tung, Striebel 1965); ahead is s carried to next.
func (s state) smoothed(dt float64, ahead, next state) state {
	// gain = P F' / P(ahead); F' of a step dt
	axx, axy := s.xx+dt*s.xy, s.xy
	ayx, ayy := s.xy+dt*s.yy, s.yy
	det := ahead.xx*ahead.yy - ahead.xy*ahead.xy
	if !(det > 0) {
		return s
	}
	gxx, gxy := (axx*ahead.yy-axy*ahead.xy)/det, (axy*ahead.xx-axx*ahead.xy)/det
	gyx, gyy := (ayx*ahead.yy-ayy*ahead.xy)/det, (ayy*ahead.xx-ayx*ahead.xy)/det
	return s.corrected(gxx, gxy, gyx, gyy, ahead, next)
}

// smoothedLeap is smoothed over a jump between s and next: only the slope
// carries across.
func (s state) smoothedLeap(dt float64, ahead, next state) state {
	return s.corrected(0, (s.xy)/ahead.yy, 0, s.yy/ahead.yy, ahead, next)
}

func (s state) corrected(gxx, gxy, gyx, gyy float64, ahead, next state) state {
	dx, dy := next.x-ahead.x, next.y-ahead.y
	s.x += gxx*dx + gxy*dy
	s.y += gyx*dx + gyy*dy
	dxx, dxy, dyy := next.xx-ahead.xx, next.xy-ahead.xy, next.yy-ahead.yy
	bxx, bxy := gxx*dxx+gxy*dxy, gxx*dxy+gxy*dyy
	byx, byy := gyx*dxx+gyy*dxy, gyx*dxy+gyy*dyy
	s.xx += bxx*gxx + bxy*gxy
	s.xy += bxx*gyx + bxy*gyy
	s.yy += byx*gyx + byy*gyy
	return s
}

// mirrored is the state as seen with time running backwards.
func (s state) mirrored() state {
	s.y, s.xy = -s.y, -s.xy
	return s
}

// estimate is the clock at the mean time of the slice that was measured last.
//
// What is measured is the mean phase of a slice. While the phase walks, that
// differs from the phase at the mean time by qx*length/12, in variance, and the
// difference goes together with how the phase moves in the halves of the slice:
// -qx*length/8 with the first, +qx*length/8 with the second. A filter that took
// it for noise of its own would believe itself too well.
type estimate struct {
	state
	gainX, gainY float64 // how much of the last slice's error the state holds
	length       float64 // s, of that slice
}

// ahead is the state dt seconds later.
func (e *estimate) ahead(dt float64, q noise) state {
	s, apart := e.after(dt, q), 1.0
	if 2*dt < e.length {
		apart = 2 * dt / e.length
	}
	shared := q.qx * together(apart, e.length)
	s.xx -= 2 * e.gainX * shared
	s.xy -= e.gainY * shared
	return s
}

// together is the covariance of the mean of a walk over a length, beside the
// walk in its middle, with the walk from there through a part of the half that
// follows.
func together(part, length float64) float64 { return part * (2 - part) * length / 8 }

// measure takes the next slice, dt later, and returns how far off that is. It
// is ahead and given in one, number by number: every noise that is tried goes
// through every slice here.
func (e *estimate) measure(dt float64, q noise, m *slice) innovation {
	apart := min(1, 2*dt/(e.length+m.length)) // slices that overlap cannot both walk their halves
	shared, c := q.qx*together(apart, e.length), -q.qx*together(apart, m.length)
	x := e.x + e.y*dt
	xx := e.xx + dt*(2*e.xy+dt*e.yy+q.qx+q.qy*dt*dt/3) - 2*e.gainX*shared
	xy := e.xy + dt*(e.yy+q.qy*dt/2) - e.gainY*shared
	yy := e.yy + dt*q.qy
	v := q.spread(m)
	sum := xx + 2*c + v
	once := 1 / sum
	gainX, gainY, off := (xx+c)*once, xy*once, m.x-x
	e.x, e.y = x+gainX*off, e.y+gainY*off
	e.xx, e.xy, e.yy = (xx*v-c*c)*once, xy*(v+c)*once, yy-gainY*xy
	e.gainX, e.gainY, e.length = gainX, gainY, m.length
	return innovation{sum, off * off * once}
}

// leapt is the estimate after the next slice, before which the clock jumped by
// an unknown size: the slope goes on, the phase is what is measured.
func (e *estimate) leapt(dt float64, q noise, m *slice) estimate {
	return estimate{e.after(dt, q).leapt(m.x, q.spread(m)), 1, 0, m.length}
}
