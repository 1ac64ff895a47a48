package track

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// locate finds when the clock jumped, from the pairs one by one: each lies
// about what the clock was to be before or after. The posterior of the moment,
// equally likely everywhere before, gives its mean and standard deviation. The
// strip then holds the pairs of both sides.
func (f *follower) locate(p *path, s *strip, back []state, k int) {
	l := &p.leaps[k]
	first, last := l.before-2, l.before+1 // the slices beside the jump may hold pairs of both sides
	if k > 0 {
		first = max(first, p.leaps[k-1].before)
	}
	if k+1 < len(p.leaps) {
		last = min(last, p.leaps[k+1].before-1)
	}
	first, last = max(first, 0), min(last, len(p.slices)-1)
	from, to := p.slices[first].at, p.slices[last].at
	old := branch{p.slices[first].t, p.filtered[first], p.noise}
	young := branch{p.slices[last].t, back[last], p.noise}
	points := f.beside(s, old, young, from, to)
	if last, next := p.slices[l.before-1].to, p.slices[l.before].from; next-last >= gapSlices*f.slice && s.empty(p, points, old, young, last, next) {
		l.at, l.sd, l.moments = last+(next-last)/2, float64(next-last)/math.Sqrt(12), nil
		return // chance pairs in a gap do not tell
	}
	if len(points) == 0 {
		return
	}
	l.at, l.sd, l.moments = changed(points, s, old, young, from, to)
	if l.anew {
		p.meet(l, back, from, to)
	}
	s.replace(points, from, to, func(q point) bool {
		side := old
		if q.at >= l.at {
			side = young
		}
		x, v := side.at(q.at)
		return math.Abs(q.d-x) <= s.half+4*math.Sqrt(v)
	})
}

// meet places a jump of the frequency alone where both sides meet, when that is
// where the pairs place it: two lines tell that better than the pairs between.
func (p *path) meet(l *leap, back []state, from, to int64) {
	i := l.before
	old, young := branch{p.slices[i-1].t, p.filtered[i-1], p.noise}, branch{p.slices[i].t, back[i], p.noise}
	x, v := old.at(l.at)
	x2, v2 := young.at(l.at)
	turns := young.y - old.y
	late := (x - x2) / turns * second
	sd := math.Sqrt(v+v2) / math.Abs(turns) * second
	if at := float64(l.at) + late; math.Abs(late) < sureties*math.Hypot(sd, l.sd) && at > float64(from) && at < float64(to) {
		l.at, l.sd, l.moments = int64(at), max(sd, 1), nil
	}
}

// empty says whether less than half of the pairs that are usual lie about
// either side of a jump between two times: those that a jump hid from the
// tracker do.
func (s *strip) empty(p *path, points []point, old, young branch, from, to int64) bool {
	before, after, width := 0, 0, 2*s.peak.sigma
	for _, q := range points {
		if q.at < from || q.at >= to {
			continue
		}
		x, v := old.at(q.at)
		if math.Abs(q.d-x) < width+2*math.Sqrt(v) {
			before++
		} else if x, v = young.at(q.at); math.Abs(q.d-x) < width+2*math.Sqrt(v) {
			after++
		}
	}
	return float64(before+after) < p.rate()*float64(to-from)/second/2
}

const sureties = 4.0 // standard deviations within which two moments are the same

// branch is one side of a jump, carried to the other.
type branch struct {
	t float64
	state
	noise noise
}

func (b branch) at(time int64) (x, v float64) {
	t := float64(time) / second
	var s state
	if t >= b.t {
		s = b.after(t-b.t, b.noise)
	} else {
		s = b.mirrored().after(b.t-t, b.noise)
	}
	return s.x, s.xx
}

// beside lists the pairs near either side, in order.
func (f *follower) beside(s *strip, old, young branch, from, to int64) []point {
	a := f.a[search(f.a, f.line.Reference+uint64(from)):search(f.a, f.line.Reference+uint64(to))]
	c := collector{frame: f.frame}
	var points []point
	for _, b := range []branch{old, young} {
		_, v1 := b.at(from)
		_, v2 := b.at(to)
		centre := int64(b.t * second)
		near, _ := c.collect(a, f.b, aim{centre: centre, x: b.x, y: b.y / second, half: s.half + 4*math.Sqrt(max(v1, v2))}, maxPoints)
		points = append(points, near...)
	}
	slices.SortFunc(points, func(p, q point) int {
		return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.d, q.d))
	})
	return slices.Compact(points)
}

// changed returns the mean and standard deviation of the moment between from
// and to after which points lie about young instead of old, and how likely it was
// before which time.
func changed(points []point, s *strip, old, young branch, from, to int64) (at int64, sd float64, all []moment) {
	flat := (1 - s.peak.share) / (2 * s.half)
	weigh := func(b branch, q point) float64 {
		x, v := b.at(q.at)
		v += s.peak.sigma * s.peak.sigma
		d := q.d - x
		return math.Log(flat + s.peak.share*math.Exp(-d*d/(2*v))/math.Sqrt(2*math.Pi*v))
	}
	score := make([]float64, len(points)+1) // of a change just before point i
	for i, q := range points {
		score[i+1] = score[i] + weigh(old, q) - weigh(young, q)
	}
	best := slices.Max(score)
	var sum, mean, square float64
	weights, times := make([]float64, len(score)), make([]int64, len(score)+1)
	times[0], times[len(score)] = from, to
	for i := range score {
		left, right := from, to
		if i > 0 {
			left = points[i-1].at
		}
		if i < len(points) {
			right = points[i].at
		}
		length := float64(right - left)
		w := math.Exp(score[i]-best) * (length + 1)
		weights[i], times[i+1] = w, right
		middle := float64(left-from) + length/2
		sum += w
		mean += w * middle
		square += w * (middle*middle + length*length/12)
	}
	mean /= sum
	return from + int64(mean), math.Sqrt(max(square/sum-mean*mean, 1)), momentsOf(weights, times)
}

// replace puts points between from and to in the place of those of the strip.
func (s *strip) replace(points []point, from, to int64, good func(point) bool) {
	low, _ := slices.BinarySearchFunc(s.points, from, func(p point, t int64) int { return cmp.Compare(p.at, t) })
	high, _ := slices.BinarySearchFunc(s.points, to, func(p point, t int64) int { return cmp.Compare(p.at, t) })
	points = slices.DeleteFunc(points, func(q point) bool { return !good(q) })
	s.points = slices.Replace(s.points, low, max(low, high), points...)
}

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
