package correlate

import (
	"math"
	"slices"
)

// uncorrelated is light whose detections in two channels are independent. One
// record against itself has no pairs of a tag with itself.
type uncorrelated struct {
	a, b steady
	self bool
}

// pairs is how many pairs have low <= B - A < high, in the mean.
func (u uncorrelated) pairs(low, high float64) float64 {
	n := u.a.density() * u.b.density() * timeOver(interval{u.a.begin, u.a.end}, interval{u.b.begin, u.b.end}, low, high)
	if u.self {
		n *= 1 - 1/u.a.tags
	}
	return n
}

// stretches are the parts of records that are interrupted: pairs lie within one each.
type stretches []uncorrelated

func (s stretches) pairs(low, high float64) (sum float64) {
	for _, u := range s {
		sum += u.pairs(low, high)
	}
	return sum
}

func (s stretches) excess(low, high float64) (sum float64) {
	for _, u := range s {
		sum += u.excess(low, high, u.pairs(low, high))
	}
	return sum
}

func (s stretches) time(delay float64) (sum float64) {
	for _, u := range s {
		sum += max(0, u.time(delay))
	}
	return sum
}

// corners are the delays between which the time that A recorded and B recorded
// so much later changes evenly: it grows from the first to the second, stays to
// the third and falls to the fourth.
func (u uncorrelated) corners() [4]float64 {
	begin, end := u.b.begin-u.a.begin, u.b.end-u.a.end
	return [4]float64{u.b.begin - u.a.end, min(begin, end), max(begin, end), u.b.end - u.a.begin}
}

// time is that time, at one delay; below zero where there is none.
func (u uncorrelated) time(delay float64) float64 {
	c := u.corners()
	return min(delay-c[0], c[3]-delay, u.a.length(), u.b.length())
}

// excess is by how much the variance of pairs in a bin is more than that of
// independent ones, expected being their number: one tag is in all pairs with the
// partners it finds, and the ends of the records are known to about one tag.
func (u uncorrelated) excess(low, high, expected float64) float64 {
	if expected <= 0 {
		return 0
	}
	return u.ofSharedTags(low, high, expected) + u.ofEnds(low, high, expected)
}

// ofSharedTags is the variance of the partners that a tag finds by where it is,
// for a number of tags that is given: it finds as many wherever it is while delays
// are short, and none where the other has not begun or has ended. In the analysis
// of variance of a statistic of two samples these are the terms of first order
// (W. Hoeffding, Ann. Math. Stat. 19, 293 (1948)).
func (u uncorrelated) ofSharedTags(low, high, expected float64) float64 {
	later := func(t float64) float64 { return u.b.density() * u.b.shared(t+low, t+high) }   // partners in B of A's tag
	earlier := func(t float64) float64 { return u.a.density() * u.a.shared(t-high, t-low) } // and the other way
	edges := func(v steady, low, high float64) []float64 {                                  // where a window about a tag meets the interval's ends
		return []float64{v.begin - low, v.begin - high, v.end - low, v.end - high}
	}
	atA, atB := edges(u.b, low, high), edges(u.a, -high, -low)
	if u.self {
		both := func(t float64) float64 { return later(t) + earlier(t) }
		return max(0, squared(both, u.a, slices.Concat(atA, atB))-4*expected*expected/u.a.tags)
	}
	return max(0, squared(later, u.a, atA)-expected*expected/u.a.tags) + max(0, squared(earlier, u.b, atB)-expected*expected/u.b.tags)
}

// squared sums the square of f over the tags of an interval. Between the edges f
// is a straight line, so Simpson's rule is exact.
func squared(f func(float64) float64, over steady, edges []float64) (sum float64) {
	slices.Sort(edges)
	low := over.begin
	for _, edge := range append(edges, over.end) {
		if to := min(edge, over.end); to > low {
			x, y, z := f(low), f((low+to)/2), f(to)
			sum += (to - low) / 6 * (x*x + 4*y*y + z*z)
			low = to
		}
	}
	return sum * over.density()
}

// ofEnds is the variance that comes from not knowing where records begin and end.
func (u uncorrelated) ofEnds(low, high, expected float64) (sum float64) {
	c := u.corners()
	low, high = max(low, c[0]), min(high, c[3]) // where both recorded
	begin, end := u.b.begin-u.a.begin, u.b.end-u.a.end
	product := u.a.density() * u.b.density()
	for _, e := range []struct {
		of    steady
		alone float64 // length of the bin in which this end limits the time
	}{
		{u.a, high - max(low, begin)}, {u.b, min(high, begin) - low},
		{u.a, min(high, end) - low}, {u.b, high - max(low, end)},
	} {
		moved := expected/e.of.length() - product*max(0, e.alone) // by an end that is 1 ps further in
		sum += moved * moved * e.of.apart * e.of.apart
	}
	return sum
}

// deviation is the standard deviation of counts in a bin for which uncorrelated
// light gives expected and excess. Counts scatter as their mean does, which is not
// known: where they are like uncorrelated light, it is what is expected, and else
// what was counted, with half as much again as one tag more, so that no counts of a
// few are not certain. Between the two they are weighed by how far they are apart.
// The excess is of light that is uncorrelated, so no more than expected has it.
func deviation(counts, expected, excess float64) float64 {
	apart := (counts-expected)*(counts-expected) + 1
	weight := apart / (apart + 4*(expected+excess))
	mean := expected + weight*(counts+1.5-expected)
	if share := min(1, mean/expected); share > 0 {
		return math.Sqrt(mean + share*share*excess)
	}
	return math.Sqrt(mean)
}

// An end of a record is where light comes at its rate: a record begins with the
// first tag that crowd tags follow, itself among them, in the time in which
// crowdWithin come in the mean. Light of a steady rate has that but once in 1e9
// records; a few stray tags before it has begun do not.
const (
	crowd       = 10
	crowdWithin = 40
	endTags     = 64  // looked at, at each end
	crowdedFrom = 256 // tags: of fewer, all count

	firstTags = 1 << 18 // that tell how the light comes
)

// ends notes the first and the last tags of a stream, on the common clock.
type ends struct {
	from       Stream
	correct    Correction
	head, tail []uint64 // endTags at most, as recorded
	first      []uint64 // that tell how the light comes, as recorded
	count      uint64
}

func (e *ends) Next(buf []uint64) (int, error) {
	n, err := e.from.Next(buf)
	e.count += uint64(n)
	e.first = append(e.first, buf[:min(n, firstTags-len(e.first))]...)
	e.head = append(e.head, buf[:min(n, endTags-len(e.head))]...)
	e.tail = append(e.tail, buf[max(0, n-endTags):n]...)
	if more := len(e.tail) - endTags; more > 0 {
		e.tail = slices.Delete(e.tail, 0, more)
	}
	return n, err
}

// zero is the first tag.
func (e *ends) zero() uint64 { return e.correct.Apply(e.head[0]) }

// steady is what a channel recorded of light of a steady rate. Times are ps.
type steady struct {
	begin, end float64
	tags       float64
	apart      float64 // mean time from one tag to the next
}

// steady tells what was recorded, in times since zero. Tags that come at random
// over an interval leave as much of it free at either end as between two of them,
// in the mean, so each end lies so far beyond the first or last tag (as the best
// estimate of the ends of a uniform distribution; E. L. Lehmann, G. Casella, Theory
// of Point Estimation, 2.2). ok is false of fewer than two tags, which tell no rate.
func (e *ends) steady(zero uint64) (v steady, ok bool) {
	since := func(tags []uint64) []float64 {
		times := make([]float64, len(tags))
		for i, t := range tags {
			times[i] = float64(int64(e.correct.Apply(t) - zero))
		}
		return times
	}
	head, tail := since(e.head), since(e.tail)
	if e.count < 2 || tail[len(tail)-1] <= head[0] {
		return steady{}, false
	}
	first, last, tags := head[0], tail[len(tail)-1], float64(e.count)
	if e.count >= crowdedFrom {
		within := crowdWithin * (last - first) / (tags - 1)
		before := crowded(head, within)
		slices.Reverse(tail)
		after := crowded(tail, within)
		first, last, tags = head[before], tail[after], tags-float64(before+after)
	}
	apart := (last - first) / (tags - 1)
	return steady{begin: first - apart, end: last + apart, tags: tags, apart: apart}, true
}

// crowded is the first of times, which run one way, that a crowd follows; 0 where
// there is none among them, so that the light is not of one rate.
func crowded(times []float64, within float64) int {
	for i := range len(times) - crowd + 1 {
		if max(times[i+crowd-1]-times[i], times[i]-times[i+crowd-1]) <= within {
			return i
		}
	}
	return 0
}

func (v steady) length() float64 { return v.end - v.begin }

// density is tags per ps.
func (v steady) density() float64 { return v.tags / v.length() }

// shared is how much of [low, high) lies in the interval.
func (v steady) shared(low, high float64) float64 {
	return max(0, min(high, v.end)-max(low, v.begin))
}
