package correlate

import "slices"

// An end of a record is where light comes at its rate: a record begins with the
// first tag that crowd tags follow, itself among them, in the time in which
// crowdWithin come in the mean. Light of a steady rate has that but once in 1e9
// records; a few stray tags before it has begun do not.
const (
	crowd       = 10
	crowdWithin = 40
	endTags     = 64  // looked at, at each end
	crowdedFrom = 256 // tags: of fewer, all count
)

// ends notes the first and the last tags of a stream, on the common clock.
type ends struct {
	from       Stream
	correct    Correction
	head, tail []uint64 // endTags at most, as recorded
	count      uint64
}

func (e *ends) Next(buf []uint64) (int, error) {
	n, err := e.from.Next(buf)
	e.count += uint64(n)
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
