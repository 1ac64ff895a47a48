package track

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
