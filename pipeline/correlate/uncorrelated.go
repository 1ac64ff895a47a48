package correlate

import "math"

// ends notes the first and the last tag of a stream, on the common clock.
type ends struct {
	from        Stream
	correct     Correction
	first, last uint64
	any         bool
}

func (e *ends) Next(buf []uint64) (int, error) {
	n, err := e.from.Next(buf)
	if n > 0 {
		if !e.any {
			e.first, e.any = e.correct.Apply(buf[0]), true
		}
		e.last = e.correct.Apply(buf[n-1])
	}
	return n, err
}

// record is the record of n tags, n > 0, in times since zero.
func (e *ends) record(n, zero uint64) record {
	r := record{first: float64(int64(e.first - zero)), last: float64(int64(e.last - zero))}
	r.marks = []float64{r.first}
	if n > 1 {
		r.marks = append(r.marks, r.last)
	}
	if r.last > r.first {
		r.density = float64(n-uint64(len(r.marks))) / (r.last - r.first)
	}
	return r
}

// record is what is known of a channel of constant light: where its first and its
// last tag are, the marks, and that the others lie anywhere between. Times are ps.
type record struct {
	first, last float64
	marks       []float64
	density     float64 // tags per ps
}

// within is how much of [low, high) lies in the record.
func (r record) within(low, high float64) float64 {
	return max(0, math.Min(high, r.last)-math.Max(low, r.first))
}

// uncorrelated is light of which two channels know nothing of each other.
type uncorrelated struct{ a, b record }

// pairs is how many pairs have low <= B - A < high, in the mean.
func (u uncorrelated) pairs(low, high float64) float64 {
	sum := u.a.density * u.b.density * u.timeOver(low, high)
	for _, t := range u.a.marks {
		sum += u.b.density * u.b.within(t+low, t+high)
	}
	for _, t := range u.b.marks {
		sum += u.a.density * u.a.within(t-high, t-low)
		for _, s := range u.a.marks {
			if t-s >= low && t-s < high {
				sum++
			}
		}
	}
	return sum
}

// corners are the delays between which the time that A recorded and B recorded
// so much later changes evenly: it grows from the first to the second, stays to
// the third and falls to the fourth.
func (u uncorrelated) corners() [4]float64 {
	begin, end := u.b.first-u.a.first, u.b.last-u.a.last
	return [4]float64{u.b.first - u.a.last, min(begin, end), max(begin, end), u.b.last - u.a.first}
}

// time is that time, at one delay; below zero where there is none.
func (u uncorrelated) time(delay float64) float64 {
	c := u.corners()
	return min(delay-c[0], c[3]-delay, u.a.last-u.a.first, u.b.last-u.b.first)
}

// timeOver is its integral: between corners it is a straight line, so the value
// in the middle times the length is exact.
func (u uncorrelated) timeOver(low, high float64) (sum float64) {
	corners := u.corners()
	for _, corner := range append(corners[:], high) {
		if to := min(corner, high); to > low {
			sum += (to - low) * max(0, u.time((low+to)/2))
			low = to
		}
	}
	return sum
}
