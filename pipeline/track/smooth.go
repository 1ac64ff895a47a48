package track

import (
	"math"
	"slices"
	"sort"
)

// path is the clock along its slices, in order of time.
type path struct {
	slices []slice
	leaps  []leap // between slices, in order
	noise  noise
	// Of each slice: what is known of the clock there from the past, the same
	// before the slice itself is looked at, and from all slices.
	filtered, ahead, all []state
}

// leap is a jump of the clock between two slices.
type leap struct {
	before int   // index of the slice after it
	at     int64 // ps since Reference
	sd     float64
}

// leapAt says whether the clock jumps just before slice i; next is the index
// of the first leap not before it, carried from call to call.
func (p *path) leapAt(i int, next *int) bool {
	for *next < len(p.leaps) && p.leaps[*next].before < i {
		*next++
	}
	return *next < len(p.leaps) && p.leaps[*next].before == i
}

// spread is the variance of a slice's mean as a measurement of the phase at its
// mean time: that of the fit, and how far the phase walks within the slice.
func (q noise) spread(s *slice) float64 { return s.v + q.qx*s.length/12 }

const (
	firstSlopes = 11    // between slices, of which the middle one is the slope to begin with
	vagueness   = 100.0 // times the variance of one of them is its variance, so that it weighs nothing
)

// begin is the clock at the first slice, or at the last. Nothing is known of
// its slope; a guess that is nearly as vague, instead of an infinite variance,
// keeps the sums of the filter from losing their digits.
func (p *path) begin(i, step int) state {
	s := &p.slices[i]
	var slopes []float64
	variance := 0.0
	for k := range min(firstSlopes, len(p.slices)-1) {
		one, next := &p.slices[i+k*step], &p.slices[i+(k+1)*step]
		dt := next.t - one.t
		slopes = append(slopes, (next.x-one.x)/dt)
		dt = math.Abs(dt)
		variance = max(variance, ((one.v+next.v)/dt+p.noise.qx)/dt+p.noise.qy*dt)
	}
	slices.Sort(slopes)
	return state{x: s.x, y: slopes[len(slopes)/2], xx: p.noise.spread(s), yy: vagueness * variance}
}

// forward filters all slices and keeps the states.
func (p *path) forward() {
	n := len(p.slices)
	p.filtered, p.ahead = make([]state, n), make([]state, n)
	next := 0
	for i := range p.slices {
		s := &p.slices[i]
		if i == 0 {
			p.filtered[0] = p.begin(0, 1)
			p.ahead[0] = p.filtered[0]
			continue
		}
		p.ahead[i] = p.filtered[i-1].after(s.t-p.slices[i-1].t, p.noise)
		if p.leapAt(i, &next) {
			p.filtered[i] = p.ahead[i].leapt(s.x, p.noise.spread(s))
		} else {
			p.filtered[i], _, _, _ = p.ahead[i].given(s.x, p.noise.spread(s), 0)
		}
	}
}

// smooth finds what all slices together say of the clock at each.
func (p *path) smooth() {
	p.forward()
	n := len(p.slices)
	p.all = make([]state, n)
	p.all[n-1] = p.filtered[n-1]
	k := len(p.leaps) - 1
	for i := n - 2; i >= 0; i-- {
		for k >= 0 && p.leaps[k].before > i+1 {
			k--
		}
		dt := p.slices[i+1].t - p.slices[i].t
		if k >= 0 && p.leaps[k].before == i+1 {
			p.all[i] = p.filtered[i].smoothedLeap(dt, p.ahead[i+1], p.all[i+1])
		} else {
			p.all[i] = p.filtered[i].smoothed(dt, p.ahead[i+1], p.all[i+1])
		}
	}
}

// backward returns, for each slice, the clock there as the slice and all later
// ones show it.
func (p *path) backward() []state {
	n := len(p.slices)
	states := make([]state, n)
	k := len(p.leaps) - 1
	for i := n - 1; i >= 0; i-- {
		s := &p.slices[i]
		if i == n-1 {
			states[i] = p.begin(i, -1)
			continue
		}
		came := states[i+1].mirrored().after(p.slices[i+1].t-s.t, p.noise).mirrored()
		for k >= 0 && p.leaps[k].before > i+1 {
			k--
		}
		if k >= 0 && p.leaps[k].before == i+1 {
			states[i] = came.leapt(s.x, p.noise.spread(s))
		} else {
			states[i], _, _, _ = came.given(s.x, p.noise.spread(s), 0)
		}
	}
	return states
}

// at returns the clock at any time, in ps since Reference: between slices as
// all of them show it, beyond them as the last one lets predict.
func (p *path) at(time int64) state {
	t, n := float64(time)/second, len(p.slices)
	i := p.after(time)
	switch {
	case i == 0:
		return p.all[0].mirrored().after(p.slices[0].t-t, p.noise).mirrored()
	case i == n:
		return p.all[n-1].after(t-p.slices[n-1].t, p.noise)
	}
	return p.between(i, t, p.leapBefore(i), time)
}

// after returns the index of the first slice not before a time.
func (p *path) after(time int64) int {
	return sort.Search(len(p.slices), func(i int) bool { return p.slices[i].at >= time })
}

func (p *path) leapBefore(i int) *leap {
	k := sort.Search(len(p.leaps), func(k int) bool { return p.leaps[k].before >= i })
	if k < len(p.leaps) && p.leaps[k].before == i {
		return &p.leaps[k]
	}
	return nil
}

// between is the clock at t, between slices i-1 and i.
func (p *path) between(i int, t float64, l *leap, time int64) state {
	left, right := p.slices[i-1].t, p.slices[i].t
	if p.filtered == nil { // restored
		switch {
		case l == nil:
			return p.straightBetween(i, t)
		case time < l.at:
			return p.all[i-1].after(t-left, p.noise)
		}
		return p.all[i].mirrored().after(right-t, p.noise).mirrored()
	}
	s := p.filtered[i-1].after(t-left, p.noise)
	switch {
	case l == nil:
		return s.smoothed(right-t, p.ahead[i], p.all[i])
	case time < l.at:
		return s.smoothedLeap(right-t, p.ahead[i], p.all[i])
	default:
		return p.all[i].mirrored().after(right-t, p.noise).mirrored()
	}
}

// likelihood is the log likelihood of the slices under a noise.
func (p *path) likelihood(q noise) float64 {
	e := estimate{state: p.begin(0, 1), gainX: 1, length: p.slices[0].length}
	e.xx = q.spread(&p.slices[0])
	ll, next := 0.0, 0
	for i := 1; i < len(p.slices); i++ {
		m := &p.slices[i]
		dt := m.t - p.slices[i-1].t
		if p.leapAt(i, &next) {
			e = e.leapt(dt, q, m)
			continue
		}
		var l float64
		e, l = e.measured(dt, q, m)
		ll += l
	}
	if math.IsNaN(ll) {
		return math.Inf(-1)
	}
	return ll
}
