package main

import (
	"math"
	"math/rand/v2"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/host"
	"tsrun/pipeline/run"
	"tsrun/sdk/pluginpb"
)

// starts are two nodes whose commands are timed before a run and whose controllers are
// fired earlier by that. When each began is known here; what the run states must be within
// its bound of that, and controllers must not begin farther apart than without.
var starts = table{name: "starts", about: "starts of two controllers with compensation: auto, by the probe's clock; want: skews off by at most what is stated in 99 %, controllers no farther apart than without compensation, nearer where one PC is slower", run: func(r *report) {
	r.row("clock's way", "PCs", "shots", "none", "within the bound", "off by, p50 us", "bound, p50 us", "apart, p50 us", "without, p50 us")
	for _, w := range []way{
		{"stamps of the kernels", 400, 400, 150, 0.02},
		{"100 us more one way", 100.4e3, 400, 150, 0.02},
	} {
		for _, of := range []struct {
			name   string
			a, b   commandWay
			slower bool
		}{
			{"alike", commandWay{60e3, 5e3, 0.02}, commandWay{60e3, 5e3, 0.02}, false},
			{"alike, busy", commandWay{60e3, 60e3, 0.3}, commandWay{60e3, 60e3, 0.3}, false},
			{"one is busy", commandWay{60e3, 5e3, 0.02}, commandWay{60e3, 200e3, 0.5}, false},
			{"one is slower", commandWay{60e3, 5e3, 0.02}, commandWay{400e3, 20e3, 0.02}, true},
		} {
			n := r.seeds(12*120, 12*9)
			all := make([]compensatedStart, n)
			each(n, func(i int) { all[i] = startTogether(w, of.a, of.b, r.seed(98_000+i), i) })
			var off, bounds, apart, without []float64
			inside, none := 0, 0
			for _, s := range all {
				if !s.read {
					none++
					continue
				}
				if math.Abs(s.off) <= s.bound {
					inside++
				}
				off, bounds = append(off, math.Abs(s.off)/1000), append(bounds, s.bound/1000)
				apart, without = append(apart, math.Abs(s.apart)/1000), append(without, math.Abs(s.without)/1000)
			}
			with, alone := percentile(apart, 50), percentile(without, 50)
			r.row(w.name, of.name, n, none, inside, percentile(off, 50), percentile(bounds, 50), with, alone)
			r.want(100*inside >= 99*(n-none), "%s, %s: %d of %d skews are off by more than they state", w.name, of.name, n-none-inside, n-none)
			r.want(none == 0, "%s, %s: %d have no reading", w.name, of.name, none)
			r.want(with <= 1.15*alone, "%s, %s: controllers are %.3g us apart with compensation and %.3g without", w.name, of.name, with, alone)
			// What the clocks are off by no compensation takes away.
			r.want(!of.slower || with < alone/2, "%s, %s: controllers are %.3g us apart with compensation and %.3g without", w.name, of.name, with, alone)
		}
	}
}}

// commandWay is how long a command takes one way, in ns: at least so long, and more with
// a mean of tail; so many are held up by up to 5 ms.
type commandWay struct{ least, tail, held float64 }

func (w commandWay) takes(rng *rand.Rand) float64 {
	more := w.tail * rng.ExpFloat64()
	if rng.Float64() < w.held {
		more += 5e6 * rng.Float64()
	}
	return w.least + more
}

// timed is what a driver finds by its questions.
func (w commandWay) timed(rng *rand.Rand) *fact.CommandPath {
	times := make([]*pluginpb.CommandTime, 64)
	for i := range times {
		times[i] = &pluginpb.CommandTime{RoundTripNs: int64(w.takes(rng) + w.takes(rng))}
	}
	path, _ := host.CommandPathIn(times, len(times)) // nil would be of times that cannot be
	return path
}

// compensatedStart is how two controllers began, in ns: by how much the stated skew is off,
// and how far apart they were in truth.
type compensatedStart struct {
	read           bool
	off, bound     float64
	apart, without float64
}

func startTogether(w way, a, b commandWay, seed uint64, i int) compensatedStart {
	rng := rand.New(rand.NewPCG(seed, 98))
	c := someClock(i)
	now, reading := readClock(clock.Probe, c, w, rng)
	if reading == nil {
		return compensatedStart{}
	}
	instant := math.Round(now + 0.1e9 + 0.9e9*rng.Float64())
	paths := []*fact.CommandPath{a.timed(rng), b.timed(rng)}
	used := [2]int64{paths[0].ThereNs, paths[1].ThereNs}
	if ns, shared := fact.SharedWay(paths); shared {
		used = [2]int64{ns, ns}
	}
	answers := i%2 == 0 // whether the devices answer once they have begun
	var begins [2]float64
	var stated [2]run.Start
	for k, node := range []struct {
		clock   pcClock
		reading *clock.Reading
		way     commandWay
	}{{pcClock{}, nil, a}, {c, reading, b}} {
		asked := masterEpoch + int64(instant)
		if node.reading != nil {
			asked = node.reading.Translate(asked)
		}
		asked -= used[k]
		called := node.clock.when(asked) + 2e3*rng.ExpFloat64()
		begins[k] = called + node.way.takes(rng)
		shot := fact.Shot{Asked: asked, Called: node.clock.at(called), Returned: node.clock.at(begins[k] + node.way.takes(rng)), CompensationNs: &used[k]}
		if back := paths[k].RoundTripNs - paths[k].ThereNs; answers {
			shot.BackNs = &back
		}
		stated[k], _ = run.NodeStart([]fact.Shot{shot}, masterEpoch+int64(instant), used[k], node.reading)
	}
	skew := run.Skew("b", stated[1], "a", stated[0])
	apart := begins[1] - begins[0]
	return compensatedStart{true, float64(skew.SkewNs) - apart, float64(skew.UncertaintyNs), apart, apart + float64(used[1]-used[0])}
}

// when is the moment of the master's, in ns, at which a clock shows a time.
func (c pcClock) when(shows int64) float64 {
	return (float64(shows-masterEpoch) - c.offset) / (1 + c.drift)
}
