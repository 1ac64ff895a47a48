package track

import "math"

// bank is a Kalman filter for each of many noises of the clock, weighted by how
// well it predicted (Magill 1965). Its mean and variance over the filters are
// honest while the noise is not known, and turn into those of the right filter
// as soon as the measurements tell.
type bank struct {
	members []member
	time    float64 // s, in the direction of tracking
	updates int
}

type member struct {
	noise
	estimate
	weight float64 // logarithm; the best is 0
	prior  float64 // what the weight is when nothing is known
}

const (
	// Every slice takes this part of what was learnt of the noise, so that a
	// clock that changes its ways is followed.
	forgetting = 0.002
	negligible = -20.0 // weight
	// Before anything is known a noisy clock is as much more likely as the
	// power caution of its noise: rather too wide than too narrow.
	caution    = 0.4
	seedLength = 1.0 // s
)

// quiets and walks are the noises tried: from a maser to a bare quartz in a
// draught.
var (
	quiets = []float64{0, 1, 10, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7}                  // ps^2/s: Allan deviation 1e-12 ... 3e-9 at 1 s
	walks  = []float64{0, 1e-2, 1e-1, 1, 10, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8} // ps^2/s^3: 1e-13 ... 1e-8 in 1 s
)

// newBank returns a bank that begins with a state. That was found from about
// seedLength of time, in which a noisy clock did not keep to the line either.
func newBank(time float64, s state) *bank {
	b := &bank{time: time}
	for _, qx := range quiets {
		for _, qy := range walks {
			prior := caution * (math.Log(max(qx, leastWhite)/quiets[len(quiets)-1]) + math.Log(max(qy, leastWalk)/walks[len(walks)-1]))
			known := s
			known.xx += qx*seedLength/4 + qy*seedLength*seedLength*seedLength/12
			known.yy += qx/seedLength + qy*seedLength
			b.members = append(b.members, member{noise{qx, qy}, estimate{state: known}, prior, prior})
		}
	}
	return b
}

func (b *bank) clone() *bank {
	c := *b
	c.members = append([]member(nil), b.members...)
	return &c
}

// at returns the state at a time, which is not before the last measurement.
func (b *bank) at(time float64) state {
	dt := max(0, time-b.time)
	origin := b.members[0].ahead(dt, b.members[0].noise) // far from 0, squares lose their digits
	var sum float64
	var mean state
	for i := range b.members {
		m := &b.members[i]
		if m.weight < negligible {
			continue
		}
		w, s := math.Exp(m.weight), m.ahead(dt, m.noise)
		x, y := s.x-origin.x, s.y-origin.y
		sum += w
		mean.x += w * x
		mean.y += w * y
		mean.xx += w * (s.xx + x*x)
		mean.xy += w * (s.xy + x*y)
		mean.yy += w * (s.yy + y*y)
	}
	x, y := mean.x/sum, mean.y/sum
	return state{origin.x + x, origin.y + y, max(0, mean.xx/sum-x*x), mean.xy/sum - x*y, max(0, mean.yy/sum-y*y)}
}

// update takes a slice's measurement at a time, in the direction of tracking.
func (b *bank) update(time float64, s *slice) {
	dt, best := max(0, time-b.time), math.Inf(-1)
	for i := range b.members {
		m := &b.members[i]
		off := m.measure(dt, m.noise, s)
		m.weight += forgetting*(m.prior-m.weight) + off.logLikelihood()
		best = max(best, m.weight)
	}
	for i := range b.members {
		b.members[i].weight -= best
	}
	b.time = time
	b.updates++
}

// leap takes a measurement after a jump of the clock.
func (b *bank) leap(time float64, s *slice) {
	dt := max(0, time-b.time)
	for i := range b.members {
		m := &b.members[i]
		m.estimate = m.leapt(dt, m.noise, s)
	}
	b.time = time
	b.updates++
}
