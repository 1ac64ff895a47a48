package align

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

// Strong light has so many accidental pairs that listing them takes too long,
// and one correlation, with cells as wide as the drift smears the peak, is not
// enough. So many correlations of segments that follow each other are added up
// along every line of offset and frequency: of M segments of length t in cells
// of width w the peak stands
//
//	p * sqrt(M t/w) / sqrt(sA sB)
//
// standard deviations out, as slices of differences do (see weakPlan), but at the
// cost of transforms, which does not grow with the square of the rates.
type sumPlan struct {
	attempt          // of each segment
	segments int     // that are added up
	reach    int64   // ps: of the offset in any of them
	reward   float64 // M t/w
	all      float64 // cost, ns of one core
}

const (
	mostSegments  = 1 << 8
	mostCells     = 1 << 26 // of all correlations together: 512 MB
	fewestInCell  = 4.0     // differences expected in a cell of the sum: a normal distribution, roughly
	nsPerCell     = 0.5     // that is added
	sumPoints     = 1 << 18 // pairs listed about each nominee
	sumNominees   = 16
	distinctCells = 4
)

// planSummed returns the most sensitive sum of correlations within the cost, or
// the cheapest of those that are sensitive enough.
func (s *searcher) planSummed(most, enough float64) (best sumPlan, ok bool) {
	all := int64(s.to - s.from)
	rateA := float64(len(s.a)) / float64(s.a[len(s.a)-1]-s.a[0])
	rateB := s.rateB()
	for length := minSegment; length <= all/2; length *= 2 {
		for segments := 2; segments <= mostSegments && int64(segments)*length <= all; segments *= 2 {
			p := sumPlan{segments: segments, reach: s.reach + s.MaxDrift.Of(int64(segments)*length)/2 + 1}
			span := 2*p.reach + length
			p.length, p.shift = length, max(cellShift(span, maxCells), bits.Len64(uint64(s.MaxDrift.Of(length)/2)))
			p.cells = 1 << bits.Len64(uint64(span>>p.shift))
			cell, tags := float64(int64(1)<<p.shift), rateA*float64(length)
			p.cost = float64(p.cells)*float64(4*bits.Len(uint(p.cells))) + 10*(tags+rateB*float64(span))
			p.all = float64(segments) * (p.cost + nsPerCell*float64(p.lines())*float64(2*p.reach)/cell)
			p.reward = min(float64(segments)*float64(length)/cell, enough)
			switch {
			case tags > maxSegment || float64(segments)*float64(2*p.reach)/cell > mostCells:
			case float64(segments)*tags*rateB*cell < fewestInCell:
			case p.all <= most && (p.reward > 1.01*best.reward || p.reward > 0.99*best.reward && p.all < best.all):
				best, ok = p, true
			}
		}
	}
	return best, ok
}

// lines is how many slopes are told apart, neighbours by one cell from the first
// segment to the last; the steepest moves by a cell or two in each segment.
func (p sumPlan) lines() int { return 4*p.segments + 1 }

// correlation is the lags of one segment about 0: what they have in excess of
// even streams, and what those give.
type correlation struct{ excess, chance []float32 }

// summed looks for a line in a sum of correlations.
func (s *searcher) summed(p sumPlan) (line, bool) {
	from, _ := s.segment(s.centre, int64(p.segments)*p.length)
	rows := make([]correlation, p.segments)
	lags := int(p.reach >> p.shift)
	correlate.Each(p.segments, func(i int) {
		if s.ctx.Err() == nil {
			rows[i] = s.row(p, from+uint64(int64(i)*p.length), lags)
		}
	})
	if s.ctx.Err() != nil {
		return line{}, false
	}
	for _, c := range p.nominate(rows, lags, float64(s.MaxDrift)/quantity.DriftUnit) {
		cell, all := float64(int64(1)<<p.shift), float64(p.segments)*float64(p.length)
		l := line{length: int64(all), ux: 3 * cell, uy: 3 * cell / all, bin: cell, Line: correlate.Line{
			Reference: from + uint64(all/2), Offset: int64((c.at + 1) * cell), Frequency: quantity.Drift(c.slope * cell / float64(p.length) * quantity.DriftUnit)}}
		if l, ok := s.confirm(nominee{line: l}, sumPoints); ok && !slices.Contains(s.refused, l.Line) {
			return l, true
		}
	}
	return line{}, false
}

// row correlates one segment; its slow changes are taken off.
func (s *searcher) row(p sumPlan, from uint64, lags int) (row correlation) {
	row = correlation{make([]float32, 2*lags+1), make([]float32, 2*lags+1)}
	full := int(p.length >> p.shift)
	to := from + uint64(full)<<p.shift
	a, b := within(s.a, from, to), within(s.b, from-uint64(p.reach), to+uint64(p.reach))
	if len(a) == 0 || len(b) == 0 {
		return row
	}
	excess, opposite, even := counted(a, b, from, p.attempt, full)
	more := newCyclic(excess)
	around := min(256, len(excess)/8)
	for i := range row.excess {
		at := i - lags
		row.excess[i] = float32(more.box(at, 1) - more.box(at-around/2, around)/float64(around))
		row.chance[i] = float32(even * opposite.box(at, 1))
	}
	return row
}

// crest is the highest place along one slope: lag at of the middle of all
// segments, in cells, moving by slope cells from segment to segment.
type crest struct{ at, slope, height float64 }

// nominate returns the highest crests, the highest first, none twice.
func (p sumPlan) nominate(rows []correlation, lags int, drift float64) (best []crest) {
	perCell := make([]float32, 2*lags) // one over the deviation of two cells
	for i := range perCell {
		chance := float32(0)
		for _, r := range rows {
			chance += r.chance[i] + r.chance[i+1]
		}
		perCell[i] = 1 / float32(math.Sqrt(float64(max(chance, 1))))
	}
	steepest := drift * float64(p.length) / float64(int64(1)<<p.shift)
	crests := make([]crest, p.lines())
	correlate.Each(len(crests), func(k int) {
		slope := steepest * (2*float64(k)/float64(len(crests)-1) - 1)
		crests[k] = highestAlong(rows, perCell, slope)
		crests[k].at -= float64(lags)
	})
	slices.SortStableFunc(crests, func(x, y crest) int { return cmp.Compare(y.height, x.height) })
	for _, c := range crests {
		if len(best) < sumNominees && !slices.ContainsFunc(best, func(o crest) bool { return math.Abs(o.at-c.at) < distinctCells }) {
			best = append(best, c)
		}
	}
	return best
}

// highestAlong adds up the segments along a slope and returns the highest two
// neighbouring cells, counted from the first lag.
func highestAlong(rows []correlation, perCell []float32, slope float64) (best crest) {
	sum := make([]float32, len(perCell)+1)
	for i, r := range rows {
		shift := int(math.Round(slope * (float64(i) - float64(len(rows)-1)/2)))
		out, in := sum[max(0, -shift):], r.excess[min(max(0, shift), len(r.excess)):]
		n := min(len(out), len(in))
		out, in = out[:n], in[:n]
		for k := range out {
			out[k] += in[k]
		}
	}
	best = crest{slope: slope, height: math.Inf(-1)}
	for k, scale := range perCell {
		if h := float64((sum[k] + sum[k+1]) * scale); h > best.height {
			best.at, best.height = float64(k), h
		}
	}
	return best
}
