package track

import (
	"math"
	"slices"
)

const (
	leapLimit   = 7.0 // standard deviations of a jump that is believed
	leapRounds  = 16
	leapSpacing = 4 // slices between jumps that can be told apart
	mostLeaps   = 1000
)

// gain is how much better slices agree with a jump before slice i, in squares
// of standard deviations: that of the phase, when it is explained best by a
// jump of the phase, 0 when by one of the frequency.
func gain(ahead, back state) float64 {
	dx, dy := back.x-ahead.x, back.y-ahead.y
	xx, xy, yy := ahead.xx+back.xx, ahead.xy+back.xy, ahead.yy+back.yy
	if !(xx*yy-xy*xy > 0) || dx*dx/xx < dy*dy/yy {
		return 0
	}
	d := dx - xy/yy*dy
	return d * d / (xx - xy*xy/yy)
}

// findLeaps finds jumps of the clock by comparing what the slices before each
// moment predict with what those after it do (Willsky and Jones 1976, with the
// two filters of Fraser and Potter 1969), and slices that agree with neither
// side, which are left out. The noise is estimated anew each time.
func (p *path) findLeaps() {
	for range leapRounds {
		p.smooth()
		back := p.backward()
		if !p.dropOutliers(back) && !p.addLeaps(back) && !p.addHidden(back) {
			break
		}
		p.refine(p.likelihood(p.noise), 10)
	}
	p.smooth()
	p.pruneLeaps()
}

// dropOutliers leaves out slices that lie beside what all others say.
func (p *path) dropOutliers(back []state) bool {
	n := len(p.slices)
	wrong := make([]bool, n)
	found := false
	for i := range p.slices {
		s := &p.slices[i]
		v := p.noise.spread(s) - p.all[i].xx
		d := s.x - p.all[i].x
		if !(v > 0) || d*d < leapLimit*leapLimit*v {
			continue
		}
		leaps := 0.0 // how well a jump beside it would explain it
		for k := max(1, i-2); k <= min(n-1, i+3); k++ {
			leaps = max(leaps, gain(p.ahead[k], back[k]))
		}
		if d*d/v > leaps {
			wrong[i], found = true, true
		}
	}
	if found && n-count(wrong) >= leastSlices {
		p.drop(wrong)
		return true
	}
	return false
}

func count(flags []bool) int {
	n := 0
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

// drop leaves out slices and keeps the leaps where they are.
func (p *path) drop(wrong []bool) {
	kept := p.slices[:0]
	next := 0
	for i := range p.slices {
		for ; next < len(p.leaps) && p.leaps[next].before == i; next++ {
			p.leaps[next].before = len(kept)
		}
		if !wrong[i] {
			kept = append(kept, p.slices[i])
		}
	}
	p.slices = kept
	p.leaps = slices.DeleteFunc(p.leaps, func(l leap) bool { return l.before == 0 || l.before >= len(kept) })
}

func (p *path) addLeaps(back []state) bool {
	n := len(p.slices)
	gains := make([]float64, n)
	for i := 1; i < n; i++ {
		gains[i] = gain(p.ahead[i], back[i])
	}
	found := false
	for i := 1; i < n && len(p.leaps) < mostLeaps; i++ {
		if gains[i] < leapLimit*leapLimit {
			continue
		}
		near := gains[max(1, i-leapSpacing):min(n, i+leapSpacing+1)]
		if gains[i] < slices.Max(near) || p.leapNear(i) {
			continue
		}
		p.addLeap(i)
		found = true
	}
	p.sortLeaps()
	return found
}

// addLeap adds a jump somewhere between slice i and the one before it.
func (p *path) addLeap(i int) {
	left, right := p.slices[i-1].at, p.slices[i].at
	p.leaps = append(p.leaps, leap{before: i, at: left + (right-left)/2, sd: float64(right-left) / math.Sqrt(12)})
}

func (p *path) sortLeaps() {
	slices.SortFunc(p.leaps, func(a, b leap) int { return a.before - b.before })
}

func (p *path) leapNear(i int) bool {
	return slices.ContainsFunc(p.leaps, func(l leap) bool { return l.before-i < leapSpacing && i-l.before < leapSpacing })
}

// size is by how much the clock jumps before slice i.
func size(ahead, back state) (d, sd float64) {
	xy, yy := ahead.xy+back.xy, ahead.yy+back.yy
	d = back.x - ahead.x - xy/yy*(back.y-ahead.y)
	return d, math.Sqrt(max(0, ahead.xx+back.xx-xy*xy/yy))
}

// pruneLeaps leaves out jumps that are not believed any more once the noise is
// known better.
func (p *path) pruneLeaps() {
	if len(p.leaps) == 0 {
		return
	}
	back := p.backward()
	before := len(p.leaps)
	p.leaps = slices.DeleteFunc(p.leaps, func(l leap) bool {
		d, sd := size(p.ahead[l.before], back[l.before])
		return math.Abs(d) < leapLimit*sd
	})
	if len(p.leaps) < before {
		p.smooth()
	}
}

// steps says what is known of the jumps.
func (f *follower) steps(p *path) []Step {
	if len(p.leaps) == 0 {
		return nil
	}
	back := p.backward()
	var steps []Step
	for _, l := range p.leaps {
		d, sd := size(p.ahead[l.before], back[l.before])
		steps = append(steps, Step{Time: f.line.Reference + uint64(l.at), TimeSD: l.sd, Offset: d, OffsetSD: sd})
	}
	return steps
}
