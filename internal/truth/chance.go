package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

// chance is what coincidences state of pulsed, gated and constant light.
var chance = table{name: "chance", about: "CAR and heralding of pulsed pairs, 1 to 200 MHz, of gated, of constant and of blinking light and of detectors with dead times, 10 sources each", run: func(r *report) {
	r.row("light", "records", "no CAR", "CAR in 3 sd", "rms pull", "heralding in 3 sd", "rms pull", "accidentals in 3 sd", "rms pull", "largest pull of net")
	const sources = 10
	for _, light := range []struct {
		name string
		make func(seed uint64) sourceOfPairs
	}{{"pulsed", pulsedSource}, {"gated", gatedSource}, {"constant", constantSource}, {"dead after a tag", deadSource}, {"blinking", blinkingSource}, {"blinking, three channels", blinkingTriples}} {
		records := r.seeds(20, 1)
		n := sources * records
		ratios, herald, accidentals, net := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		each(n, func(i int) {
			s := light.make(r.seed(i % sources))
			ratios[i], herald[i], accidentals[i], net[i] = s.pulls(r.seed(70_000 + i))
		})
		ratios, without := known(ratios)
		herald, lost := known(herald)
		accidentals, _ = known(accidentals)
		net, _ = known(net)
		r.row(light.name, n, without, within(ratios, 3), rms(ratios), within(herald, 3), rms(herald), within(accidentals, 3), rms(accidentals), largest(net))
		r.want(within(accidentals, 3) >= 0.99 || r.part && within(accidentals, 4) == 1, "%s: accidentals within 3 sd in %.3g", light.name, within(accidentals, 3))
		r.want(within(ratios, 3) >= 0.99 || r.part && within(ratios, 4) == 1, "%s: CAR within 3 sd in %.3g", light.name, within(ratios, 3))
		r.want(within(herald, 3) >= 0.99 || r.part && within(herald, 4) == 1, "%s: heralding within 3 sd in %.3g", light.name, within(herald, 3))
		r.want(lost == 0 || light.name == "blinking, three channels", "%s: %d without an answer", light.name, lost) // of all three there may be no events that herald
	}
}}

// sourceOfPairs is an experiment of which the counts are known in the mean.
type sourceOfPairs struct {
	e                 pairs.Experiment
	window            int64
	pairs, accidental float64 // in the window
	singlesB          float64
	play              func(seed uint64) (channels [][]uint64) // nil: as the experiment does
}

// sourceLight is an experiment all of whose tags are the source's, one part in five
// in pairs.
func sourceLight(seconds, singles float64) pairs.Experiment {
	return pairs.Experiment{Seconds: seconds, SinglesA: singles, SinglesB: singles, Pairs: singles / 5, EtaA: 0.2, EtaB: 0.2, JitterA: 60, JitterB: 60, Offset: 1, Start: 1e12}
}

// seen is the part of differences of such a deviation that lie within the window.
func seen(window int64, sd float64) float64 {
	return math.Erf(float64(window/2*2+1) / 2 / sd / math.Sqrt2)
}

func pulsedSource(seed uint64) sourceOfPairs {
	rng := rand.New(rand.NewPCG(seed, 41))
	period := 1e6 / math.Exp(rng.Float64()*math.Log(200)) // ps
	singles := min(1e6, 0.05e12/period)
	s := sourceOfPairs{e: sourceLight(40e3/singles, singles), window: 200 + rng.Int64N(800)}
	s.e.PulsePeriod, s.e.PulseWidth = period, 40
	n := s.e.Seconds
	s.singlesB = singles * n
	s.pairs = s.e.Pairs * n * seen(s.window, 60*math.Sqrt2)
	s.accidental = singles * singles * n * period * 1e-12 * seen(s.window, math.Hypot(60, 40)*math.Sqrt2)
	return s
}

func gatedSource(seed uint64) sourceOfPairs {
	rng := rand.New(rand.NewPCG(seed, 42))
	period := 5e5 * math.Exp(rng.Float64()*math.Log(1000)) // ps: 0.5 us to 0.5 ms
	open := period * math.Exp(math.Log(0.02)+rng.Float64()*math.Log(0.8/0.02))
	part := open / period
	s := sourceOfPairs{window: 2000 + rng.Int64N(8000)}
	s.e = sourceLight(max(0.05, 100*period*1e-12), 5e5/part)
	s.e.GatePeriod, s.e.GateOpen = period, open
	n, w := s.e.Seconds, float64(s.window/2*2+1)
	s.singlesB = 5e5 * n
	s.pairs = s.e.Pairs * part * n * seen(s.window, 60*math.Sqrt2)
	s.accidental = s.e.SinglesA * s.e.SinglesB * 1e-24 * (open*w - w*w/4) * n * 1e12 / period
	return s
}

func constantSource(seed uint64) sourceOfPairs {
	rng := rand.New(rand.NewPCG(seed, 43))
	singles := 1e4 * math.Exp(rng.Float64()*math.Log(30))
	s := sourceOfPairs{e: sourceLight(6e4/singles, singles), window: int64(500 * math.Exp(rng.Float64()*math.Log(400)))}
	n := s.e.Seconds
	s.singlesB = singles * n
	s.pairs = s.e.Pairs * n * seen(s.window, 60*math.Sqrt2)
	s.accidental = singles * singles * n * float64(s.window/2*2+1) * 1e-12
	return s
}

// pulls plays a record and compares what is said of it; NaN is nothing said.
func (s sourceOfPairs) pulls(seed uint64) (ratio, heralding, accidentals, net float64) {
	s.e.Seed = seed
	var played []correlate.Channel
	if s.play != nil {
		for _, tags := range s.play(seed) {
			played = append(played, correlate.Channel{Tags: tag.NewReader(tags)})
		}
	} else {
		a, b, _ := s.e.Make()
		played = []correlate.Channel{{Tags: tag.NewReader(a)}, {Tags: tag.NewReader(b), Offset: 1}}
	}
	found, err := correlate.Coincide(played, correlate.CoincidenceOptions{Window: s.window})
	if err != nil {
		panic(fmt.Sprint("the record cannot be counted: ", err))
	}
	if !found.Accidentals.Known() { // refused, with the reason
		return math.NaN(), math.NaN(), math.NaN(), 0
	}
	ratio = (float64(found.CAR) - (s.pairs+s.accidental)/s.accidental) / float64(found.CARSD)
	accidentals = (float64(found.Accidentals) - s.accidental) / float64(found.AccidentalsSD)
	net = (float64(found.Net) - s.pairs) / float64(found.NetSD)
	if len(found.Heralding) == 0 {
		return ratio, math.NaN(), accidentals, net
	}
	return ratio, (found.Heralding[0].Value - s.pairs/s.singlesB) / found.Heralding[0].SD, accidentals, net
}

// known leaves out what is no number, and counts it.
func known(values []float64) (left []float64, without int) {
	for _, v := range values {
		if math.IsNaN(v) {
			without++
		} else {
			left = append(left, v)
		}
	}
	return left, without
}
