package track

import (
	"math"
	"slices"
	"sort"
)

// path is the clock along its slices, in order of time.
type path struct {
	slices  []slice
	leaps   []leap // between slices, in order
	noise   noise
	beliefs []belief // what may be instead of that noise, where slices are few
	// Of each slice: what is known of the clock there from the past, the same
	// before the slice itself is looked at, and from all slices.
	filtered, ahead, all []state
	// Of each slice: the log likelihood of those before it, from the past, and of
	// it and those after it, from the future.
	past, future []float64

	other                *path // with jumps that may be
	unsureFrom, unsureTo int64 // ps since Reference: where it may be instead
}

// leap is a jump of the clock between two slices: of the phase alone, or anew,
// of the frequency and perhaps of the phase.
type leap struct {
	before int   // index of the slice after it
	at     int64 // ps since Reference
	sd     float64
	anew   bool // nothing before it says anything of the clock after it
	placed bool // by the pairs one by one

	moments []moment // until when it may have jumped, as they tell; none: a normal about at
}

// kind is how the clock goes on at a slice.
type kind int

const (
	steadily kind = iota
	elsewhere
	anew
)

// kindAt says whether the clock jumps just before slice i; next is the index
// of the first leap not before it, carried from call to call.
func (p *path) kindAt(i int, next *int) kind {
	for *next < len(p.leaps) && p.leaps[*next].before < i {
		*next++
	}
	if *next < len(p.leaps) && p.leaps[*next].before == i {
		return p.leaps[*next].kind()
	}
	return steadily
}

func (l leap) kind() kind {
	if l.anew {
		return anew
	}
	return elsewhere
}

// spread is the variance of a slice's mean as a measurement of the phase at its
// mean time: that of the fit, and how far the phase walks within the slice.
func (q noise) spread(s *slice) float64 { return s.v + q.qx*s.length/12 }

const (
	firstSlopes = 11    // between slices, of which the middle one is the slope to begin with
	vagueness   = 100.0 // times the variance of one of them is its variance, so that it weighs nothing
	anySlope    = 1e8   // ps/s: of a clock that one slice shows, beside the seed's line
)

// begin is the clock at the first slice of a stretch that begins anew, or at
// its last. Nothing is known of its slope; a guess that is nearly as vague,
// instead of an infinite variance, keeps the sums of the filter from losing
// their digits.
func (p *path) begin(i, step int) state {
	s := &p.slices[i]
	var room [firstSlopes]float64
	slopes, variance := room[:0], 0.0
	n := p.stretch(i, step)
	if n < 2 {
		return state{x: s.x, xx: p.noise.spread(s), yy: anySlope * anySlope}
	}
	for k := range min(firstSlopes, n-1) {
		one, next := &p.slices[i+k*step], &p.slices[i+(k+1)*step]
		dt := next.t - one.t
		slopes = append(slopes, (next.x-one.x)/dt)
		dt = math.Abs(dt)
		variance = max(variance, ((one.v+next.v)/dt+p.noise.qx)/dt+p.noise.qy*dt)
	}
	slices.Sort(slopes)
	return state{x: s.x, y: slopes[len(slopes)/2], xx: p.noise.spread(s), yy: vagueness * variance}
}

// stretch is how many slices there are from slice i on, in a direction, before
// the clock begins anew.
func (p *path) stretch(i, step int) int {
	if step > 0 {
		for _, l := range p.leaps {
			if l.anew && l.before > i {
				return l.before - i
			}
		}
		return len(p.slices) - i
	}
	for _, l := range slices.Backward(p.leaps) {
		if l.anew && l.before <= i {
			return i - l.before + 1
		}
	}
	return i + 1
}

// forward filters all slices and keeps the states.
func (p *path) forward() {
	n := len(p.slices)
	p.filtered, p.ahead, p.past = make([]state, n), make([]state, n), make([]float64, n+1)
	next, ll := 0, 0.0
	for i := range p.slices {
		s := &p.slices[i]
		if i == 0 {
			p.filtered[0] = p.begin(0, 1)
			p.ahead[0] = p.filtered[0]
			continue
		}
		p.past[i] = ll
		p.ahead[i] = p.filtered[i-1].after(s.t-p.slices[i-1].t, p.noise)
		switch p.kindAt(i, &next) {
		case steadily:
			var off innovation
			p.filtered[i], off = p.ahead[i].given(s.x, p.noise.spread(s))
			ll += off.logLikelihood()
		case elsewhere:
			p.filtered[i] = p.ahead[i].leapt(s.x, p.noise.spread(s))
		case anew:
			p.filtered[i] = p.begin(i, 1)
		}
	}
	p.past[n] = ll
}

// smooth finds what all slices together say of the clock at each.
func (p *path) smooth() {
	p.forward()
	n := len(p.slices)
	p.all = make([]state, n)
	p.all[n-1] = p.filtered[n-1]
	k := len(p.leaps) - 1
	for i := n - 2; i >= 0; i-- {
		dt := p.slices[i+1].t - p.slices[i].t
		switch p.kindBack(i, &k) {
		case steadily:
			p.all[i] = p.filtered[i].smoothed(dt, p.ahead[i+1], p.all[i+1])
		case elsewhere:
			p.all[i] = p.filtered[i].smoothedLeap(dt, p.ahead[i+1], p.all[i+1])
		case anew:
			p.all[i] = p.filtered[i]
		}
	}
}

// kindBack says whether the clock jumps just after slice i; last is the index
// of the last leap not after it, carried from call to call.
func (p *path) kindBack(i int, last *int) kind {
	for *last >= 0 && p.leaps[*last].before > i+1 {
		*last--
	}
	if *last >= 0 && p.leaps[*last].before == i+1 {
		return p.leaps[*last].kind()
	}
	return steadily
}

// backward returns, for each slice, the clock there as the slice and all later
// ones show it.
func (p *path) backward() []state {
	n := len(p.slices)
	states := make([]state, n)
	p.future = make([]float64, n)
	k, ll := len(p.leaps)-1, 0.0
	for i := n - 1; i >= 0; i-- {
		s := &p.slices[i]
		if i == n-1 {
			states[i] = p.begin(i, -1)
			continue
		}
		came := states[i+1].mirrored().after(p.slices[i+1].t-s.t, p.noise).mirrored()
		switch p.kindBack(i, &k) {
		case steadily:
			var off innovation
			states[i], off = came.given(s.x, p.noise.spread(s))
			ll += off.logLikelihood()
		case elsewhere:
			states[i] = came.leapt(s.x, p.noise.spread(s))
		case anew:
			states[i] = p.begin(i, -1)
		}
		p.future[i] = ll
	}
	return states
}

// at returns the clock at any time, in ps since Reference: between slices as
// all of them show it, beyond them as the last one lets predict.
func (p *path) at(time int64) state { return p.unsure(time, p.known(time)) }

// known is that without the jumps that may be.
func (p *path) known(time int64) state {
	if len(p.beliefs) > 0 {
		return p.mixed(time)
	}
	return p.noisy(time)
}

// noisy is the clock at any time under the noise of the path.
func (p *path) noisy(time int64) state {
	t, n := float64(time)/second, len(p.slices)
	i := p.after(time)
	switch {
	case i == 0:
		return p.all[0].mirrored().after(p.slices[0].t-t, p.noise).mirrored()
	case i == n:
		return p.all[n-1].after(t-p.slices[n-1].t, p.noise)
	}
	l := p.leapBefore(i)
	switch {
	case time == p.slices[i].at && l != nil && l.moments != nil:
		return p.all[i]
	case l == nil:
		return p.between(i, t)
	}
	return p.beside(i, t, l)
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
func (p *path) between(i int, t float64) state {
	if p.filtered == nil { // restored
		return p.straightBetween(i, t)
	}
	return p.filtered[i-1].after(t-p.slices[i-1].t, p.noise).smoothed(p.slices[i].t-t, p.ahead[i], p.all[i])
}

// beside is the clock at t between slices i-1 and i, between which it jumps:
// that of the likelier side. That it was the other one, because nobody knows
// just when the clock jumped, is part of the variance.
func (p *path) beside(i int, t float64, l *leap) state {
	old, young := p.sides(i, t, l)
	jumped := l.jumpedBy(t, p.slices[i-1].t, p.slices[i].t)
	if t >= float64(l.at)/second {
		return young.orElse(old, 1-jumped)
	}
	return old.orElse(young, jumped)
}

// sides are the clock at t as the slices before a jump show it, and as those
// after it do.
func (p *path) sides(i int, t float64, l *leap) (old, young state) {
	left, right := p.slices[i-1].t, p.slices[i].t
	young = p.all[i].mirrored().after(right-t, p.noise).mirrored()
	if l.anew || p.filtered == nil {
		return p.all[i-1].after(t-left, p.noise), young
	}
	return p.filtered[i-1].after(t-left, p.noise).smoothedLeap(right-t, p.ahead[i], p.all[i]), young
}

// likelihood is the log likelihood of the slices under a noise.
func (p *path) likelihood(q noise) float64 {
	e := estimate{state: p.begin(0, 1), gainX: 1, length: p.slices[0].length}
	e.xx = q.spread(&p.slices[0])
	ll, all, next := 0.0, innovation{variance: 1}, 0
	for i := 1; i < len(p.slices); i++ {
		m := &p.slices[i]
		dt := m.t - p.slices[i-1].t
		switch p.kindAt(i, &next) {
		case elsewhere:
			e = e.leapt(dt, q, m)
			continue
		case anew:
			e = estimate{state: p.begin(i, 1), gainX: 1, length: m.length}
			e.xx = q.spread(m)
			continue
		}
		off := e.measure(dt, q, m)
		all.variance *= off.variance // the logarithm of many at once takes less time
		all.squares += off.squares
		if !(all.variance > 1e-100 && all.variance < 1e100) {
			ll, all = ll+all.logLikelihood(), innovation{variance: 1}
		}
	}
	ll += all.logLikelihood()
	if math.IsNaN(ll) {
		return math.Inf(-1)
	}
	return ll
}
