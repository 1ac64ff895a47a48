package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"tsrun/pipeline/align"
	"tsrun/pipeline/stage"
	"tsrun/sdk/tag"
)

// layout is several nodes, and which of them share a source of pairs.
type layout struct {
	name    string
	nodes   int
	sources [][2]int
	steps   int // the node whose clock jumps by 5 ns at 0.3 of the record; -1: none
}

var (
	fullFour = [][2]int{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}}
	starFour = [][2]int{{0, 1}, {0, 2}, {0, 3}}
)

var layouts = []layout{
	{"star of four", 4, starFour, -1},
	{"four, all with all", 4, fullFour, -1},
	{"four, without the pair 0-1", 4, fullFour[1:], -1},
	{"chain of five", 5, [][2]int{{0, 1}, {1, 2}, {2, 3}, {3, 4}}, -1},
	{"star of four, 5 ns at its middle", 4, starFour, 0},
	{"star of four, 5 ns at a leaf", 4, starFour, 2},
	{"chain of five, 5 ns at its middle", 5, [][2]int{{0, 1}, {1, 2}, {2, 3}, {3, 4}}, 2},
}

// network holds the clocks of several nodes against the truth.
var network = table{name: "network", about: "clocks of several nodes from all their pairs: 2000 pairs a second of each source in 5 thousand counts more, 212 ps, 2 s, ±50 us, ±1 ppm; want: 99 % in 3 sd, ways round that close, jumps of the right node", run: func(r *report) {
	r.row("nodes", "records", "not found", "offsets in 3 sd", "rms pull", "frequencies in 3 sd", "rms pull", "rms sd of node 1 ps", "rms sd of the last ps", "ways round", "closed", "named right")
	sds := map[string]float64{}
	for _, l := range layouts {
		n := r.seeds(50, 1)
		all := make([]networkAnswer, n)
		each(n, func(i int) { all[i] = l.answer(r.seed(61_000 + i)) })
		var sum networkAnswer
		first, last := []float64{}, []float64{}
		named := 0
		for _, a := range all {
			sum.lost += a.lost
			sum.offsets, sum.frequencies = append(sum.offsets, a.offsets...), append(sum.frequencies, a.frequencies...)
			sum.cycles, sum.closed = sum.cycles+a.cycles, sum.closed+a.closed
			first, last = append(first, a.sds[0]), append(last, a.sds[len(a.sds)-1])
			if a.named {
				named++
			}
		}
		sds[l.name] = rms(first)
		r.row(l.name, n, sum.lost, within(sum.offsets, 3), rms(sum.offsets), within(sum.frequencies, 3), rms(sum.frequencies), rms(first), rms(last), sum.cycles, sum.closed, named)
		r.want(sum.lost == 0, "%s: %d clocks are not found", l.name, sum.lost)
		r.want(within(sum.offsets, 3) >= 0.99, "%s: offsets are in 3 sd in %.3f", l.name, within(sum.offsets, 3))
		r.want(within(sum.frequencies, 3) >= 0.99, "%s: frequencies are in 3 sd in %.3f", l.name, within(sum.frequencies, 3))
		r.want(sum.closed == sum.cycles, "%s: %d of %d ways round do not close", l.name, sum.cycles-sum.closed, sum.cycles)
		r.want(named == n, "%s: in %d of %d records another clock is named, or none", l.name, n-named, n)
	}
	with, without := sds[layouts[1].name], sds[layouts[2].name]
	r.want(without > 1.2*with, "node 1 without its pair is known to %.3g ps, with it to %.3g ps", without, with)
}}

// networkAnswer is what one record of a layout gave.
type networkAnswer struct {
	lost           int       // clocks that were not found
	offsets        []float64 // pulls
	frequencies    []float64
	sds            []float64 // of each clock, ps
	cycles, closed int
	named          bool // the jumps are those of the node that jumped, or there are none
}

func (l layout) answer(seed uint64) (a networkAnswer) {
	records, offsets, frequencies := l.records(seed)
	names := make([]string, l.nodes)
	for i := range names {
		names[i] = fmt.Sprintf("node%d.tc", i)
	}
	s, err := stage.AlignSeveral(names, func(i, k int, how stage.Look) (align.Parts, error) {
		o := how.Of(align.Options{Search: millisecond / 5, MaxDrift: align.DefaultMaxDrift / 8})
		return align.AlignStreams(context.Background(), tag.NewReader(records[i]), tag.NewReader(records[k]), o)
	})
	if err != nil {
		panic(err) // a defect: refusals are answers
	}
	for i, c := range s.Clocks {
		if c.Refused {
			a.lost++
			a.sds = append(a.sds, math.NaN())
			continue
		}
		truly := float64(offsets[i+1]-offsets[0]) + (frequencies[i+1]-frequencies[0])/(1+frequencies[0])*(float64(c.ReferencePs)-float64(offsets[0]))
		if l.steps >= 0 { // long before the middle of the record
			truly += jumpOf(l.steps, i+1) - jumpOf(l.steps, 0)
		}
		a.offsets = append(a.offsets, (c.Alignment.Offset.Float()-truly)/c.OffsetSDPs)
		a.frequencies = append(a.frequencies, (c.FrequencyPpb*1e-9-(frequencies[i+1]-frequencies[0])/(1+frequencies[0]))/(c.FrequencySDPpb*1e-9))
		a.sds = append(a.sds, c.OffsetSDPs)
	}
	for _, c := range s.Network.Cycles {
		a.cycles++
		if c.Closes {
			a.closed++
		}
	}
	jumps := s.Network.Jumps
	a.named = len(jumps) == 0 && l.steps < 0 ||
		len(jumps) == 1 && l.steps >= 0 && jumps[0].Channel == names[l.steps] && math.Abs(jumps[0].Offset-networkJump) < 5*jumps[0].OffsetSD
	return a
}

const (
	networkSeconds = 2.0
	networkJump    = 5000.0 // ps
)

// jumpOf is by how much a clock has jumped.
func jumpOf(steps, node int) float64 {
	if steps == node {
		return networkJump
	}
	return 0
}

// records are the tags of all nodes, and their clocks: what they show at true time 0, and how
// fast they run.
func (l layout) records(seed uint64) (records [][]uint64, offsets []int64, frequencies []float64) {
	rng := rand.New(rand.NewPCG(seed, 61))
	records = make([][]uint64, l.nodes)
	for range l.nodes {
		offsets = append(offsets, int64(rng.Float64()*1e8))
		frequencies = append(frequencies, (2*rng.Float64()-1)*1e-6)
	}
	stamp := func(i int, t float64) {
		if i == l.steps && t > networkSeconds*0.3*1e12 {
			t += networkJump
		}
		records[i] = append(records[i], uint64(offsets[i]+int64(math.Round(t+t*frequencies[i]+150*rng.NormFloat64())))+1<<20)
	}
	poisson := func(rate float64, do func(t float64)) {
		for t := rng.ExpFloat64() / rate * 1e12; t < networkSeconds*1e12; t += rng.ExpFloat64() / rate * 1e12 {
			do(t)
		}
	}
	for _, s := range l.sources {
		poisson(2000, func(t float64) {
			stamp(s[0], t)
			stamp(s[1], t)
		})
	}
	for i := range records {
		poisson(5000, func(t float64) { stamp(i, t) })
		slices.Sort(records[i])
	}
	for i := range offsets {
		offsets[i] += 1 << 20
	}
	return records, offsets, frequencies
}
