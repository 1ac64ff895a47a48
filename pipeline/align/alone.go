package align

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"tsrun/sdk/quantity"
)

const (
	maxJitter     = 30_000.0    // ps: pairs of slower detectors are not told from light that flickers
	lookAround    = 1_000_000.0 // ps to both sides of the peak
	besidePeak    = 6.0         // standard deviations from the peak where another may begin
	rivalHeight   = 0.5         // of the peak, from which another makes the answer ambiguous
	rivalTogether = 0.25        // of the peak's time, from which the rival is not the same peak after a step
	aroundMost    = 1 << 17     // differences that are looked at
	aroundParts   = 16          // of the record, a stretch of each of which is looked at
	narrowest     = 400.0       // ps: finer bins would be too many
	maxCandidates = 8
)

// around is what lies within lookAround of the peak: how many pairs at which
// difference, in bins of two standard deviations.
type around struct {
	share  float64 // of the record that is looked at
	points []point
	sigma  float64 // ps, of the peak
	bin    float64 // ps
	half   float64 // ps: where the bins begin, to both sides
	counts []float64
	chance float64   // in two neighbouring bins
	pairs  []float64 // counts of neighbouring bins, so that no peak is cut in two
}

// survey counts the pairs around a correction that leaves jitter sigma.
func (s *searcher) survey(c fixer, sigma float64) around {
	if s.grid.Coarse(sigma) { // spread evenly, see below
		sigma = math.Hypot(sigma, s.grid.Widest()/math.Sqrt(12))
	}
	r := around{sigma: sigma, bin: max(2*sigma, narrowest)}
	bins := 2*int(lookAround/r.bin) + 1
	r.half = float64(bins) * r.bin / 2
	all := int64(s.to - s.from)
	each := all / aroundParts
	rate := float64(len(within(s.a, s.from, s.to))) / float64(all) * s.rateB() * 2 * r.half
	stretch := max(1, min(each, int64(aroundMost/aroundParts/rate)))
	r.share = float64(stretch*aroundParts) / float64(all)
	for k, part := range s.stretches(s.from, s.to, r.share) {
		points, _ := s.collectIn(part[0], part[1], c, r.half, aroundMost)
		for i := range points {
			points[i].t = float64(k)
			points[i].d += s.grid.Even(i) // steps of the tags are no period of the light
		}
		r.points = append(r.points, points...)
	}
	r.counts = make([]float64, bins)
	for _, p := range r.points {
		if k := int((p.d + r.half) / r.bin); k < bins {
			r.counts[k]++
		}
	}
	r.pairs = make([]float64, bins-1)
	for k := range r.pairs {
		r.pairs[k] = r.counts[k] + r.counts[k+1]
	}
	r.chance = slices.Sorted(slices.Values(r.pairs))[len(r.pairs)/2]
	return r
}

// rival is a peak beside the highest.
type rival struct{ away, height float64 } // ps; of the highest

// rivals lists the certain peaks beside the highest, highest first.
func (r around) rivals() (found []rival) {
	middle := (len(r.counts) - 1) / 2 // the heights about it are those before and after
	main := max(r.pairs[middle], r.pairs[middle-1]) - r.chance
	beside := int(math.Ceil(besidePeak*r.sigma/r.bin)) + 1
	for k, h := range r.pairs {
		far := k < middle-1-beside || k > middle+beside
		highest := (k == 0 || h > r.pairs[k-1]) && (k+1 == len(r.pairs) || h >= r.pairs[k+1])
		if far && highest && h > r.chance+sureties*math.Sqrt(r.chance+1) {
			found = append(found, rival{float64(k+1)*r.bin - r.half, (h - r.chance) / main})
		}
	}
	slices.SortStableFunc(found, func(x, y rival) int { return cmp.Compare(y.height, x.height) })
	return found
}

// alone looks for rivals of the peak: a pulsed source gives one for every
// pulse, and several paths to one detector give one each. Which of them is the
// offset is not for the tags to say, unless one stands out.
func (s *searcher) alone(r *Alignment, c fixer, sigma float64) error {
	seen := s.survey(c, sigma)
	sigma = seen.sigma
	t := s.newTeeth(c, sigma, float64(r.Pairs))
	rivals := append(seen.rivals(), t.far(lookAround)...)
	slices.SortStableFunc(rivals, func(x, y rival) int { return cmp.Compare(y.height, x.height) })
	period, pulses := t.pulses(seen, rivals)
	if r.Period = period.ps; r.Period > 0 {
		r.Ambiguity = pulses.highest / max(pulses.main, 1)
		same := (pulses.mean - s.chance(2*toothReach*sigma)*pulses.share) / pulses.share // by chance of one pulse, beside what is of none
		r.Pairs -= int64(max(0, same))
		r.Accidentals += max(0, same)
		if !pulses.standsOut(1 + 2*float64(s.reach)/r.Period) {
			refused := pulsed(*r, pulses)
			if by := t.census(period, r.StartOffset.Float()); by != 0 && !s.moved {
				return &elsewhereError{by, refused}
			}
			return refused
		}
		if pulses.fades {
			return fading(*r)
		}
		if alike, ok := t.alikeAfterJump(r.Track, r.Period, 1+2*float64(s.reach)/r.Period); ok {
			return pulsed(*r, alike)
		}
		rivals = slices.DeleteFunc(rivals, func(v rival) bool {
			return math.Abs(math.Remainder(v.away, r.Period)) <= 3*sigma+2*seen.bin
		})
	}
	if len(rivals) == 0 || rivals[0].height <= rivalHeight {
		return nil
	}
	return seen.severalPaths(*r, rivals)
}

// severalPaths refuses a peak that has rivals.
func (r around) severalPaths(found Alignment, rivals []rival) error {
	away := rivals[0].away
	if math.Abs(away) < r.half && r.together(away) < rivalTogether {
		return &Refusal{Code: "not-straight",
			Reason: fmt.Sprintf("a part of the record has its pairs %.4g ns beside the line of the rest", away/1e3),
			Hint:   "a clock stepped or lost its reference; align the parts before and after by themselves"}
	}
	candidates := []quantity.Fine{found.Offset}
	for _, v := range rivals {
		if v.height > rivalHeight && len(candidates) < maxCandidates {
			candidates = append(candidates, found.Offset.Plus(v.away))
		}
	}
	return &Refusal{Code: "ambiguous", Candidates: candidates,
		Reason: fmt.Sprintf("a peak %.4g ns beside the highest is nearly as high", away/1e3),
		Hint:   "several paths to a detector look like that, and rare pulses, and a clock that steps again and again; align channels with one path, search less, or give both nodes a marker"}
}

// pulsed refuses a peak that does not stand out among its neighbours.
func pulsed(r Alignment, c comb) error {
	candidates := []quantity.Fine{r.Offset}
	for n := 1; len(candidates) < maxCandidates; n++ {
		candidates = append(candidates, r.Offset.Plus(-float64(n)*r.Period), r.Offset.Plus(float64(n)*r.Period))
	}
	return &Refusal{Code: "ambiguous", Period: r.Period, Candidates: candidates[:maxCandidates],
		Reason: fmt.Sprintf("there are peaks every %s, and the highest, of %.0f pairs, does not stand out from others of %.4g on average: the offset is known but for a multiple of that", span(r.Period, 6), c.main, c.mean),
		Hint:   "a pulsed source looks like that, and so do two lasers of one rate, and a clock that steps again and again; measure longer, use pairs that stand out from their neighbours, or give both nodes a marker"}
}

// fading refuses a peak that is highest in a part of the record only.
func fading(r Alignment) error {
	return &Refusal{Code: "not-straight", Period: r.Period,
		Reason: fmt.Sprintf("there are peaks every %s, and the highest of all is like the others in a part of the record: a clock jumped by whole periods", span(r.Period, 6)),
		Hint:   "align shorter parts of the record, or give both nodes a marker"}
}

// together is how much of the highest peak is in parts of the record where the
// one beside it is too, from 0 to 1.
func (r around) together(away float64) float64 {
	var main, rival [aroundParts]float64
	for _, p := range r.points {
		k := int(p.t)
		if math.Abs(p.d) <= r.bin {
			main[k]++
		}
		if math.Abs(p.d-away) <= r.bin {
			rival[k]++
		}
	}
	both, all := 0.0, 0.0
	for k := range main {
		both += min(main[k], rival[k])
		all += main[k]
	}
	return both / max(all, 1)
}
