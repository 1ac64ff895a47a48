package align

import (
	"math"
	"slices"
)

const (
	offBeat    = 0.25    // of a period, by which a marker may be early or late
	loose      = 0.1     // of a period, that the steps of a beat may scatter
	evenSteps  = 1.25    // times the shortest of them, of steps that count as even
	ownBeat    = 3       // markers off the beat that begin a new one
	seldomLeap = 20      // markers to each new beat, at least, after the first
	sampled    = 1 << 16 // steps that tell how long a step is
	phaseOf    = 31      // markers that tell when beat 0 was
)

// beat is a train of markers and on which beat each of them is, from 0 on.
type beat struct {
	times  []uint64
	index  []int64
	period float64 // ps
	zero   float64 // ps from the first marker to beat 0, as several markers tell it
}

// counter numbers the markers of a train.
type counter struct {
	beat
	run   int      // of times: where the present beat began
	leaps int      // times that a new beat began
	off   []uint64 // the latest markers off the beat that are on one of their own
	sum   float64  // of squares of how far steps are off the beat, in periods
}

// newBeat numbers the markers. Those off the beat are left out, unless so many
// follow each other in a beat of their own that a clock has jumped. regular is
// false when most have no beat.
func newBeat(times []uint64) (b beat, regular bool) {
	c := counter{beat: beat{period: usualStep(times), times: make([]uint64, 0, len(times)), index: make([]int64, 0, len(times))}}
	for _, t := range times {
		c.take(t)
	}
	n := len(c.times)
	if float64(n) < (1-mostOffBeat)*float64(len(times)) || n < minMarkers || c.leaps > 1+n/seldomLeap || c.sum > loose*loose*float64(n-1) {
		return beat{}, false
	}
	c.settle()
	return c.beat, true
}

// usualStep is the step from marker to marker that most are about as long as:
// lost markers make steps longer, stray ones shorter, but each in another way.
func usualStep(times []uint64) float64 {
	stride := len(times)/sampled + 1
	var steps []uint64
	for i := 0; i+1 < len(times); i += stride {
		steps = append(steps, times[i+1]-times[i])
	}
	slices.Sort(steps)
	most, at, k := 0, 0, 0
	for i, s := range steps {
		for k < len(steps) && float64(steps[k]) <= evenSteps*float64(s) {
			k++
		}
		if k-i > most {
			most, at = k-i, i
		}
	}
	return float64(steps[at+most/2])
}

func (c *counter) take(t uint64) {
	last := len(c.times) - 1
	if last < 0 {
		c.times, c.index = append(c.times, t), append(c.index, 0)
		return
	}
	n := float64(t-c.times[last]) / c.period
	whole := math.Round(n)
	switch {
	case math.Abs(n-whole) >= offBeat:
		c.stray(t)
	case whole >= 1:
		c.add(t, int64(whole))
		c.sum += (n - whole) * (n - whole)
		c.off = c.off[:0]
	case last > c.run: // two on one beat: the one that comes nearer to it counts
		due := float64(c.index[last]-c.index[last-1]) * c.period
		if math.Abs(float64(t-c.times[last-1])-due) < math.Abs(float64(c.times[last]-c.times[last-1])-due) {
			c.times[last] = t
		}
	}
}

// add appends a marker so many beats after the last.
func (c *counter) add(t uint64, beats int64) {
	c.times, c.index = append(c.times, t), append(c.index, c.index[len(c.index)-1]+beats)
	if since := c.index[len(c.index)-1] - c.index[c.run]; since >= minMarkers {
		c.period = float64(t-c.times[c.run]) / float64(since)
	}
}

// stray takes a marker off the beat; once enough of them have a beat of their
// own, it goes on with that. What came before, if less, was astray then.
func (c *counter) stray(t uint64) {
	if k := len(c.off); k > 0 {
		n := float64(t-c.off[k-1]) / c.period
		if whole := math.Round(n); whole < 1 || math.Abs(n-whole) >= offBeat {
			c.off = c.off[:0]
		}
	}
	c.off = append(c.off, t)
	if len(c.off) < ownBeat {
		return
	}
	if len(c.times)-c.run < ownBeat {
		c.times, c.index = c.times[:c.run], c.index[:c.run]
	} else {
		c.leaps++
	}
	own := slices.Clone(c.off)
	c.off, c.run = c.off[:0], len(c.times)
	if c.run == 0 {
		c.times, c.index = append(c.times, own[0]), append(c.index, 0)
	} else {
		c.add(own[0], max(1, int64(math.Round(float64(own[0]-c.times[c.run-1])/c.period))))
	}
	for i := 1; i < len(own); i++ {
		c.add(own[i], int64(math.Round(float64(own[i]-own[i-1])/c.period)))
	}
}

// settle finds period and phase by middle values, which no jump moves.
func (b *beat) settle() {
	far := max(1, len(b.times)/4)
	stride := len(b.times)/sampled + 1
	var periods, zeros []float64
	for i := 0; i+far < len(b.times); i += stride {
		periods = append(periods, float64(b.times[i+far]-b.times[i])/float64(b.index[i+far]-b.index[i]))
	}
	b.period = middle(periods)
	for i := range min(phaseOf, len(b.times)) {
		zeros = append(zeros, float64(b.times[i]-b.times[0])-float64(b.index[i]-b.index[0])*b.period)
	}
	first := b.index[0]
	for i := range b.index {
		b.index[i] -= first
	}
	b.zero = middle(zeros)
}

// middle returns the middle one of values, which it sorts.
func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// length is how many beats the train spans.
func (b beat) length() int64 { return b.index[len(b.index)-1] + 1 }

// lost lists the beats from which on markers are missing. Losses that follow
// each other count once, because one cause makes them.
func (b beat) lost() (starts []int64) {
	for i := 1; i < len(b.index); i++ {
		if b.index[i] > b.index[i-1]+1 {
			starts = append(starts, b.index[i-1]+1)
		}
	}
	return starts
}
