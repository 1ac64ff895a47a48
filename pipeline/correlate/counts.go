package correlate

import "math"

// Counts of few events scatter as Poisson's do, but their mean is not known from
// them: none counted does not mean that none was to come. So a count n is stated
// with the variance n + fewCounted. So three deviations about n hold, whatever the
// mean is, in 99.2 % of all experiments or more; of many counts it is Poisson's.
const fewCounted = 3.0

// fewestOfRatio is how many accidentals must be counted before a ratio to them
// is stated with a deviation: of less, a third of it may be true as well as ten
// times it.
const fewestOfRatio = 5

// leastOf is the mean of which so many or more are counted in 1 % of all
// experiments, by the chi-square quantile of E. B. Wilson, M. M. Hilferty, Proc.
// Natl. Acad. Sci. 17, 684 (1931).
func leastOf(n float64) float64 {
	const z = 2.3263
	if n < 1 {
		return 0
	}
	return n * math.Pow(max(0, 1-1/(9*n)-z/(3*math.Sqrt(n))), 3)
}

// CountSD is the standard deviation of a count, such that three of them hold in
// 99 % of all experiments, of none counted as well.
func CountSD(n uint64) float64 { return math.Sqrt(float64(n) + fewCounted) }

// ratioSD is the standard deviation of all/due, where so many were counted and
// due was found from few: three of them hold in 99 % of all experiments.
func ratioSD(all, due, few float64) float64 {
	below := (few/leastOf(few) - 1) / 3 // the ratio is too low where more than due were counted by chance
	return math.Hypot(math.Sqrt(all+fewCounted), all*max(below, math.Sqrt(few+fewCounted)/few)) / due
}
