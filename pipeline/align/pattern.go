package align

import (
	"fmt"
	"math"
	"slices"

	"tsrun/sdk/quantity"
)

const (
	maxMatching  = 1e8 // pairs of losses that are compared while matching
	maxShifts    = 1 << 24
	plainSurplus = 5.0 // standard deviations by which the best match must lose more in common than one that repeats it
)

// match returns m such that beat j of B and beat j+m of A are one marker.
func match(a, b beat, o Options) (int64, error) {
	apart := float64(int64(b.times[0]-a.times[0])) + b.zero - a.zero
	reach := float64(o.Search)
	offset := func(m int64) float64 { return apart - float64(m)*a.period }
	first, last := int64(math.Ceil((apart-reach)/a.period)), int64(math.Floor((apart+reach)/a.period))
	if first > last {
		near := offset(int64(math.Round(apart / a.period)))
		return 0, &Refusal{Code: "outside-search", Period: a.period,
			Reason: fmt.Sprintf("markers come every %.9g ns, and no offset that matches them is within the search of %.6g us; the smallest is %.9g us", a.period/1e3, reach/1e6, near/1e6),
			Hint:   "search wider if the clocks may be that far apart, and check that both channels record the same marker"}
	}
	if first == last {
		return first, nil
	}
	if best, ok := pattern(a, b, first, last); ok {
		return best, nil
	}
	refusal := &Refusal{Code: "ambiguous", Period: a.period,
		Reason: fmt.Sprintf("markers come every %.9g ns, and %d offsets within the search match them", a.period/1e3, last-first+1),
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
