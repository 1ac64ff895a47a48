package track

import "math"

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
	if len(p.slices) > manySlices {
		return
	}
	type likely struct {
		noise
		ll float64
	}
	var all []likely
	best := math.Inf(-1)
	for _, qx := range around(p.noise.qx, quiets) {
		for _, qy := range around(p.noise.qy, walks) {
			q := likely{noise{qx, qy}, p.likelihood(noise{qx, qy})}
			all, best = append(all, q), max(best, q.ll)
		}
	}
	sum, mean := 0.0, noise{}
	for _, q := range all {
		w := math.Exp(q.ll - best)
		sum += w
		mean.qx += w * q.qx
		mean.qy += w * q.qy
	}
	p.noise = noise{mean.qx / sum, mean.qy / sum}
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
