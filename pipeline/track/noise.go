package track

import (
	"math"
	"slices"
)

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
	p.likely = nil
	if len(p.slices) > manySlices {
		return
	}
	best := math.Inf(-1)
	for _, qx := range around(p.noise.qx, quiets) {
		for _, qy := range around(p.noise.qy, walks) {
			q := likely{noise{qx, qy}, p.likelihood(noise{qx, qy})}
			p.likely = append(p.likely, q)
			best = max(best, q.weight)
		}
	}
	sum, mean := 0.0, noise{}
	for i := range p.likely {
		q := &p.likely[i]
		q.weight = math.Exp(q.weight - best)
		sum += q.weight
		mean.qx += q.weight * q.qx
		mean.qy += q.weight * q.qy
	}
	p.addNone(best)
	p.noise = noise{mean.qx / sum, mean.qy / sum}
}

// likely is a noise and how likely it is beside the others.
type likely struct {
	noise
	weight float64
}

// addNone adds to the likely noises those of which white or walk is none, where
// the most likely is some. The mean noise is without them.
func (p *path) addNone(best float64) {
	add := func(qx, qy float64) {
		p.likely = append(p.likely, likely{noise{qx, qy}, math.Exp(p.likelihood(noise{qx, qy}) - best)})
	}
	white, walk := p.noise.qx > 0, p.noise.qy > 0
	if white && walk {
		add(0, 0)
	}
	for _, qx := range around(p.noise.qx, quiets) {
		if walk {
			add(qx, 0)
		}
	}
	for _, qy := range around(p.noise.qy, walks) {
		if white {
			add(0, qy)
		}
	}
}

const (
	unlikely = 0.01 // beside the most likely noise: is left out
	// A clock noisier than a good oven-controlled quartz, of 3e-12 at 1 s and as
	// much of a walk, is believed only where its slices show it.
	oven   = 10.0 // ps^2/s, ps^2/s^3
	rarity = 2.0  // power
)

// over returns the clock at some times as it is over all noises that may be,
// each by its likelihood: the mean, and the variance within and between them.
// Where the clock is straight as far as its slices tell, that is not much more
// than the variance of a straight line.
func (p *path) over(times []int64) []state {
	all := make([]state, len(times))
	if len(p.likely) == 0 || p.filtered == nil {
		for k, t := range times {
			all[k] = p.at(t)
		}
		return all
	}
	noises, each := p.believed(), [][]state{}
	for _, q := range noises {
		with := path{slices: p.slices, leaps: p.leaps, noise: q.noise}
		with.smooth()
		each = append(each, with.over(times))
	}
	for k := range all {
		m := &all[k]
		for i, s := range each {
			w := noises[i].weight
			m.x, m.y = m.x+w*s[k].x, m.y+w*s[k].y
		}
		for i, s := range each {
			w, dx, dy := noises[i].weight, s[k].x-m.x, s[k].y-m.y
			m.xx, m.xy, m.yy = m.xx+w*(s[k].xx+dx*dx), m.xy+w*(s[k].xy+dx*dy), m.yy+w*(s[k].yy+dy*dy)
		}
		*m = p.doubted(times[k], *m)
	}
	return all
}

// believed are the likely noises, with weights that add up to 1.
func (p *path) believed() (noises []likely) {
	most, sum := 0.0, 0.0
	for _, q := range p.likely {
		q.weight *= math.Pow(max(q.qx/oven, 1)*max(q.qy/oven, 1), -rarity)
		noises, most = append(noises, q), max(most, q.weight)
	}
	noises = slices.DeleteFunc(noises, func(q likely) bool { return q.weight < unlikely*most })
	for _, q := range noises {
		sum += q.weight
	}
	for i := range noises {
		noises[i].weight /= sum
	}
	return noises
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
