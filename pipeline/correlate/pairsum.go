package correlate

import (
	"math"

	"tsrun/sdk/quantity"
)

// PairSum is what the coincidences of two channels come to over several stretches of
// time, each counted for itself. Three deviations hold in 99 %, as those of [Fold];
// what is not known is no number.
type PairSum struct {
	Overlap       uint64          `json:"overlap_ps"` // the time both recorded
	SinglesA      uint64          `json:"singles_a"`
	SinglesB      uint64          `json:"singles_b"`
	All           uint64          `json:"all"`
	Accidentals   quantity.Number `json:"accidentals"`
	AccidentalsSD quantity.Number `json:"accidentals_sd"`
	Net           quantity.Number `json:"net"`
	NetSD         quantity.Number `json:"net_sd"`
	Rate          quantity.Number `json:"net_hz"`
	RateSD        quantity.Number `json:"net_sd_hz"`
	CAR           quantity.Number `json:"car"`
	CARSD         quantity.Number `json:"car_sd"`
	CARAtLeast    float64         `json:"car_at_least,omitempty"` // in 99 %, where there is no CAR
	OfA           quantity.Number `json:"heralding_a"`            // part of B's tags that A saw, too
	OfASD         quantity.Number `json:"heralding_a_sd"`
	OfB           quantity.Number `json:"heralding_b"` // part of A's tags that B saw, too
	OfBSD         quantity.Number `json:"heralding_b_sd"`
}

// NewPairSum is that of nothing.
func NewPairSum() PairSum {
	none := quantity.None()
	return PairSum{Rate: none, RateSD: none, CAR: none, CARSD: none, OfA: none, OfASD: none, OfB: none, OfBSD: none}
}

// Add adds the coincidences of two channels; false where what of them is chance is not
// known, or no time was recorded by both: then they are left out.
func (s *PairSum) Add(c Coincidences) bool {
	if !c.Net.Known() || c.Overlap == 0 || len(c.Channels) != 2 {
		return false
	}
	s.Overlap += c.Overlap
	s.SinglesA, s.SinglesB, s.All = s.SinglesA+c.Channels[0].Singles, s.SinglesB+c.Channels[1].Singles, s.All+c.All
	together := func(sum, sd *quantity.Number, more, moreSD quantity.Number) {
		*sum, *sd = *sum+more, quantity.Number(math.Hypot(float64(*sd), float64(moreSD)))
	}
	together(&s.Accidentals, &s.AccidentalsSD, c.Accidentals, c.AccidentalsSD)
	together(&s.Net, &s.NetSD, c.Net, c.NetSD)
	s.Rate, s.RateSD = c.withOverlap(s.Overlap).Rate(s.Net, s.NetSD)
	s.setCAR()
	s.OfA, s.OfASD = s.heralding(s.SinglesB)
	s.OfB, s.OfBSD = s.heralding(s.SinglesA)
	return true
}

func (c Coincidences) withOverlap(overlap uint64) Coincidences {
	c.Overlap = overlap
	return c
}

// setCAR sets the ratio where enough accidentals were counted. How many that are, their
// deviation tells.
func (s *PairSum) setCAR() {
	s.CAR, s.CARSD, s.CARAtLeast = quantity.None(), quantity.None(), 0
	all, accidentals := float64(s.All), max(0, float64(s.Accidentals))
	ratio := accidentals / float64(s.AccidentalsSD)
	if counted := ratio * ratio; counted >= fewestOfRatio {
		s.CAR, s.CARSD = quantity.Number(all/accidentals), quantity.Number(ratioSD(all, accidentals, counted))
		return
	}
	s.CARAtLeast = leastOf(all) / (accidentals + 3*float64(s.AccidentalsSD))
}

// heralding is the part of one channel's tags that the other saw with them: see
// counter.heralding, whose deviation this is.
func (s *PairSum) heralding(singles uint64) (value, sd quantity.Number) {
	if singles == 0 {
		return quantity.None(), quantity.None()
	}
	n, v := float64(singles), float64(s.Net)/float64(singles)
	variance := float64(s.NetSD) * float64(s.NetSD)
	if v <= 1 && v >= 0 {
		variance += v*v*n - 2*v*float64(s.Net)
	}
	if deviation := math.Sqrt(max(fewCounted, variance)) / n; v-3*deviation <= 1 { // more is none: counter.heralding
		return quantity.Number(v), quantity.Number(deviation)
	}
	return quantity.None(), quantity.None()
}
