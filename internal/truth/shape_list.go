package main

import (
	"fmt"
	"math"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/sdk/quantity"
)

// shapeMaker collects shapes. Unless a shape says otherwise its records have 12 s,
// 30 thousand counts, 5000 pairs a second of 212 ps, -7 ppm and 5 ms.
type shapeMaker []shape

func (m *shapeMaker) add(name string, change func(s *shape)) {
	s := shape{name: name,
		e: pairs.Experiment{Seconds: 12, SinglesA: 30e3, SinglesB: 30e3, Pairs: 5e3, Frequency: -7e-6, Offset: 5_000_000_000},
		o: defaults}
	change(&s)
	*m = append(*m, s)
}

// straight adds a shape of a clock that keeps to a line, of which the bound holds.
func (m *shapeMaker) straight(name string, change func(e *pairs.Experiment)) {
	m.add(name, func(s *shape) {
		s.bound = true
		change(&s.e)
	})
}

// other adds one of which it does not.
func (m *shapeMaker) other(name string, change func(e *pairs.Experiment)) {
	m.add(name, func(s *shape) { change(&s.e) })
}

// jitter sets that of a pair's difference.
func jitter(e *pairs.Experiment, sigma float64) {
	e.JitterA, e.JitterB = sigma/math.Sqrt2, sigma/math.Sqrt2
}

func shapeList() []shape {
	var m shapeMaker
	m.known()
	m.detectors()
	m.lengths()
	m.clocks()
	m.steps()
	m.holes()
	m.light()
	m.weak()
	return m
}

// known are clocks of which less is known before.
func (m *shapeMaker) known() {
	m.add("-2.2 s, search 3 s", func(s *shape) {
		s.e.Offset, s.o.Search, s.bound = -2_200_000_000_000, 3_000_000_000_000, true
	})
	m.add("+19 ppm, +0.9 s, search 3 s", func(s *shape) {
		s.e.Frequency, s.e.Offset, s.o.Search, s.bound = 19e-6, 900_000_000_000, 3_000_000_000_000, true
	})
	for _, rate := range []float64{100, 50, 20, 10} {
		m.add(fmt.Sprintf("%g pairs/s in 100 k, search 1 us, 0.05 ppm", rate), func(s *shape) {
			s.e.SinglesA, s.e.SinglesB, s.e.Pairs, s.e.Frequency, s.e.Offset = 100e3, 100e3, rate, 2e-8, 300_000
			s.o = align.Options{Search: 1_000_000, MaxDrift: quantity.Drift(50_000_000)}
		})
	}
}

// detectors are those of other rates, jitter and faults.
func (m *shapeMaker) detectors() {
	m.straight("30 and 400 k, 1 k pairs", func(e *pairs.Experiment) { e.SinglesB, e.Pairs = 400e3, 1e3 })
	m.straight("the same, 6 s", func(e *pairs.Experiment) { e.SinglesB, e.Pairs, e.Seconds = 400e3, 1e3, 6 })
	m.straight("40 ps, 20 k pairs", func(e *pairs.Experiment) {
		e.SinglesA, e.SinglesB, e.Pairs = 60e3, 60e3, 20e3
		jitter(e, 40)
	})
	m.straight("600 ps, 1 k pairs", func(e *pairs.Experiment) {
		e.Pairs = 1e3
		jitter(e, 600)
	})
	for _, c := range []struct {
		name  string
		sigma float64
	}{{"0.3 ps", 0.3}, {"5 ps", 5}, {"5 ns", 5e3}, {"20 ns", 20e3}} {
		m.straight("jitter "+c.name, func(e *pairs.Experiment) { jitter(e, c.sigma) })
	}
	for _, apart := range []float64{300, 1200} {
		m.other(fmt.Sprintf("two peaks %g ns apart", apart/1e3), func(e *pairs.Experiment) { e.DelaysB = []float64{0, apart} })
	}
	m.add("two peaks 4 ns apart, 60:40", func(s *shape) {
		s.unclear = true
		s.e.DelaysB = []float64{0, 0, 0, 4000, 4000}
	})
	m.other("two detectors a side, 0, 0.8 and 0, 0.5 ns", func(e *pairs.Experiment) {
		e.DelaysA, e.DelaysB = []float64{0, 800}, []float64{0, 500}
	})
	m.add("two detectors a side, 0, 3 and 0, 7.5 ns", func(s *shape) {
		s.unclear = true
		s.e.DelaysA, s.e.DelaysB = []float64{0, 3000}, []float64{0, 7500}
	})
	m.straight("dead 50 ns, afterpulses 3 %", func(e *pairs.Experiment) { e.DeadTime, e.Afterpulse = 50e3, 0.03 })
	m.straight("dead 1 us, afterpulses 10 %", func(e *pairs.Experiment) { e.DeadTime, e.Afterpulse = 1e6, 0.1 })
	m.other("steps of 81 ps and 1 ns", func(e *pairs.Experiment) { e.StepA, e.StepB = 81, 1000 })
	m.other("steps of 10 ns", func(e *pairs.Experiment) { e.StepA, e.StepB = 10e3, 10e3 })
	channels := func(name string, change func(e *pairs.Experiment)) {
		m.add(name, func(s *shape) {
			s.apart = true
			change(&s.e)
		})
	}
	channels("2 x 2 channels apart", func(e *pairs.Experiment) { e.DelaysA, e.DelaysB = []float64{0, 0}, []float64{0, 0} })
	channels("2 x 2 channels apart, 1 us", func(e *pairs.Experiment) {
		e.DelaysA, e.DelaysB = []float64{0, 1e6}, []float64{300, -400e3}
	})
	channels("2 x 2 channels apart, white FM 1e-10", func(e *pairs.Experiment) {
		e.DelaysA, e.DelaysB, e.WhiteFM = []float64{0, 20e3}, []float64{0, 5e3}, 1e-10
	})
	channels("4 x 4 channels apart", func(e *pairs.Experiment) {
		e.DelaysA, e.DelaysB = []float64{0, 2000, -7000, 1e6}, []float64{0, 400, 90e3, -600e3}
	})
}

// lengths are short records and long ones of few pairs.
func (m *shapeMaker) lengths() {
	for _, c := range []struct{ seconds, rate float64 }{{0.5, 5e3}, {0.5, 1e3}, {0.5, 500}, {0.1, 5e3}, {0.1, 2e3}} {
		m.straight(fmt.Sprintf("%g s, %g pairs/s", c.seconds, c.rate), func(e *pairs.Experiment) { e.Seconds, e.Pairs = c.seconds, c.rate })
	}
	for _, c := range []struct {
		n       int
		seconds float64
	}{{12, 0.02}, {12, 1}, {30, 0.1}, {100, 0.02}, {100, 1}} {
		m.add(fmt.Sprintf("%d pairs alone in %g s", c.n, c.seconds), func(s *shape) {
			s.bound, s.alone = true, c.n
			s.e.Seconds, s.e.Pairs, s.e.EtaA, s.e.EtaB = c.seconds, float64(c.n)/c.seconds, 1, 1
			s.e.SinglesA, s.e.SinglesB = s.e.Pairs, s.e.Pairs
			if c.n < 16 { // an answer needs as many tags
				s.e.SinglesA, s.e.SinglesB = 2*s.e.Pairs, 2*s.e.Pairs
			}
		})
	}
	for _, c := range []struct{ rate, singles float64 }{{20, 1000}, {2, 200}, {0.2, 50}} {
		m.straight(fmt.Sprintf("600 s, %g pairs/s in %g", c.rate, c.singles), func(e *pairs.Experiment) {
			e.Seconds, e.Pairs, e.SinglesA, e.SinglesB = 600, c.rate, c.singles, c.singles
		})
	}
}

// clocks are those that keep to no line.
func (m *shapeMaker) clocks() {
	m.other("sine 3 ns, 7 s", func(e *pairs.Experiment) { e.Sine, e.SinePeriod = 3000, 7 })
	m.other("sine 3 ns, 7 s, 1 k pairs of 400 ps", func(e *pairs.Experiment) {
		e.Sine, e.SinePeriod, e.Pairs = 3000, 7, 1e3
		jitter(e, 400)
	})
	m.other("white FM 1e-10", func(e *pairs.Experiment) { e.WhiteFM = 1e-10 })
	m.other("white FM 1e-9, random walk 1e-9", func(e *pairs.Experiment) { e.WhiteFM, e.RandomWalkFM = 1e-9, 1e-9 })
	m.other("random walk 1e-10", func(e *pairs.Experiment) { e.RandomWalkFM = 1e-10 })
	m.other("random walk 1e-8", func(e *pairs.Experiment) { e.RandomWalkFM = 1e-8 })
	m.other("ageing 1e-9/s, 30 s", func(e *pairs.Experiment) { e.Drift, e.Seconds = 1e-9, 30 })
	m.other("corners of 10 ppb every 3 s", func(e *pairs.Experiment) {
		e.Steps = []pairs.Step{{At: 3, Frequency: 10e-9}, {At: 6, Frequency: -10e-9}, {At: 9, Frequency: 10e-9}}
	})
}

// steps are clocks that jump; most of the jumps between 3.3 and 7.3 s.
func (m *shapeMaker) steps() {
	jumping := func(name string, fm float64, steps ...pairs.Step) {
		m.add(name, func(s *shape) { s.shifted, s.e.Steps, s.e.WhiteFM = true, steps, fm })
	}
	for _, c := range []struct {
		name string
		size float64
	}{{"30 ns", 30e3}, {"2 ns", 2e3}, {"300 ps", 300}, {"1 us", 1e6}, {"1 ms", 1e9}, {"100 ps", 100}, {"40 ps", 40}} {
		jumping("step of "+c.name, 0, pairs.Step{At: 5.3, Size: c.size})
	}
	jumping("steps of 30 ns and -2 ns, 3 s apart", 0, pairs.Step{At: 4.3, Size: 30e3}, pairs.Step{At: 7.3, Size: -2e3})
	jumping("step of 300 ps in white FM 1e-10", 1e-10, pairs.Step{At: 5.3, Size: 300})
	jumping("step of 2 ns in white FM 1e-10", 1e-10, pairs.Step{At: 5.3, Size: 2e3})
	jumping("step of 30 ns in white FM 1e-9", 1e-9, pairs.Step{At: 5.3, Size: 30e3})
}

// holes are records that lack a part.
func (m *shapeMaker) holes() {
	gap := []pairs.Span{{From: 4, To: 8}}
	m.straight("gap of 4 s", func(e *pairs.Experiment) { e.NoA, e.NoB = gap, gap })
	m.other("gap of 4 s, white FM 1e-10", func(e *pairs.Experiment) { e.NoA, e.NoB, e.WhiteFM = gap, gap, 1e-10 })
	m.straight("B missing for 4 s", func(e *pairs.Experiment) { e.NoB = gap })
	m.other("B missing for 4 s, white FM 1e-10", func(e *pairs.Experiment) { e.NoB, e.WhiteFM = gap, 1e-10 })
}

// light is that which comes otherwise than at any time.
func (m *shapeMaker) light() {
	m.straight("pulsed 76 MHz", func(e *pairs.Experiment) {
		e.PulsePeriod, e.PulseWidth = 1e12/76e6, 5
	})
	m.straight("pulsed 76 MHz, 1 M/s, 30 k pairs, 4 s", func(e *pairs.Experiment) {
		e.Seconds, e.SinglesA, e.SinglesB, e.Pairs, e.PulsePeriod, e.PulseWidth = 4, 1e6, 1e6, 30e3, 1e12/76e6, 5
		e.PulsedA, e.PulsedB = 600e3, 600e3
	})
	for _, fm := range []float64{0, 1e-10} {
		name := ""
		if fm > 0 {
			name = ", white FM 1e-10"
		}
		m.add("source 10 times as bright from 6 s"+name, func(s *shape) {
			s.bound = fm == 0
			s.e.Pairs, s.e.Stretches, s.e.WhiteFM = 500, []pairs.Stretch{{Span: pairs.Span{From: 6, To: 13}, Source: 10}}, fm
		})
		m.add("source a tenth as bright from 6 s"+name, func(s *shape) {
			s.bound = fm == 0
			s.e.Stretches, s.e.WhiteFM = []pairs.Stretch{{Span: pairs.Span{From: 6, To: 13}, Source: 0.1}}, fm
		})
	}
	var onA, both []pairs.Stretch
	for k := range 6 {
		at := pairs.Span{From: 1 + 2*float64(k), To: 1.002 + 2*float64(k)}
		onA, both = append(onA, pairs.Stretch{Span: at, MoreA: 20e6}), append(both, pairs.Stretch{Span: at, MoreA: 20e6, MoreB: 20e6})
	}
	m.straight("bursts of 20 M/s on A", func(e *pairs.Experiment) { e.Stretches = onA })
	m.straight("bursts of 20 M/s on both", func(e *pairs.Experiment) { e.Stretches, e.DeadTime = both, 20e3 })
	m.straight("background with 50 Hz", func(e *pairs.Experiment) { e.Flicker = 1 })
}

// weak are few pairs in much light.
func (m *shapeMaker) weak() {
	for _, c := range []struct{ rate, singles, seconds float64 }{{300, 100e3, 12}, {200, 100e3, 12}, {150, 50e3, 60}} {
		m.straight(fmt.Sprintf("%g pairs/s in %g k, %g s", c.rate, c.singles/1e3, c.seconds), func(e *pairs.Experiment) {
			e.Pairs, e.SinglesA, e.SinglesB, e.Seconds = c.rate, c.singles, c.singles, c.seconds
		})
	}
}
