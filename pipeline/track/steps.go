package track

import (
	"math"
	"slices"
)

const (
	leapLimit   = 7.0 // standard deviations of a jump that is believed
	turnLimit   = 8.0 // the same for a clock that goes on anew, which two numbers describe
	sameSlope   = 3.5 // standard deviations from which the frequency is another after a jump
	leapRounds  = 16
	leapSpacing = 4 // slices between jumps that can be told apart
	mostLeaps   = 1000
)

// gain is how much better slices agree with a jump of the phase before slice i,
// in squares of standard deviations: 0 when one of the frequency explains more.
func gain(ahead, back state) float64 {
	dx, dy := back.x-ahead.x, back.y-ahead.y
	xx, xy, yy := ahead.xx+back.xx, ahead.xy+back.xy, ahead.yy+back.yy
	if !(xx*yy-xy*xy > 0) || dx*dx/xx < dy*dy/yy {
		return 0
	}
	d := dx - xy/yy*dy
	return d * d / (xx - xy*xy/yy)
}

// turn is by how much slices before and after slice i disagree, in squares of
// standard deviations, when no jump of the phase alone explains it: else 0.
func turn(ahead, back state) float64 {
	dx, dy := back.x-ahead.x, back.y-ahead.y
	xx, xy, yy := ahead.xx+back.xx, ahead.xy+back.xy, ahead.yy+back.yy
	det := xx*yy - xy*xy
	if !(det > 0) || dy*dy < sameSlope*sameSlope*yy {
		return 0
	}
	return (dx*dx*yy - 2*dx*dy*xy + dy*dy*xx) / det
}

// findLeaps finds jumps of the clock by comparing what the slices before each
// moment predict with what those after it do (Willsky and Jones 1976, with the
// two filters of Fraser and Potter 1969), and slices that agree with neither
// side, which are left out. The noise is estimated anew each time.
func (p *path) findLeaps() {
	quiet := false // whether that was tried
	for range leapRounds {
		p.mergeLeaps()
		p.shiftLeaps()
		p.smooth()
		back := p.backward()
		if !p.dropOutliers(back) && !p.addLeaps(back) && !p.addHidden(back) {
			if quiet || !p.supposeQuiet() {
				break
			}
			quiet = true
		}
		p.refine(p.likelihood(p.noise), 10)
	}
	p.mergeLeaps()
	p.shiftLeaps()
	p.smooth()
	p.pruneLeaps()
}

// mergeLeaps makes one jump of two with hardly a slice between them, of which
// one begins anew: two slices are on a line whatever they are, so they show no
// clock, and are left out.
func (p *path) mergeLeaps() {
	wrong := make([]bool, len(p.slices))
	merged := false
	for k := 1; k < len(p.leaps); k++ {
		one, next := p.leaps[k-1], p.leaps[k]
		if (one.anew || next.anew) && next.before-one.before <= hiddenSides {
			for i := one.before; i < next.before; i++ {
				wrong[i], merged = true, true
			}
		}
	}
	if !merged || len(wrong)-count(wrong) < leastSlices {
		return
	}
	p.drop(wrong)
	for k := 1; k < len(p.leaps); k++ {
		if before := p.leaps[k].before; before == p.leaps[k-1].before {
			p.leaps = slices.Delete(p.leaps, k-1, k)
			k--
			p.leaps[k] = p.somewhere(before, true)
		}
	}
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
			leaps = max(leaps, gain(p.ahead[k], back[k]), turn(p.ahead[k], back[k]))
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
	gains, turns := p.gains(back)
	found := p.addHighest(gains, leapLimit, false) // what a jump of the phase explains needs no other
	if !found {
		found = p.addHighest(turns, turnLimit, true)
	}
	p.sortLeaps()
	return found
}

// gains are how much a jump before each slice would explain, of the phase or of
// a clock that goes on anew, in squares of standard deviations.
func (p *path) gains(back []state) (gains, turns []float64) {
	n := len(p.slices)
	gains, turns = make([]float64, n), make([]float64, n)
	for i := 1; i < n; i++ {
		gains[i] = gain(p.ahead[i], back[i])
		if i >= hiddenSides && i <= n-hiddenSides && turn(p.ahead[i], back[i]) > 0 {
			turns[i] = 2 * (p.past[i] + p.future[i] - p.past[n])
		}
	}
	return gains, turns
}

// addHighest adds a jump before each slice of which the squares of standard
// deviations are beyond the limit, and the largest around.
func (p *path) addHighest(squares []float64, limit float64, anew bool) (found bool) {
	n := len(squares)
	for i := 1; i < n && len(p.leaps) < mostLeaps; i++ {
		if squares[i] < limit*limit {
			continue
		}
		near := squares[max(1, i-leapSpacing):min(n, i+leapSpacing+1)]
		if squares[i] < slices.Max(near) || p.leapNear(i) {
			continue
		}
		p.addLeap(i, anew)
		found = true
	}
	return found
}

// addLeap adds a jump somewhere between slice i and the one before it.
func (p *path) addLeap(i int, anew bool) {
	p.leaps = append(p.leaps, p.somewhere(i, anew))
}

// somewhere is a jump just before slice i, at any time since the one before it.
func (p *path) somewhere(i int, anew bool) leap {
	left, right := p.slices[i-1].at, p.slices[i].at
	return leap{before: i, at: left + (right-left)/2, sd: float64(right-left) / math.Sqrt(12), anew: anew}
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
// known better; where the frequency is the same before and after, the jump is
// one of the phase.
func (p *path) pruneLeaps() {
	if len(p.leaps) == 0 {
		return
	}
	back := p.backward()
	changed := false
	for i := range p.leaps {
		l := &p.leaps[i]
		if l.anew && turn(p.ahead[l.before], back[l.before]) == 0 {
			l.anew, changed = false, true
		}
	}
	before := len(p.leaps)
	p.leaps = slices.DeleteFunc(p.leaps, func(l leap) bool {
		ahead, back := p.ahead[l.before], back[l.before]
		if l.anew {
			return turn(ahead, back) < leapLimit*leapLimit
		}
		d, sd := size(ahead, back)
		return math.Abs(d) < leapLimit*sd
	})
	if changed || len(p.leaps) < before {
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
	for i := range p.leaps {
		l := &p.leaps[i]
		s := Step{Time: f.line.Reference + uint64(l.at), TimeSD: l.sd}
		s.Offset, s.OffsetSD = size(p.ahead[l.before], back[l.before])
		if l.anew {
			old, young := p.sides(l.before, float64(l.at)/second, l)
			y := young.y - old.y
			s.Offset, s.OffsetSD = young.x-old.x, math.Sqrt(old.xx+young.xx+squared(y*l.sd/second))
			s.Frequency, s.FrequencySD = y/second*1e9, math.Sqrt(old.yy+young.yy)/second*1e9
		}
		steps = append(steps, s)
	}
	return steps
}
