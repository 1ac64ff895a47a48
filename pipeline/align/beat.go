package align

import (
	"fmt"
	"math"
	"slices"

	"tsrun/sdk/quantity"
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
	astray float64 // of a train that is irregular though most of it keeps a beat: the part that does not
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
// follow each other in a beat of their own that a clock has jumped. Where most
// have no beat it is irregular.
func newBeat(times []uint64) beat {
	c := counter{beat: beat{period: usualStep(times), times: make([]uint64, 0, len(times)), index: make([]int64, 0, len(times))}}
	for _, t := range times {
		c.take(t)
	}
	n := len(c.times)
	if n < minMarkers || c.leaps > 1+n/seldomLeap || c.sum > loose*loose*float64(n-1) {
		return beat{}
	}
	if off := 1 - float64(n)/float64(len(times)); off > mostAstray {
		return beat{}
	} else if off > mostOffBeat {
		return beat{astray: off, period: c.period}
	}
	c.settle()
	return c.beat
}

func (b beat) irregular() bool { return len(b.times) == 0 }

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

// after is by how many ps beat 0 comes later than that of A.
func (b beat) after(a beat) float64 {
	return float64(int64(b.times[0]-a.times[0])) + b.zero - a.zero
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

const (
	maxMatching  = 1e8 // pairs of losses that are compared while matching
	maxShifts    = 1 << 24
	plainSurplus = 5.0 // standard deviations by which the best match must lose more in common than one that repeats it
)

// match returns m such that beat j of B and beat j+m of A are one marker.
func match(a, b beat, o Options) (int64, error) {
	apart := b.after(a)
	reach := float64(o.Search)
	offset := func(m int64) float64 { return apart - float64(m)*a.period }
	first, last := int64(math.Ceil((apart-reach)/a.period)), int64(math.Floor((apart+reach)/a.period))
	if first > last {
		near := offset(int64(math.Round(apart / a.period)))
		return 0, &Refusal{Code: "outside-search", Period: a.period,
			Reason: fmt.Sprintf("markers come every %s, and no offset that matches them is within the search of %.6g us; the smallest is %.9g us", span(a.period, 9), reach/1e6, near/1e6),
			Hint:   "search wider if the clocks may be that far apart, and check that both channels record the same marker"}
	}
	if first == last {
		return first, nil
	}
	if best, ok := pattern(a, b, first, last); ok {
		return best, nil
	}
	refusal := &Refusal{Code: "ambiguous", Period: a.period,
		Reason: fmt.Sprintf("markers come every %s, and %d offsets within the search match them", span(a.period, 9), last-first+1),
		Hint:   "search less than half a period, or use a slower marker"}
	nearest := int64(math.Round(apart / a.period))
	for k := range last - first + 1 {
		for _, m := range slices.Compact([]int64{nearest - k, nearest + k}) {
			if m >= first && m <= last && len(refusal.Candidates) < maxCandidates {
				refusal.Candidates = append(refusal.Candidates, quantity.NewFine(0, offset(m)))
			}
		}
		if len(refusal.Candidates) == maxCandidates {
			break
		}
	}
	return 0, refusal
}

// shared is what a match of two trains would have in common.
type shared struct {
	beats  float64 // that both trains span
	lost   float64 // losses that begin at the same beat
	chance float64 // those that would if A and B lost markers independently
}

// pattern returns the match at which A and B have lost markers together, if
// chance explains that there and nowhere else. Markers that each node loses by
// itself meet at every match, n pA pB of n times, and by their scatter a little
// more often at one than at another: that is no pattern. All matches are trials.
func pattern(a, b beat, first, last int64) (best int64, ok bool) {
	lostA, lostB := a.lost(), b.lost()
	if last-first >= maxShifts || len(lostA) == 0 || len(lostB) == 0 {
		return 0, false
	}
	met, ok := meetings(lostA, lostB, first, last)
	if !ok {
		return 0, false
	}
	matches := make([]shared, len(met))
	for k, n := range met {
		m := first + int64(k)
		from, to := max(0, -m), min(b.length(), a.length()-m) // of B's beats
		if from >= to {
			continue
		}
		s := shared{beats: float64(to - from), lost: float64(n)}
		s.chance = between(lostA, from+m, to+m) * between(lostB, from, to) / s.beats
		matches[k] = s
	}
	at, ok := outstanding(matches)
	return first + int64(at), ok
}

// meetings counts for each match how many losses of A and B begin together.
func meetings(lostA, lostB []int64, first, last int64) (met []uint32, ok bool) {
	met = make([]uint32, last-first+1)
	work, low := 0, 0
	for _, j := range lostB {
		for low < len(lostA) && lostA[low] < j+first {
			low++
		}
		for _, i := range lostA[low:] {
			if i > j+last {
				break
			}
			met[i-j-first]++
			work++
		}
		if work > maxMatching {
			return nil, false
		}
	}
	return met, true
}

// between counts the losses from one beat to before another.
func between(lost []int64, from, to int64) float64 {
	i, _ := slices.BinarySearch(lost, from)
	k, _ := slices.BinarySearch(lost, to)
	return float64(k - i)
}

// outstanding returns the match that has more in common than chance and than
// all others.
func outstanding(matches []shared) (at int, ok bool) {
	for k, s := range matches {
		if surprise(s.lost, max(s.chance, 1e-3)) > surprise(matches[at].lost, max(matches[at].chance, 1e-3)) {
			at = k
		}
	}
	// Where losses of both become more frequent together, all matches have more
	// in common than independent losses: what the others have is to be expected.
	var lost, chance, squares float64
	for k, s := range matches {
		if k != at {
			lost, chance = lost+s.lost, chance+s.chance
		}
	}
	more := 1.0
	if chance > 0 {
		more = max(1, lost/chance)
	}
	for k, s := range matches {
		if k != at {
			squares += (s.lost - more*s.chance) * (s.lost - more*s.chance)
		}
	}
	scatter := 1.0
	if chance > 0 {
		scatter = max(1, squares/(more*chance))
	}
	trials := math.Log(float64(len(matches)))
	evidence := func(s shared) float64 { return surprise(s.lost, max(more*s.chance, 1e-3)) }
	best := matches[at]
	if evidence(best)/scatter-trials < convincedLL {
		return 0, false
	}
	for k, s := range matches {
		if k == at || evidence(s)-trials < enoughLL {
			continue
		}
		scale := best.beats / s.beats // the pattern repeats: is it less like itself there?
		surplus := best.lost - more*best.chance - scale*(s.lost-more*s.chance)
		if surplus < plainSurplus*math.Sqrt(best.lost+scale*scale*s.lost) {
			return 0, false
		}
	}
	return at, true
}
