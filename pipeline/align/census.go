package align

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"tsrun/pipeline/track"
)

const (
	censusMost  = 2e8     // differences that are looked at
	censusTeeth = 1 << 22 // peaks of a comb that are counted at most

	// How many of the best are counted again: of a census of the whole record
	// few, of one of a part as many as may pass that many tags.
	fewRecounts, manyRecounts, recounted = 16, 1024, 1e8

	localTeeth = 16 // peaks to each side that tell how many pairs one has by chance
)

// elsewhereError is an answer that is refused because another peak of its comb, so
// many ps later, is higher.
type elsewhereError struct {
	by      float64 // ps
	refused error   // why it is no answer, if the other is none either
}

func (e *elsewhereError) Error() string {
	return fmt.Sprintf("the peak %.6g ns later is higher", e.by/1e3)
}

// settle follows the clock from a line through the whole record and says what
// it does, or why not. A line through a pulse that is not the pairs' own is
// replaced by that of the pulse that is.
func (s *searcher) settle(l line) (Alignment, error) {
	r, err := s.settleAt(l)
	var other *elsewhereError
	if !errors.As(err, &other) {
		return r, err
	}
	c := moved(r.Line(), other.by, 0)
	enough := seedPairs / 4 * float64(r.Overlap) / max(float64(r.Pairs)+r.Accidentals, 1)
	length := min(max(l.length, int64(enough)), r.Overlap)
	l = line{Line: c, length: length, ux: sureties * max(r.Jitter, r.OffsetSD), uy: sureties*r.FrequencySD*1e-9 + wander, bin: r.Jitter}
	s.moved = true
	defer func() { s.moved = false }()
	there, err := s.settleAt(l)
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.Code != "ambiguous" {
		return r, other.refused
	}
	return there, err
}

// census counts the pairs of every peak of a comb that the search allows and
// returns where the highest is, from the correction on.
func (t teeth) census(p period, start float64) float64 {
	s, reach, whole := t.s, float64(t.s.Search), t.whole()
	period := whole.refined(p, reach+math.Abs(start)).ps
	half := min(toothReach*t.sigma, period/3)
	first, last := math.Ceil((-reach-start)/period), math.Floor((reach-start)/period)
	first, last = max(first, -censusTeeth/2), min(last, censusTeeth/2)
	if last-first < 1 {
		return 0
	}
	from, to := s.a[0], s.a[len(s.a)-1]
	differences := float64(len(s.a)) * s.rateB() * (last - first + 1) * period
	share := min(1, censusMost/differences)
	counts := s.onTeeth(s.stretches(from, to, share), t.c, period, half, int(first), int(last-first)+1)
	best, most := 0.0, 0.0
	again := fewRecounts
	if share < 1 {
		again = max(again, min(manyRecounts, int(recounted/float64(len(s.a)+len(s.b)))))
	}
	for _, k := range unusual(counts, again) {
		at := (first + float64(k)) * period
		if n := whole.count(at, half); n > most {
			best, most = at, n
		}
	}
	return best
}

// whole is teeth of the whole record, as far as that has not too many tags.
func (t teeth) whole() teeth {
	tags := float64(len(within(t.s.a, t.s.from, t.s.to)))
	t.share = min(1, sampledTags/tags)
	t.parts = t.s.stretches(t.s.from, t.s.to, t.share)
	return t
}

// alikeAfterJump looks for a stretch between jumps of the clock in which the
// peaks of a comb are alike: a jump may be by whole periods more or less then.
func (t teeth) alikeAfterJump(b *track.Track, period, trials float64) (comb, bool) {
	if b == nil {
		return comb{}, false
	}
	from, stretches := t.s.from, [][2]uint64(nil)
	for _, step := range b.Steps {
		if math.Abs(step.Offset) > period/2 || step.Frequency != 0 {
			stretches = append(stretches, [2]uint64{from, step.Time})
			from = step.Time
		}
	}
	if len(stretches) == 0 {
		return comb{}, false
	}
	for _, part := range append(stretches, [2]uint64{from, t.s.to}) {
		tags := float64(len(within(t.s.a, part[0], part[1])))
		t.share = min(1, sampledTags/max(tags, 1))
		t.parts = t.s.stretches(part[0], part[1], t.share)
		if c := t.compared(period); !c.standsOut(trials) {
			return c, true
		}
	}
	return comb{}, false
}

// onTeeth counts the pairs within half of every peak of a comb from the first on.
func (s *searcher) onTeeth(parts [][2]uint64, c fixer, period, half float64, first, n int) []uint32 {
	return countInGroups(parts, n, func(part [2]uint64, counts []uint32) { s.onTeethIn(part, c, period, half, first, counts) })
}

// onTeethIn adds those of one part.
func (s *searcher) onTeethIn(part [2]uint64, c fixer, period, half float64, first int, counts []uint32) {
	low := (float64(first) - 0.5) * period // of the first peak's share of differences
	width := float64(len(counts)) * period
	zero, size := int64(low), int64(width)+1
	a, b := within(s.a, part[0], part[1]), s.corrected([2]uint64{part[0] + uint64(zero), part[1] + uint64(zero)}, c, size+1)
	i, perPeriod := 0, 1/period
	for _, at := range a {
		from := at + uint64(zero)
		for i < len(b) && int64(b[i]-from) < 0 {
			i++
		}
		for _, t := range b[i:] {
			d := int64(t - from)
			if d > size {
				break
			}
			k := int(float64(d) * perPeriod)
			if k < len(counts) && math.Abs(float64(d)-(float64(k)+0.5)*period) <= half {
				counts[k]++
			}
		}
	}
}

// unusual returns the indices of the counts that stand out most of those about
// them.
func unusual(counts []uint32, most int) []int {
	sums := make([]float64, len(counts)+1)
	for k, n := range counts {
		sums[k+1] = sums[k] + float64(n)
	}
	type entry struct {
		k  int
		ll float64
	}
	var best []entry
	for k, n := range counts {
		from, to := max(0, k-localTeeth), min(len(counts), k+localTeeth+1)
		mean := (sums[to] - sums[from] - float64(n)) / float64(to-from-1)
		if float64(n) > mean {
			best = append(best, entry{k, surprise(float64(n), max(mean, 0.01))})
		}
		if len(best) > 8*most {
			best = top(best, most, func(e entry) float64 { return e.ll })
		}
	}
	var found []int
	for _, e := range top(best, most, func(e entry) float64 { return e.ll }) {
		found = append(found, e.k)
	}
	return found
}

// top returns the entries of the highest values.
func top[E any](all []E, most int, value func(E) float64) []E {
	slices.SortFunc(all, func(x, y E) int { return cmp.Compare(value(y), value(x)) })
	return all[:min(len(all), most)]
}
