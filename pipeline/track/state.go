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
// (Kalman 1960), the gains of phase and slope, and the log likelihood of that
// measurement. The measurement's error and the state's have covariance c.
func (s state) given(z, v, c float64) (next state, gainX, gainY, ll float64) {
	sum := s.xx + 2*c + v
	gainX, gainY = (s.xx+c)/sum, s.xy/sum
	r := z - s.x
	return state{
		x: s.x + gainX*r, y: s.y + gainY*r,
		xx: (s.xx*v - c*c) / sum, xy: s.xy * (v + c) / sum, yy: s.yy - gainY*s.xy,
	}, gainX, gainY, -0.5 * (math.Log(sum) + r*r/sum)
}

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
	return e.carried(dt, q, min(dt, e.length/2))
}

// carried is ahead, when half of the last slice is still walked.
func (e *estimate) carried(dt float64, q noise, half float64) state {
	s := e.after(dt, q)
	shared := q.qx * together(half, e.length)
	s.xx -= 2 * e.gainX * shared
	s.xy -= e.gainY * shared
	return s
}

// together is the covariance of the mean of a walk over a length, beside the
// walk in its middle, with the walk from there by half, at most half of it.
func together(half, length float64) float64 {
	if length <= 0 {
		return 0
	}
	return half * (length - half) / (2 * length)
}

// measured is the estimate after the next slice, dt later, and the log
// likelihood of that.
func (e *estimate) measured(dt float64, q noise, m *slice) (estimate, float64) {
	apart := min(1, 2*dt/(e.length+m.length)) // slices that overlap cannot both walk their halves
	s := e.carried(dt, q, apart*e.length/2)
	next, gainX, gainY, ll := s.given(m.x, q.spread(m), -q.qx*together(apart*m.length/2, m.length))
	return estimate{next, gainX, gainY, m.length}, ll
}

// leapt is the estimate after the next slice, before which the clock jumped by
// an unknown size: the slope goes on, the phase is what is measured.
func (e *estimate) leapt(dt float64, q noise, m *slice) estimate {
	return estimate{e.after(dt, q).leapt(m.x, q.spread(m)), 1, 0, m.length}
}
