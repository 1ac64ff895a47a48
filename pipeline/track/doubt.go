package track

import "math"

const (
	// The log likelihood from which a jump that is not believed may be one: chance
	// makes as much once in some hundred records.
	doubtful   = 12.0
	mostDoubts = 8
)

// doubt looks for jumps that are not believed, because the noise explains them
// nearly as well: for each moment the clock may then have been where the noise
// has it, or where the jump does. By how far these are apart, the clock is not
// known there.
func (p *path) doubt() {
	other := p.part(0, len(p.slices))
	other.smooth()
	for range mostDoubts {
		h, from, to, quiet, ok := other.likeliestJump()
		if !ok {
			break
		}
		other.noise = quiet
		other.uncover(h)
		other.smooth()
		if p.other == nil {
			p.unsureFrom = from
		}
		p.other, p.unsureFrom, p.unsureTo = other, min(p.unsureFrom, from), max(p.unsureTo, to)
	}
}

// likeliestJump is the likeliest jump that may be, from when to when it is looked at,
// in ps since Reference, and what noise is left with it.
func (p *path) likeliestJump() (best hidden, from, to int64, left noise, ok bool) {
	most := doubtful
	for _, i := range p.suspects(p.backward()) {
		for _, h := range []hidden{{i, -1, false}, {i, i - 1, false}, {i + 1, i, false}, {i, -1, true}} {
			if !p.hinted(h) {
				continue
			}
			more, quiet := p.evidence(h)
			if h.mixed >= 0 {
				more -= mixedPrice
			}
			if h.anew {
				more -= turnPrice
			}
			if more > most {
				low, high := h.about(len(p.slices))
				most, best, left, ok = more, h, quiet, true
				from, to = p.slices[low].from, p.slices[high-1].to
			}
		}
	}
	return best, from, to, left, ok
}

// doubted adds to the variance of the clock at a time what jumps that may be make
// of it.
func (p *path) doubted(time int64, s state) state {
	if p.other == nil || time < p.unsureFrom || time > p.unsureTo {
		return s
	}
	return s.orElse(p.other.at(time), 1)
}

// about are the slices that are asked for a jump, of n.
func (h hidden) about(n int) (low, high int) {
	return max(0, h.before-hiddenReach), min(n, h.before+hiddenReach)
}

// evidence is by how much a jump makes the slices about it more likely, and the
// noise that is left with it.
func (p *path) evidence(h hidden) (more float64, left noise) {
	plain, jumps, ok := p.without(h)
	if !ok {
		return math.Inf(-1), p.noise
	}
	more = jumps.likeliest() - plain.likeliest()
	return more, jumps.noise
}

// without are the slices about a jump, as they are and with it; ok is false where
// they are too few.
func (p *path) without(h hidden) (plain, jumps *path, ok bool) {
	low, high := h.about(len(p.slices))
	if h.before-low < hiddenSides+1 || high-h.before < hiddenSides {
		return nil, nil, false
	}
	plain, jumps = p.part(low, high), p.part(low, high)
	h.before -= low
	if h.mixed >= 0 {
		h.mixed -= low
	}
	jumps.uncover(h)
	return plain, jumps, true
}

// hinted says, for little work, whether a jump may be worth to be asked for.
func (p *path) hinted(h hidden) bool {
	plain, jumps, ok := p.without(h)
	if !ok {
		return false
	}
	usual := plain.likelihood(p.noise)
	for _, quiet := range []float64{1, 0.1, 1e-2, 1e-4, 0} {
		if jumps.likelihood(noise{p.noise.qx * quiet, p.noise.qy * quiet}) > usual+doubtful/2 {
			return true
		}
	}
	return false
}
