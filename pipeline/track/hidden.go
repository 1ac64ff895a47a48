package track

import (
	"math"
	"slices"
)

const (
	hiddenReach = 128 // slices on each side that are asked
	hiddenSides = 2   // slices on each side at least: a single one may as well be wrong
	hiddenGain  = 6.0 // squares of standard deviations below which there is nothing to ask
	// What a jump costs in log likelihood: the evidence of the slice after it,
	// which a size between plus and minus 10 us takes up, and the choice of its
	// moment among hundreds. It is as much as leapLimit asks for.
	leapPrice = 28.0
	// In a gap there is no choice of its moment, and time for a jump.
	gapPrice = 20.0
	// The same for a slice that holds pairs of both sides and is left out.
	mixedPrice = 12.0
	// The same for a frequency between plus and minus 1000 ppb that one slice
	// after the jump tells to about 1.
	turnPrice = 8.0
)

// hidden is a jump that may be, with the slice across it left out or not.
type hidden struct {
	before int // index of the slice after the jump
	mixed  int // index of the slice that is left out; -1: none
	anew   bool
}

// addHidden finds a jump that made the noise of few slices seem so large that
// it explains the jump. It asks which is more likely: this noise, or the jump
// and whatever noise is left without it (generalised likelihood ratio, Willsky
// and Jones 1976, over the noise too).
func (p *path) addHidden(back []state) bool {
	tried := make(map[hidden]bool)
	for _, i := range p.suspects(back) {
		best, most := hidden{}, 0.0
		for _, h := range []hidden{{i, -1, false}, {i, i - 1, false}, {i + 1, i, false}, {i, -1, true}, {i, i - 1, true}, {i + 1, i, true}} {
			if tried[h] {
				continue
			}
			tried[h] = true
			if more := p.worth(h); more > most {
				best, most = h, more
			}
		}
		if most > 0 {
			p.uncover(best)
			return true
		}
	}
	return false
}

// suspects are the slices before which a jump is most likely: by how much the
// slices disagree there, and by how far the phase goes beyond its neighbours'
// slopes.
func (p *path) suspects(back []state) []int {
	gains, bends, turns := 0.0, 0.0, 0.0
	byGain, byBend, byTurn := -1, -1, -1
	for i := hiddenSides; i <= len(p.slices)-hiddenSides; i++ {
		if p.leapNear(i) {
			continue
		}
		if g := gain(p.ahead[i], back[i]); g > max(gains, hiddenGain) {
			gains, byGain = g, i
		}
		if g := turn(p.ahead[i], back[i]); g > max(turns, hiddenGain) {
			turns, byTurn = g, i
		}
		slope := func(k int) float64 {
			return (p.slices[k].x - p.slices[k-1].x) / (p.slices[k].t - p.slices[k-1].t)
		}
		dt := p.slices[i].t - p.slices[i-1].t
		before, after := slope(i-1), slope(i+min(1, len(p.slices)-1-i))
		d := math.Abs(slope(i)-(before+after)/2) * dt
		if d*d > max(bends, leapLimit*leapLimit*(p.slices[i].v+p.slices[i-1].v)) {
			bends, byBend = d*d, i
		}
	}
	found := make([]int, 0, 3)
	for _, i := range []int{byGain, byBend, byTurn} {
		if i >= 0 && !slices.Contains(found, i) {
			found = append(found, i)
		}
	}
	return found
}

// worth is by how much a jump makes the slices about it more likely, its price
// paid.
func (p *path) worth(h hidden) float64 {
	price := leapPrice
	if p.inGap(h.before) {
		price = gapPrice
	}
	if h.mixed >= 0 {
		price += mixedPrice
	}
	if h.anew {
		price += turnPrice
	}
	more, _ := p.evidence(h)
	return more - price
}

const (
	quieter    = 1e-3 // of the noise, to see what jumps would be left to explain
	usualTails = 3.0  // standard deviations by which the kurtosis of normal values may be off 3
)

// supposeQuiet looks for several jumps that together made the noise seem so
// large that each of them is hidden by the others: those that show when the
// clock is quiet otherwise. They are taken when they and the noise that is left
// are likelier than the noise, their prices paid.
func (p *path) supposeQuiet() bool {
	if !p.bursts() {
		return false
	}
	trial := p.part(0, len(p.slices))
	trial.noise = noise{p.noise.qx * quieter, p.noise.qy * quieter}
	// Of a turn that the noise half explains, the rest looks like a jump.
	trial.leaps = slices.DeleteFunc(trial.leaps, func(l leap) bool { return !l.anew && !l.placed })
	for range 2 * leapRounds {
		trial.mergeLeaps()
		trial.smooth()
		back := trial.backward()
		if !trial.addLargest(back) && !trial.dropOutliers(back) {
			break
		}
	}
	trial.pruneLeaps()
	if len(trial.leaps) == 0 {
		return false
	}
	price := trial.price() - p.price() + float64(len(p.slices)-len(trial.slices))*mixedPrice
	if trial.likeliest()-p.likelihood(p.noise) < max(price, turnPrice) {
		return false
	}
	*p = *trial
	return true
}

// bursts says whether what each slice is off what those before it foretell has
// more weight in its tails than a normal: the clock does much at few times.
func (p *path) bursts() bool {
	var n, squares, fourths float64
	next := 0
	for i := 2; i < len(p.slices); i++ {
		if p.kindAt(i, &next) == steadily {
			s := &p.slices[i]
			z := squared(s.x-p.ahead[i].x) / (p.ahead[i].xx + p.noise.spread(s))
			n++
			squares += z
			fourths += z * z
		}
	}
	return n*fourths > squares*squares*(3+usualTails*math.Sqrt(24/n))
}

// price is what all jumps cost.
func (p *path) price() (sum float64) {
	for _, l := range p.leaps {
		sum += leapPrice
		if l.anew {
			sum += turnPrice
		}
	}
	return sum
}

// addLargest adds the one jump that explains most.
func (p *path) addLargest(back []state) bool {
	gains, turns := p.gains(back)
	best, most, anew := 0, 0.0, false
	for i := range gains {
		if p.leapNear(i) {
			continue
		}
		if more := gains[i] - leapLimit*leapLimit; more > most {
			best, most, anew = i, more, false
		}
		if more := turns[i] - turnLimit*turnLimit; more > most {
			best, most, anew = i, more, true
		}
	}
	if best == 0 {
		return false
	}
	p.addLeap(best, anew)
	p.sortLeaps()
	return true
}

// inGap says whether slice i comes after a time without pairs.
func (p *path) inGap(i int) bool {
	s := &p.slices[i]
	return s.from-p.slices[i-1].to >= gapSlices*(s.to-s.from)
}

// shiftLeaps moves jumps that were not placed yet before the slices where they are likeliest, as the
// clock is or if it were quiet: a slice that is taken for one of the wrong side
// bends that side.
func (p *path) shiftLeaps() {
	for k := range p.leaps {
		if !p.leaps[k].anew || p.leaps[k].placed {
			continue
		}
		at, best, most := p.leaps[k].before, p.leaps[k].before, math.Inf(-1)
		low, high := max(0, at-hiddenReach), min(len(p.slices), at+hiddenReach)
		for _, quiet := range []float64{1, quieter} {
			part := p.part(low, high)
			part.noise = noise{p.noise.qx * quiet, p.noise.qy * quiet}
			l := slices.IndexFunc(part.leaps, func(l leap) bool { return l.before == at-low })
			for _, shift := range []int{0, -1, 1, -2, 2, -3, 3} {
				before := at + shift
				if before-low < hiddenSides || high-before < hiddenSides || p.leapClose(before, k) {
					continue
				}
				part.leaps[l].before = before - low
				if ll := part.likelihood(part.noise); ll > most+1e-6 {
					most, best = ll, before
				}
			}
		}
		if best != at {
			p.leaps[k] = p.somewhere(best, true)
		}
	}
}

// leapClose says whether a jump other than the k-th is hardly a slice away.
func (p *path) leapClose(before, k int) bool {
	for i, l := range p.leaps {
		if i != k && l.before-before < hiddenSides && before-l.before < hiddenSides {
			return true
		}
	}
	return false
}

// part is a copy of the slices from low to high, with the jumps between them.
func (p *path) part(low, high int) *path {
	part := &path{slices: slices.Clone(p.slices[low:high]), noise: p.noise}
	for _, l := range p.leaps {
		if l.before > low && l.before < high {
			l.before -= low
			part.leaps = append(part.leaps, l)
		}
	}
	return part
}

// likeliest is the likelihood of the slices under the noise that suits them
// best.
func (p *path) likeliest() float64 {
	p.refine(p.likelihood(p.noise), 10)
	return p.likelihood(p.noise)
}

// uncover adds a jump, and leaves out the slice across it.
func (p *path) uncover(h hidden) {
	if h.mixed >= 0 {
		wrong := make([]bool, len(p.slices))
		wrong[h.mixed] = true
		p.drop(wrong)
		if h.mixed < h.before {
			h.before--
		}
	}
	p.addLeap(h.before, h.anew)
	p.sortLeaps()
}
