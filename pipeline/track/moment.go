package track

import (
	"math"
	"sort"
)

// moment is a time and the probability that a clock had jumped by then.
type moment struct {
	at     int64 // ps since Reference
	jumped float64
}

const (
	rareMoment = 1e-4 // a probability of less is none
	// What three standard deviations must hold though it is so unlikely: the part
	// of a normal variable that lies beyond them.
	rareSide = 0.0027
)

// momentsOf are those of weights between times, of which there is one more.
func momentsOf(weights []float64, times []int64) (all []moment) {
	sum, below := 0.0, 0.0
	for _, w := range weights {
		sum += w
	}
	for i, w := range weights {
		next := below + w/sum
		if next > rareMoment && below < 1-rareMoment {
			if len(all) == 0 {
				all = append(all, moment{times[i], below})
			}
			all = append(all, moment{times[i+1], next})
		}
		below = next
	}
	return all
}

// jumpedBy is the probability that the clock jumped before t, in s, when it did
// so between two times where the pairs do not tell the moment: that of a normal
// about it.
func (l *leap) jumpedBy(t, left, right float64) float64 {
	if n := len(l.moments); n > 0 {
		time := int64(t * second)
		i := sort.Search(n, func(i int) bool { return l.moments[i].at >= time })
		switch {
		case i == 0:
			return 0
		case i == n:
			return 1
		}
		one, next := l.moments[i-1], l.moments[i]
		return one.jumped + (next.jumped-one.jumped)*float64(time-one.at)/float64(next.at-one.at)
	}
	at, sd := float64(l.at)/second, l.sd/second
	below := func(t float64) float64 { return math.Erfc((at-t)/(math.Sqrt2*sd)) / 2 }
	first, all := below(left), below(right)-below(left)
	if !(sd > 0) || !(all > 0) {
		if t >= at {
			return 1
		}
		return 0
	}
	return min(1, max(0, (below(t)-first)/all))
}

// orElse is a state that with some probability is another. Its mean stays; where
// the other one is not rarer than what lies beyond three deviations, these hold
// it too.
func (s state) orElse(other state, probability float64) state {
	if probability >= rareSide {
		probability = max(probability, 1./9)
	}
	s.xx += squared(other.x-s.x) * probability
	s.yy += squared(other.y-s.y) * probability
	return s
}

// unsure adds to the variance of the clock at a time that jumps may have been
// earlier or later than the slices beside them, and what jumps that may be make
// of it.
func (p *path) unsure(time int64, s state) state {
	t := float64(time) / second
	first := sort.Search(len(p.leaps), func(k int) bool { return p.leaps[k].latest() >= time })
	for k := first; k < len(p.leaps) && p.leaps[k].earliest() <= time; k++ {
		l := &p.leaps[k]
		left, right := &p.slices[l.before-1], &p.slices[l.before]
		switch {
		case time >= right.at:
			old := p.all[l.before-1].after(t-left.t, p.noise)
			s = s.orElse(old, 1-l.jumpedBy(t, left.t, right.t))
		case time <= left.at:
			young := p.all[l.before].mirrored().after(right.t-t, p.noise).mirrored()
			s = s.orElse(young, l.jumpedBy(t, left.t, right.t))
		}
	}
	return p.doubted(time, s)
}

// earliest and latest are between when the pairs tell that the clock jumped.
func (l *leap) earliest() int64 {
	if len(l.moments) == 0 {
		return l.at
	}
	return l.moments[0].at
}

func (l *leap) latest() int64 {
	if len(l.moments) == 0 {
		return l.at
	}
	return l.moments[len(l.moments)-1].at
}
