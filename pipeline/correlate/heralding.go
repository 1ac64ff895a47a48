package correlate

import "math"

// fold is the result of a counter.
func (c *counter) fold(y *yield) Fold {
	return Fold{
		Of: nameOf(c.mask), All: c.found[together], OneToOne: c.one,
		Accidentals: y.accidentals, AccidentalsSD: math.Sqrt(y.accidentalsVariance), Chance: y.ofChance,
		Net: y.net, NetSD: math.Sqrt(y.variance),
	}
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
// channel where these were counted.
//
// Both are of the same light: each tuple contains one of those without the
// channel, so the two counts have all tuples in common but those that are
// expected where the channel alone is shifted. The variance of the ratio v of x
// to y is (var x + v^2 var y - 2 v cov)/y^2; for a single pair of channels and
// no accidentals that is the binomial v(1-v)/y.
func (c *counter) heralding(found map[int]*yield) (list []Efficiency) {
	x := found[c.mask]
	for _, lane := range c.lanes {
		rest := c.mask &^ (1 << lane)
		y := found[rest]
		if y == nil || y.net <= 0 {
			continue
		}
		v := x.net / y.net
		common := float64(c.found[together]) - x.apart[lane]
		variance := x.variance + v*v*y.variance - 2*v*common
		list = append(list, Efficiency{Of: nameOf(1 << lane), By: nameOf(rest), Value: v, SD: math.Sqrt(max(0, variance)) / y.net})
	}
	return list
}
