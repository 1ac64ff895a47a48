package track

import (
	"cmp"
	"math"
	"slices"
)

// What a record cannot show of its clock is part of what is stated. A clock
// that wanders by less than its slices scatter looks as one that keeps to a
// line, so the clock is taken for all that it may be at once, each by how likely
// the slices make it: of many noises, and for a line with a slow sine.

// belief is one way the clock may move, and how much it is believed: all
// weights add up to 1.
type belief struct {
	clock
	weight float64
}

// clock is what is known of the clock at any time, if it moves in one way.
type clock interface {
	noisy(time int64) state
}

const (
	// A clock noisier than an oven-controlled quartz, of 8e-12 at 1 s and as
	// much of a walk, is believed only where its slices show it: in proportion.
	oven = 60.0 // ps^2/s, ps^2/s^3
	// A clock of more noise than this shows what it is, but for a factor of ten.
	loud = 1000.0 // ps^2/s, ps^2/s^3
	// That there is none of a noise is as likely as each level of it. In shorter
	// records, and in fewer slices, levels that matter are fewer, and none counts
	// for more.
	usualLength = 16.0 // s
	usualSlices = 256.0
	swaying     = 0.2  // all sines together, beside all noises, before anything is known
	unlikely    = 0.01 // beside the most likely way: is left out
)

// quietest and calmest are noises of quiet clocks, from what no record shows.
var (
	quietest = []float64{0, 1, 3, 10, 30, 100, 300, 1000, 3000}  // ps^2/s
	calmest  = []float64{0, 0.01, 0.1, 1, 10, 100, 1000, 10_000} // ps^2/s^3
)

// believe finds the ways in which the clock may move, of a path that was
// smoothed under its most likely noise. Where the clock jumps, or its slices are
// many or but one, that noise is all.
func (p *path) believe() {
	p.beliefs = nil
	if len(p.slices) > manySlices || len(p.leaps) > 0 || !(p.length() > 0) {
		return
	}
	type way struct {
		noise
		sway *sway
		ll   float64 // with what was believed before
	}
	var ways []way
	all, none := 0.0, max(1, usualLength/p.length(), usualSlices/float64(len(p.slices)))
	for _, qx := range believable(p.noise.qx, quietest) {
		for _, qy := range believable(p.noise.qy, calmest) {
			prior := before(qx, none) * before(qy, none)
			all += prior
			ways = append(ways, way{noise{qx, qy}, nil, p.likelihood(noise{qx, qy}) + math.Log(prior)})
		}
	}
	sways, line := p.sways(), p.likelihood(noise{})
	for _, s := range sways {
		ways = append(ways, way{noise{}, s, line + s.gain + math.Log(swaying*all/float64(len(sways)))})
	}
	best := slices.MaxFunc(ways, func(a, b way) int { return cmp.Compare(a.ll, b.ll) }).ll
	sum := 0.0
	for _, w := range ways {
		weight := math.Exp(w.ll - best)
		if weight < unlikely {
			continue
		}
		sum += weight
		if w.sway != nil {
			p.beliefs = append(p.beliefs, belief{w.sway, weight})
			continue
		}
		under := &path{slices: p.slices, noise: w.noise}
		under.smooth()
		p.beliefs = append(p.beliefs, belief{under, weight})
	}
	for i := range p.beliefs {
		p.beliefs[i].weight /= sum
	}
	for i := range p.slices {
		p.all[i] = p.mixed(p.slices[i].at)
	}
}

// before is how much a noise is believed before anything is known.
func before(q, none float64) float64 {
	if q == 0 {
		return none
	}
	return min(1, oven/q)
}

// believable are the noises that may be, when q is likely.
func believable(q float64, quiet []float64) []float64 {
	if q <= loud {
		return quiet
	}
	return append([]float64{0}, around(q, nil)...)
}

// mixed is the clock at a time over all that it may be: the mean, and the
// variance within and between.
func (p *path) mixed(time int64) (m state) {
	each := make([]state, len(p.beliefs))
	for i, b := range p.beliefs {
		s := b.noisy(time)
		m.x, m.y = m.x+b.weight*s.x, m.y+b.weight*s.y
		each[i] = s
	}
	for i, b := range p.beliefs {
		w, s, dx, dy := b.weight, each[i], each[i].x-m.x, each[i].y-m.y
		m.xx, m.xy, m.yy = m.xx+w*(s.xx+dx*dx), m.xy+w*(s.xy+dx*dy), m.yy+w*(s.yy+dy*dy)
	}
	return m
}
