package calibrate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"tsrun/pipeline/align"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
)

// fewest is how many shots tell how much they differ.
const fewest = 5

// compareShots compares the starts of two nodes in all shots in which an offset was found.
// What is proposed is the weighted median of what each says: a start that a busy PC has held
// up says anything, and its bound, by which it weighs, is wide.
func (p *Pair) compareShots(m *run.Manifest, r *recipe.Recipe, found []stage.AlignedShot) {
	var all []Pair
	for _, f := range found {
		q := *p
		q.compareShot(m, r, align.Alignment{Start: f.Start, StartOffset: f.StartOffset, StartSD: f.StartSD, Frequency: f.Frequency, FrequencySD: f.FrequencySD}, f.Shot-1)
		if q.Refused == "" {
			all = append(all, q)
		} else {
			p.Refused, p.Hint = q.Refused, q.Hint
		}
	}
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(a, b Pair) int { return cmp.Compare(a.difference, b.difference) })
	middle, sd := middleOf(all)
	*p = all[middle]
	p.Shots = len(all)
	change := text.Rounded(float64(p.difference-(was(r, p.target)-was(r, p.reference)))/step) * step
	p.Change, p.difference = &change, was(r, p.target)-was(r, p.reference)+change
	if len(all) < fewest {
		return
	}
	p.ChangeSD = &sd
	if change != 0 && float64(text.Magnitude(change)) < 2*sd {
		p.Refused = fmt.Sprintf("what would be changed, %s, is known to %s by %d shots: it may be chance", nanoseconds(change), nanoseconds(int64(sd)), len(all))
		p.Hint = "take more shots, keep the PCs free of other work, or leave the compensation as it is"
	}
}

// middleOf is which of shots, in order of what they say, is their weighted median, and its
// standard deviation as they scatter about it.
func middleOf(all []Pair) (middle int, sd float64) {
	weights := make([]float64, len(all))
	sum, squares := 0.0, 0.0
	for i, q := range all {
		wide := math.Hypot(float64(*q.PredictedBound), max(*q.LaterSD, step))
		weights[i] = 1 / (wide * wide)
		sum, squares = sum+weights[i], squares+weights[i]*weights[i]
	}
	middle = half(weights)
	order := make([]int, len(all))
	apart := func(i int) int64 { return text.Magnitude(all[i].difference - all[middle].difference) }
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(apart(i), apart(j)) })
	sorted := make([]float64, len(all))
	for k, i := range order {
		sorted[k] = weights[i]
	}
	// Of a normal distribution the median of distances is 0.67 deviations, and a median is
	// known 1.25 times worse than a mean. Shots that weigh little do not count as one.
	return middle, 1.4826 * 1.2533 * float64(apart(order[half(sorted)])) * math.Sqrt(squares) / sum
}

// half is where half of the weight is passed.
func half(weights []float64) (at int) {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	for below := weights[0]; below < sum/2 && at < len(weights)-1; below += weights[at] {
		at++
	}
	return at
}
