package align

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"tsrun/pipeline/correlate"
)

// attempt is one way to look for the peak: in a segment of A of some length,
// either by listing every difference (cells 0) or by a cyclic correlation of
// cells of equal width.
type attempt struct {
	length int64   // ps of A
	cells  int     // a power of two
	shift  int     // a cell is 2^shift ps wide
	cost   float64 // roughly, in nanoseconds
}

const (
	minSegment  = int64(20_000_000_000) // ps
	minCells    = 1 << 15
	maxCells    = 1 << 22
	maxSegment  = 1 << 22 // tags of A in one segment
	enoughTags  = 1000    // of A: a segment with so many holds pairs if it can be aligned at all
	maxPoints   = 25_000  // differences that are worth listing
	leastBudget = 0.4e9   // ns that all attempts may take in any case
	enoughLL    = 4.0     // log likelihood beyond chance for which a peak is looked at closely
	convincedLL = 8.0     // and for which it is believed to be one
)

// candidate is a peak of differences: B minus A at the centre of a segment of
// A lies within plus or minus half of offset.
type candidate struct {
	centre uint64
	length int64
	offset int64
	half   int64
}

// find looks for the peak: in the middle of the record, then elsewhere, because
// it may have been dark there or an offset may leave no B, and at last for a
// weak one.
func (s *searcher) find() (line, error) {
	places := s.places()
	for _, centre := range places {
		s.lookAt(centre)
		if l, ok := s.strong(len(places)); ok {
			return l, nil
		}
	}
	s.lookAt(places[0])
	if s.broad > 0 {
		return line{}, tooBroad(s.broad)
	}
	if l, ok := s.weak(); ok {
		return l, nil
	}
	if err := s.ctx.Err(); err != nil {
		return line{}, err
	}
	return line{}, &Refusal{Code: "no-peak",
		Reason: "no offset within the search gives more pairs than chance",
		Hint:   "check that both channels see the same source, search wider, allow more drift, or measure with less background; tags that count other units than ps look like this too"}
}

// lookAt makes a time the centre of the search.
func (s *searcher) lookAt(centre uint64) {
	s.centre = centre
	s.reach = s.Search + s.MaxDrift.Of(int64(centre-s.start))
}

// strong looks for a peak by attempts from cheap to dear and returns the line
// that the first convincing one leads to. The time is shared by the places.
func (s *searcher) strong(places int) (line, bool) {
	broad := s.broad
	for _, try := range s.attempts(places) {
		if s.ctx.Err() != nil {
			return line{}, false
		}
		c := candidate{centre: s.centre, length: try.length, half: s.reach}
		if try.cells > 0 {
			var ok bool
			if c, ok = s.correlate(try); !ok {
				continue
			}
		}
		if l, ok := s.verify(c); ok || s.broad != broad {
			return l, ok
		}
	}
	return line{}, false
}

// attempts plans the search. The best a segment of length T can do, with cells
// as wide as the drift smears the peak, is the same for every T, because wider
// cells hold more accidentals; but short segments may hold too few pairs, and
// long ones need fewer cells to span the search. So several lengths are tried,
// each with few cells before many, but none that is much dearer than the
// cheapest that is as sensitive as can be, or than adding up slices is.
func (s *searcher) attempts(places int) []attempt {
	var plan []attempt
	const dearer = 3.0
	best := math.Inf(1) // cost of the cheapest attempt with the finest useful cells
	all := int64(s.to - s.from)
	rateA := float64(len(s.a)) / float64(s.a[len(s.a)-1]-s.a[0])
	rateB := s.rateB()
	for length := min(minSegment, all); ; length = min(4*length, all) {
		smear := s.MaxDrift.Of(length)
		tags := rateA * float64(length)
		if tags > maxSegment {
			break
		}
		if points := tags * rateB * float64(2*s.reach+smear); points <= maxPoints {
			plan = append(plan, attempt{length: length, cost: 400 * points})
		}
		span := 2*s.reach + length // no wrap-around into the searched part
		fine := cellShift(span, maxCells)
		if smear > 1 { // finer than half the smear gains nothing
			fine = max(fine, bits.Len64(uint64(smear/2)))
		}
		for shift := fine; shift == fine || span>>shift >= minCells/2; shift += 2 {
			cells := 1 << bits.Len64(uint64(span>>shift))
			try := attempt{length: length, cells: cells, shift: shift,
				cost: float64(cells)*float64(4*bits.Len(uint(cells))) + 10*(tags+rateB*float64(span))}
			plan = append(plan, try)
			if shift == fine && int64(1)<<shift <= smear && tags >= enoughTags {
				best = min(best, try.cost)
			}
		}
		if length == all {
			break
		}
	}
	if len(plan) == 0 || plan[0].length > minSegment/4 {
		plan = append(plan, s.short(rateA*rateB, all)...)
	}
	if p, ok := s.slightly(); ok {
		best = min(best, p.cost)
	}
	plan = slices.DeleteFunc(plan, func(try attempt) bool { return try.cost > dearer*best })
	slices.SortStableFunc(plan, func(x, y attempt) int { return cmp.Compare(x.cost, y.cost) })
	left := max(s.budget()/float64(max(places, 3)), leastBudget)
	for i, try := range plan {
		if left -= try.cost; left < 0 && i > 0 {
			return plan[:i]
		}
	}
	return plan
}

// short returns a listing of a segment as long as the limit on points allows,
// where that is shorter than the shortest segment but may still hold pairs.
func (s *searcher) short(rates float64, all int64) []attempt {
	length := maxPoints / (rates * float64(2*s.reach))
	if length >= float64(min(minSegment, all)) || length < 1e9 {
		return nil
	}
	return []attempt{{length: int64(length), cost: 400 * maxPoints}}
}

// cellShift returns the width, as a power of two, of which at most n cells
// span the given time.
func cellShift(span int64, n int) int {
	return max(0, bits.Len64(uint64(span))-bits.Len64(uint64(n))+1)
}

// correlate finds the likeliest peak of one cyclic correlation and says
// whether it is worth a closer look.
func (s *searcher) correlate(try attempt) (candidate, bool) {
	from, to := s.segment(s.centre, try.length)
	full := int((to - from) >> try.shift) // cells of the segment
	to = from + uint64(full)<<try.shift
	a := within(s.a, from, to)
	b := within(s.b, from-uint64(s.reach), to+uint64(s.reach))
	if len(a) < minTags || len(b) < minTags {
		return candidate{}, false
	}
	excess, opposite, evenA := counted(a, b, from, try, full)
	lags := min(int(s.reach>>try.shift)+1, try.cells/2-1)
	p := likeliest(excess, opposite, evenA, lags)
	s.trials += float64(2*lags + 1)
	if p.ll < enoughLL {
		return candidate{}, false
	}
	// The difference of two cells' times is spread over two cells.
	width := int64(1) << try.shift
	return candidate{
		centre: from + (to-from)/2, length: int64(to - from),
		offset: int64(p.at)*width + int64(p.boxes-1)*width/2,
		half:   int64(p.boxes)*width/2 + width,
	}, true
}

// counted correlates the tags of a segment that begins at from and has so many
// full cells: what each lag has in excess of even streams, and what those give.
func counted(a, b []uint64, from uint64, try attempt, full int) (excess []float32, opposite cyclic, evenA float64) {
	x, y := make([]float32, try.cells), make([]float32, try.cells)
	for _, t := range a {
		x[(t-from)>>try.shift]++
	}
	wrap := int64(try.cells - 1)
	for _, t := range b {
		y[int64(t-from)>>try.shift&wrap]++
	}
	// Even streams would give every lag what is opposite, times how dense A is.
	// Without their means both streams are left with what their tags do beyond
	// being many, which by chance sums to zero.
	evenA = float64(len(a)) / float64(full)
	opposite = slide(y, full)
	for i := range full {
		x[i] -= float32(evenA)
	}
	first, last := int64(b[0]-from)>>try.shift, int64(b[len(b)-1]-from)>>try.shift
	evenB := float32(len(b)) / float32(last-first+1)
	for i := first; i <= last; i++ {
		y[i&wrap] -= evenB
	}
	return correlate.CrossCorrelation(x, y), opposite, evenA
}

// cyclic sums boxes of an array whose end is its beginning.
type cyclic struct{ sums []float64 }

func newCyclic(v []float32) cyclic {
	c := cyclic{make([]float64, len(v)+1)}
	for i, x := range v {
		c.sums[i+1] = c.sums[i] + float64(x)
	}
	return c
}

// box returns the sum of w values from index i on; w is at most the length.
func (c cyclic) box(i, w int) float64 {
	n := len(c.sums) - 1
	if i %= n; i < 0 {
		i += n
	}
	if i+w <= n {
		return c.sums[i+w] - c.sums[i]
	}
	return c.sums[n] - c.sums[i] + c.sums[i+w-n]
}

// slide returns the sum of the w values from each index on.
func slide(v []float32, w int) cyclic {
	c := newCyclic(v)
	moving := make([]float32, len(v))
	for i := range v {
		moving[i] = float32(c.box(i, w))
	}
	return newCyclic(moving)
}

// bump is a box of lags that holds more pairs than chance explains: boxes lags
// from lag at on.
type bump struct {
	at, boxes int
	ll        float64
}

// likeliest finds the box of 1, 2, 4, 8 or 16 lags, beginning within plus or
// minus lags of 0, that chance explains worst. excess is what the correlation has
// beyond even streams, even*opposite what those give; what the neighbourhood
// has in excess is expected too, so that a slow change of rates is no peak. ll is the log likelihood ratio,
// scaled down when counts scatter more than Poisson's, less the log of the
// number of boxes looked at.
func likeliest(excess []float32, opposite cyclic, even float64, lags int) bump {
	more := newCyclic(excess)
	var best [5]bump
	correlate.Each(len(best), func(k int) { best[k] = likeliestOf(1<<k, more, opposite, even, lags) })
	return slices.MaxFunc(best[:], func(x, y bump) int { return cmp.Compare(x.ll, y.ll) })
}

// likeliestOf is likeliest for boxes of m lags.
func likeliestOf(m int, more, opposite cyclic, even float64, lags int) bump {
	best := bump{ll: math.Inf(-1)}
	around := min(32*m+256, (len(more.sums)-1)/8)
	counts := func(i int) (c, e float64) {
		sum, chance := more.box(i, m), even*opposite.box(i, m)
		near := (more.box(i-(around-m)/2, around) - sum) * float64(m) / float64(around-m)
		return sum + chance, max(chance+near, chance/2, 1e-3)
	}
	scatter := overdispersion(lags, m, counts)
	looked := math.Log(5 * float64(2*lags+1) / float64(m))
	for i := -lags; i <= lags; i++ {
		c, e := counts(i)
		if c < e+2 || (c-e-2)*(c-e-2) < 9*e {
			continue
		}
		if ll := surprise(c, e)/scatter - looked; ll > best.ll {
			best = bump{at: i, boxes: m, ll: ll}
		}
	}
	return best
}

// overdispersion is how much more the counts scatter than Poisson's, at least
// 1: the median of squared deviations, which a peak does not move, over that of
// the normal distribution. Lags where next to nothing is expected do not say.
func overdispersion(lags, step int, counts func(i int) (c, e float64)) float64 {
	const enough, ample = 32, 4096
	step = max(step+1, (2*lags+1)/ample)
	var sample []float64
	for i := -lags; i <= lags; i += step {
		if c, e := counts(i); e >= 2 {
			sample = append(sample, (c-e)*(c-e)/e)
		}
	}
	if len(sample) < enough {
		return 1
	}
	slices.Sort(sample)
	return max(1, sample[len(sample)/2]/0.4549)
}

// surprise is the log of how much better c counts are explained by their own
// mean than by the expectation e (Poisson); 0 where c is not above e.
func surprise(c, e float64) float64 {
	if c <= e {
		return 0
	}
	return c*math.Log(c/e) - (c - e)
}

// absence is the same where c is not above e.
func absence(c, e float64) float64 {
	if c >= e {
		return 0
	}
	return c*math.Log(max(c, 1)/e) - (c - e)
}
