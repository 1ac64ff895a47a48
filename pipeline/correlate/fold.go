package correlate

import (
	"cmp"
	"math"

	"tsrun/sdk/quantity"
)

// fold is the result of a counter.
func (c *counter) fold(y *yield) Fold {
	f := Fold{Of: nameOf(c.mask), All: c.found[together], OneToOne: c.one}
	if math.IsNaN(y.net) {
		f.clearChance()
		return f
	}
	f.Accidentals, f.AccidentalsSD = quantity.Number(y.accidentals), quantity.Number(math.Sqrt(y.accidentalsVariance+y.ratesVariance))
	f.Chance, f.Uneven, f.Blind, f.Repeated = quantity.Number(y.ofChance), y.uneven, y.blind, y.repeated
	f.Net, f.NetSD = quantity.Number(y.net), quantity.Number(math.Hypot(math.Sqrt(y.variance), y.repeated*y.net))
	f.setCAR(y)
	return f
}

// setCAR sets the ratio, or what it is at least where so few accidentals were
// counted that they say no more.
func (f *Fold) setCAR(y *yield) {
	f.CAR, f.CARSD = quantity.None(), quantity.None()
	all, accidentals := float64(f.All), float64(f.Accidentals)
	if y.counted >= fewestOfRatio {
		f.CAR = quantity.Number(all / accidentals)
		f.CARSD = quantity.Number(math.Hypot(ratioSD(all, accidentals, y.counted), math.Sqrt(y.ratioVariance)))
		return
	}
	f.CARAtLeast = leastOf(all) / (max(0, accidentals) + 3*float64(f.AccidentalsSD))
}

// clearChance leaves what was counted, and nothing that follows from accidentals.
func (f *Fold) clearChance() {
	none := quantity.None()
	f.Accidentals, f.AccidentalsSD, f.Chance, f.Net, f.NetSD, f.CAR, f.CARSD = none, none, none, none, none, none, none
	f.CARAtLeast, f.Uneven, f.Blind, f.Repeated, f.Heralding, f.NoHeralding = 0, 0, 0, 0, nil, ""
}

// nameOf names channels by their letters.
func nameOf(mask int) (name string) {
	for i := range MaxChannels {
		if mask&(1<<i) != 0 {
			name += letters[i : i+1]
		}
	}
	return name
}

// heralding divides the net coincidences by those without one channel, for each
// channel where these were counted and are more than their deviation allows to be
// none.
//
// Both are of the same light: each tuple contains one of those without the
// channel, so the two counts have all tuples in common but those that are
// expected where the channel alone is shifted. The variance of the ratio v of x
// to y is (var x + v^2 var y - 2 v cov)/y^2; for a single pair of channels and
// no accidentals that is the binomial v(1-v)/y. What is found beyond 1 is not the
// binomial's, and has the variance of x alone.
//
// More than 1 by three deviations is no efficiency: there are several coincidences for a
// tag, as of tags that repeat: many are that channel. Nor is what lies out of 0 to 1 and is
// hardly known, which vague says. None is stated then.
func (c *counter) heralding(found map[int]*yield, window int64) (list []Efficiency, many, vague string) {
	const hardly = 0.2 // a deviation from which what is impossible says nothing
	x := found[c.mask]
	for _, lane := range c.lanes {
		rest := c.mask &^ (1 << lane)
		y := found[rest]
		if y == nil || !(y.net > 0) || !y.singles && y.net < 3*math.Sqrt(y.variance) || math.IsNaN(x.net) {
			continue
		}
		v := x.net / y.net
		common := float64(c.found[together]) - x.apart[lane]
		variance := x.variance + v*v*y.variance - 2*v*common
		if v > 1 {
			variance = x.variance
		}
		sd := math.Sqrt(max(fewCounted, variance)) / y.net
		if v-3*sd > 1 {
			many = cmp.Or(many, manyFor(rest, window))
			continue
		}
		sd = math.Hypot(sd, v*x.repeated)
		if v+3*sd < 0 || sd > hardly && (v < 0 || v > 1) {
			vague = cmp.Or(vague, vagueFor(1<<lane, rest, v, sd))
			continue
		}
		list = append(list, Efficiency{Of: nameOf(1 << lane), By: nameOf(rest), Value: v, SD: sd})
	}
	return list, many, vague
}

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
