package pairs

import "math"

// rates are how many photons per second there are of each kind: pairs, photons
// of the source whose partner is not detected, and light of other sources.
type rates struct{ pairs, loneA, loneB, darkA, darkB float64 }

// newRates returns those of the light without its stretches. Other sources have
// so many times what is seen of them in the mean.
func newRates(e *Experiment, most float64) rates {
	r := rates{pairs: e.Pairs, loneA: max(e.Pairs/e.EtaB-e.Pairs, 0) + e.PulsedA, loneB: max(e.Pairs/e.EtaA-e.Pairs, 0) + e.PulsedB}
	r.darkA, r.darkB = max(e.SinglesA-e.Pairs-r.loneA, 0)*most, max(e.SinglesB-e.Pairs-r.loneB, 0)*most
	return r
}

func (r rates) total() float64 { return r.pairs + r.loneA + r.loneB + r.darkA + r.darkB }

// at returns the rates at true time t, in ps, and until when they stay so.
func (r rates) at(e *Experiment, t float64) (now rates, until float64) {
	until = math.Inf(1)
	for _, s := range e.Stretches {
		from, to := s.From*1e12, s.To*1e12
		switch {
		case t < from:
			until = min(until, from)
		case t < to:
			until = min(until, to)
			if s.Source > 0 {
				r.pairs, r.loneA, r.loneB = r.pairs*s.Source, r.loneA*s.Source, r.loneB*s.Source
			}
			r.darkA, r.darkB = r.darkA+s.MoreA, r.darkB+s.MoreB
		}
	}
	return r, until
}
