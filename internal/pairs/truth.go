package pairs

import (
	"math"
	"math/rand/v2"

	"tsrun/sdk/quantity"
)

// Truth is what no analysis of the tags knows.
type Truth struct {
	Experiment         // with every default filled in
	Recorded   int     // pairs in both records
	Sigma      float64 // ps, standard deviation of a pair's B minus A about x(t)
	From, To   uint64  // on A's scale: when both recorded

	x            *clock
	mean, spread float64 // ps from Start: of the times of the recorded pairs
}

// newTruth also loses what falls into dead times.
func newTruth(e *Experiment, x *clock, nodes [2]*node, pairs int32) Truth {
	t := Truth{Experiment: *e, x: x, Sigma: math.Hypot(e.JitterA, e.JitterB),
		From: e.Start + uint64(e.LateB*1e12), To: e.Start + uint64((e.Seconds-e.EarlyB)*1e12)}
	inA := make([]bool, pairs+1)
	for _, n := range nodes {
		n.die()
	}
	for _, d := range nodes[0].detections {
		inA[d.pair] = d.pair > 0 && (inA[d.pair] || !d.lost)
	}
	var squares float64
	for _, d := range nodes[1].detections {
		if d.lost || !inA[d.pair] {
			continue
		}
		t.Recorded++
		off := float64(d.at) - t.mean
		t.mean += off / float64(t.Recorded)
		squares += off * (float64(d.at) - t.mean)
	}
	t.spread = math.Sqrt(squares / math.Max(float64(t.Recorded), 1))
	return t
}

// OffsetAt returns the true B minus A at a time of A's clock, without cables.
func (t Truth) OffsetAt(time uint64) quantity.Fine {
	return quantity.NewFine(t.Offset, t.x.at(float64(int64(time-t.Start))))
}

// FrequencyBetween returns by what part B's clock gained on A's from one time
// of A's clock to a later one.
func (t Truth) FrequencyBetween(from, to uint64) float64 {
	return (t.x.at(float64(int64(to-t.Start))) - t.x.at(float64(int64(from-t.Start)))) / float64(to-from)
}

// OffsetBound is the Cramér-Rao bound, in ps, of the offset of a straight
// clock at a time of A's clock: with N pairs, Sigma/sqrt(N) in the middle of
// the record and twice that at its ends.
func (t Truth) OffsetBound(time uint64) float64 {
	return math.Hypot(t.Sigma/math.Sqrt(float64(t.Recorded)), t.FrequencyBound()*(float64(int64(time-t.Start))-t.mean))
}

// FrequencyBound is that of its frequency, sqrt(12)*Sigma/(T*sqrt(N)) where
// the pairs spread evenly over T.
func (t Truth) FrequencyBound() float64 {
	return t.Sigma / math.Sqrt(float64(t.Recorded)) / t.spread
}

// clock is x(t) without the offset.
type clock struct {
	e     Experiment
	noise []float64 // ps, every noiseStep; empty without noise
}

const noiseStep = 1e9 // ps; the clock runs evenly between

func newClock(e Experiment) *clock {
	c := &clock{e: e}
	if e.WhiteFM == 0 && e.RandomWalkFM == 0 {
		return c
	}
	rng := rand.New(rand.NewPCG(e.Seed, 2))
	seconds := noiseStep * 1e-12
	walk, phase := 0.0, 0.0
	for range int(e.Seconds/seconds) + 3 {
		c.noise = append(c.noise, phase)
		walk += rng.NormFloat64() * e.RandomWalkFM * math.Sqrt(seconds)
		phase += (walk + rng.NormFloat64()*e.WhiteFM/math.Sqrt(seconds)) * noiseStep
	}
	return c
}

// at returns x at true time t, in ps.
func (c *clock) at(t float64) float64 {
	x := c.e.Frequency*t + 0.5*c.e.Drift*1e-12*t*t
	if c.e.Sine != 0 {
		x += c.e.Sine * math.Sin(2*math.Pi*t/(c.e.SinePeriod*1e12))
	}
	for _, s := range c.e.Steps {
		if t >= s.At*1e12 {
			x += s.Size + s.Frequency*(t-s.At*1e12)
		}
	}
	if len(c.noise) > 0 {
		i := min(max(int(t/noiseStep), 0), len(c.noise)-2)
		part := t/noiseStep - float64(i)
		x += c.noise[i] + part*(c.noise[i+1]-c.noise[i])
	}
	return x
}

// Truth returns the truth of an experiment that need not be played, such as
// that of markers: no pairs were recorded.
func (e Experiment) Truth() Truth {
	e.defaults()
	return Truth{Experiment: e, x: newClock(e), From: e.Start + uint64(e.LateB*1e12), To: e.Start + uint64((e.Seconds-e.EarlyB)*1e12)}
}
