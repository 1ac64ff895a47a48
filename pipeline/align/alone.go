package align

import (
	"fmt"
	"math"
	"slices"

	"tsrun/pipeline/correlate"
)

const (
	maxJitter     = 30_000.0    // ps: pairs of slower detectors are not told from light that flickers
	lookAround    = 1_000_000.0 // ps to both sides of the peak
	besidePeak    = 6.0         // standard deviations from the peak where another may begin
	rivalHeight   = 0.5         // of the peak, from which another makes the answer ambiguous
	rivalTogether = 0.25        // of the peak's time, from which the rival is not the same peak after a step
	aroundMost    = 1 << 19     // differences that are looked at
)

// alone refuses a peak that has rivals: a pulsed source gives one for every
// pulse, and several paths to one detector give one each. Which of them is the
// offset is not for the tags to say.
func (s *searcher) alone(c correlate.Line, sigma float64) error {
	bin := 2 * sigma
	bins := 2*int(lookAround/bin) + 1
	half := float64(bins) * bin / 2
	points, _, err := s.collect(c, int64(s.to-s.from), half, aroundMost)
	if err != nil {
		return err
	}
	counts := make([]float64, bins)
	for _, p := range points {
		if k := int((p.d + half) / bin); k < bins {
			counts[k]++
		}
	}
	heights := make([]float64, bins-1) // of neighbouring pairs of bins, so that no peak is cut in two
	for k := range heights {
		heights[k] = counts[k] + counts[k+1]
	}
	ordered := slices.Sorted(slices.Values(heights))
	chance := ordered[len(ordered)/2]
	middle := (bins - 1) / 2 // of the bins; the heights about it are those before and after
	main := max(heights[middle], heights[middle-1]) - chance
	beside := int(math.Ceil(besidePeak*sigma/bin)) + 1
	rival := -1
	for k, h := range heights {
		far := k < middle-1-beside || k > middle+beside
		if far && h-chance > rivalHeight*main && h > chance+sureties*math.Sqrt(chance+1) && (rival < 0 || h > heights[rival]) {
			rival = k
		}
	}
	if rival < 0 {
		return nil
	}
	away := float64(rival+1)*bin - half
	if together(points, away, bin, float64(s.to-s.from)) < rivalTogether {
		return &Refusal{Code: "not-straight",
			Reason: fmt.Sprintf("a part of the record has its pairs %.4g ns beside the line of the rest", away/1e3),
			Hint:   "a clock stepped or lost its reference; align the parts before and after by themselves"}
	}
	return &Refusal{Code: "ambiguous",
		Reason: fmt.Sprintf("a peak %.4g ns beside the highest is nearly as high", away/1e3),
		Hint:   "a pulsed source or several paths look like that; align channels with one path, or a source without a period"}
}

// together is how much of the peak at 0 is at times when the one at away is
// there too, from 0 to 1.
func together(points []point, away, width, length float64) float64 {
	const parts = 16
	var main, rival [parts]float64
	for _, p := range points {
		k := max(0, min(parts-1, int((p.t/length+0.5)*parts)))
		if math.Abs(p.d) <= width {
			main[k]++
		}
		if math.Abs(p.d-away) <= width {
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
