// Package pairs makes the tags of two nodes that share a source of photon
// pairs, for tests that must know the truth.
//
// An [Experiment] says what the source, the detectors and the clocks do;
// [Experiment.Make] plays it and returns both records with the [Truth]:
// B minus A at any time, how many pairs both recorded, and the Cramér-Rao
// bounds of what can be learnt from them. The same experiment gives the same
// tags everywhere.
//
// A's clock shows Start + t at true time t. B's shows Start + t + x(t), where
//
//	x(t) = Offset + Frequency*t + Drift*t*t/2 + sine + steps + noise
package pairs

import (
	"math"
	"math/rand/v2"
)

// Experiment is two nodes, a source between them, and what disturbs them.
// Where a zero stands for something else the comment says so.
type Experiment struct {
	Seed    uint64
	Seconds float64 // of true time

	SinglesA, SinglesB float64 // counts per second of a node, with those of pairs; 0: 100 k
	Pairs              float64 // per second that both detect; 0: 5 k; negative: none
	EtaA, EtaB         float64 // that a node detects its photon of a pair; 0: 0.2; more where its partner's singles ask for it
	JitterA, JitterB   float64 // ps, standard deviation of a detection; 0: 150; negative: none
	TailA, TailB       float64 // ps, mean of an exponential delay that a detection gets beside its jitter
	TailShare          float64 // of the detections that get it; 0: all
	StepA, StepB       float64 // ps: tags come in whole ones of these, the nearest to each detection; 0: 1

	Offset       int64   // ps, B minus A at t = 0; 0: 12.345678901 ms
	Frequency    float64 // parts of 1; positive: B's clock runs fast
	Drift        float64 // change of the frequency per second
	Sine         float64 // ps
	SinePeriod   float64 // s; 0: 60
	WhiteFM      float64 // Allan deviation at 1 s
	RandomWalkFM float64 // standard deviation of the frequency's change in 1 s
	Steps        []Step  // of B's clock
	Start        uint64  // ps, A's clock at t = 0; 0: 40000 s

	LateB, EarlyB float64 // s: B begins to record so much later, ends so much earlier
	NoPairs       []Span  // when the source is dark
	NoA, NoB      []Span  // when a node records nothing

	DeadTime         float64   // ps, of each detector after a tag
	Afterpulse       float64   // probability that a detection makes another
	AfterpulseDelay  float64   // ps, mean, after the dead time; 0: 100 ns
	DelaysA, DelaysB []float64 // ps, cable of each of a node's detectors, which photons choose at random; none: one without delay
	Echo             float64   // ps later than others every second partner reaches B

	PulsePeriod float64 // ps: photons of the source come only with pulses; 0: at any time
	PulseWidth  float64 // ps, standard deviation of a photon about its pulse
	PulseDrift  float64 // by which part the pulses come faster after every second
	Burst       int     // pulses, PulsePeriod apart, that come together
	BurstPeriod float64 // ps from burst to burst

	PulsedA, PulsedB float64 // per second, part of a node's singles: light that comes with pulses and has no partner
	PulsePeriodB     float64 // ps: that of B is of a laser of its own, with this period; 0: of A's laser

	Stretches []Stretch // of other light

	Flicker   float64 // depth, up to 1, of what light leaks add to the singles that are not the source's
	FlickerHz float64 // 0: 50

	Bunching float64 // ps: what light leaks add is thermal light of this coherence time, which both nodes see; 0: it is not

	FlashWidth float64 // ps: half of what light leaks add comes in flashes of this length, which both nodes see, at any time
	FlashHz    float64

	GatePeriod float64 // ps: all light comes, and all is recorded, only within GateOpen of each; 0: always
	GateOpen   float64 // ps

	MarkerPeriod float64 // s between ticks that both nodes mark, see Markers; 0: none
	MarkerJitter float64 // ps, standard deviation of a mark
}

// Step is a jump of B's clock, or of its frequency.
type Step struct {
	At        float64 // s
	Size      float64 // ps
	Frequency float64 // parts of 1
}

// Stretch is a time in which the light is another: the source as many times as
// bright, and so much more light that is not its own. They do not overlap.
type Stretch struct {
	Span
	Source       float64 // times; 0: 1
	MoreA, MoreB float64 // counts per second
}

// Span is a stretch of true time.
type Span struct{ From, To float64 } // s

// Make plays the experiment and returns the tags of both nodes in order.
func (e Experiment) Make() (a, b []uint64, truth Truth) {
	nodes, truth := e.play()
	return nodes[0].tags(-1), nodes[1].tags(-1), truth
}

// MakeDetectors is [Experiment.Make] with the tags of each detector apart.
func (e Experiment) MakeDetectors() (a, b [][]uint64, truth Truth) {
	nodes, truth := e.play()
	for d := range nodes[0].delays {
		a = append(a, nodes[0].tags(d))
	}
	for d := range nodes[1].delays {
		b = append(b, nodes[1].tags(d))
	}
	return a, b, truth
}

// Markers returns the marks both nodes made of ticks MarkerPeriod apart.
func (e Experiment) Markers() (a, b []uint64) {
	e.defaults()
	rng, x := rand.New(rand.NewPCG(e.Seed, 3)), newClock(e)
	for i := 0; float64(i)*e.MarkerPeriod < e.Seconds && e.MarkerPeriod > 0; i++ {
		t := float64(i) * e.MarkerPeriod * 1e12
		a = append(a, e.Start+uint64(int64(math.Round(t+e.MarkerJitter*rng.NormFloat64()))))
		if t >= e.LateB*1e12 && t <= (e.Seconds-e.EarlyB)*1e12 {
			b = append(b, e.Start+uint64(e.Offset)+uint64(int64(math.Round(t+x.at(t)+e.MarkerJitter*rng.NormFloat64()))))
		}
	}
	return a, b
}

func (e *Experiment) defaults() {
	for _, v := range []struct {
		field *float64
		value float64
	}{
		{&e.SinglesA, 100e3}, {&e.SinglesB, 100e3}, {&e.Pairs, 5e3}, {&e.EtaA, 0.2}, {&e.EtaB, 0.2},
		{&e.JitterA, 150}, {&e.JitterB, 150}, {&e.SinePeriod, 60}, {&e.AfterpulseDelay, 100e3}, {&e.FlickerHz, 50},
	} {
		if *v.field == 0 {
			*v.field = v.value
		}
	}
	e.Pairs, e.JitterA, e.JitterB = max(e.Pairs, 0), max(e.JitterA, 0), max(e.JitterB, 0)
	e.EtaA, e.EtaB = max(e.EtaA, e.Pairs/e.SinglesB), max(e.EtaB, e.Pairs/e.SinglesA)
	if e.Start == 0 {
		e.Start = 40_000_000_000_000_000
	}
	if e.Offset == 0 {
		e.Offset = 12_345_678_901
	}
	if len(e.DelaysA) == 0 {
		e.DelaysA = []float64{0}
	}
	if len(e.DelaysB) == 0 {
		e.DelaysB = []float64{0}
	}
}

// play walks through all that happens at the source and at both nodes as one
// Poisson process in order of time, so that nothing needs sorting from scratch.
func (e Experiment) play() (nodes [2]*node, truth Truth) {
	e.defaults()
	rng, x := rand.New(rand.NewPCG(e.Seed, 1)), newClock(e)
	nodes = [2]*node{newNode(&e, rng, e.JitterA, e.DelaysA, e.SinglesA, 0),
		newNode(&e, rng, e.JitterB, e.DelaysB, e.SinglesB, e.Offset)}
	nodes[0].tail, nodes[0].step, nodes[1].tail, nodes[1].step = e.TailA, e.StepA, e.TailB, e.StepB
	nodes[0].blind, nodes[1].blind = e.NoA, append([]Span{{-1, e.LateB}, {e.Seconds - e.EarlyB, e.Seconds + 1}}, e.NoB...)
	leaks := newLeaks(&e, rng)
	steady, pair := newRates(&e, leaks.most), int32(0)
	r, until := steady.at(&e, 0)
	for t := 0.0; ; {
		t += rng.ExpFloat64() / r.total() * 1e12
		if t > until { // a Poisson process has no memory
			t = until
			r, until = steady.at(&e, t)
			continue
		}
		if !(t < e.Seconds*1e12) {
			return nodes, newTruth(&e, x, nodes, pair)
		}
		if e.GatePeriod > 0 && math.Mod(t, e.GatePeriod) >= e.GateOpen {
			continue
		}
		kind := rng.Float64() * r.total()
		if kind < r.pairs+r.loneA+r.loneB {
			at := e.emitted(rng, t, e.PulsePeriod)
			if covers(e.NoPairs, t) {
				continue
			}
			switch {
			case kind < r.pairs:
				pair++
				nodes[0].detect(t, at, pair)
				if e.Echo != 0 {
					at += e.Echo * float64(rng.IntN(2))
				}
				nodes[1].detect(t, at+x.at(at), pair)
			case kind < r.pairs+r.loneA:
				nodes[0].detect(t, at, 0)
			default:
				if e.PulsePeriodB != 0 && kind >= r.total()-r.darkA-r.darkB-e.PulsedB {
					at = e.emitted(rng, t, e.PulsePeriodB)
				}
				nodes[1].detect(t, at+x.at(at), 0)
			}
			continue
		}
		at, seen := leaks.at(t)
		switch {
		case !seen:
		case kind < r.pairs+r.loneA+r.loneB+r.darkA:
			nodes[0].detect(t, at, 0)
		default:
			nodes[1].detect(t, at+x.at(at), 0)
		}
	}
}

// emitted returns when a source emits what one without pulses would emit at t.
func (e *Experiment) emitted(rng *rand.Rand, t, period float64) float64 {
	if period == 0 {
		return t
	}
	width := e.PulseWidth * rng.NormFloat64()
	switch {
	case e.Burst > 1:
		return math.Round(t/e.BurstPeriod)*e.BurstPeriod + float64(rng.IntN(e.Burst))*period + width
	case e.PulseDrift != 0: // pulses come at even times u = t + drift*t*t/2
		drift := e.PulseDrift * 1e-12
		u := math.Round((t+0.5*drift*t*t)/period) * period
		return 2*u/(1+math.Sqrt(1+2*drift*u)) + width
	}
	return math.Round(t/period)*period + width
}

func covers(spans []Span, t float64) bool {
	for _, s := range spans {
		if t >= s.From*1e12 && t < s.To*1e12 {
			return true
		}
	}
	return false
}
