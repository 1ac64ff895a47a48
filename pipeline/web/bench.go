package web

import (
	"fmt"
	"math"

	"tsrun/pipeline/event"
	"tsrun/pipeline/plot"
	"tsrun/pipeline/text"
)

// benchPair is what two channels of a bench that is watched see together, for people.
type benchPair struct {
	Of, About string
	Rows      [][2]string
}

// watch takes what a bench sees of which nothing is kept.
func (b *board) watch(e event.Watched) {
	b.watched = &e
	for _, p := range e.Pairs {
		key := p.A + " " + p.B
		if b.seen[key] == nil {
			if len(b.seen) >= maxClocks {
				continue
			}
			b.seen[key] = &plot.Reducer{}
		}
		if p.Pairs != nil && p.PairsSD != nil {
			b.seen[key].Add(plot.Point{X: e.Elapsed.Seconds(), Y: *p.Pairs, SD: *p.PairsSD})
		}
	}
}

// benchPairs are those that are seen now.
func (b *board) benchPairs() (all []benchPair) {
	if b.watched == nil {
		return nil
	}
	for _, p := range b.watched.Pairs[:min(len(b.watched.Pairs), maxClocks)] {
		t := benchPair{Of: text.Printable(p.A + " and " + p.B), About: "within ±" + half(p.WindowPs) + "; the clock is " + text.Printable(p.State)}
		if p.SeenPs > 0 {
			t.About += "; of " + text.Seconds(uint64(p.SeenPs))
		}
		row := func(what string, value *float64, words func(float64) string) {
			said := none
			if value != nil && !math.IsNaN(*value) && !math.IsInf(*value, 0) {
				said = words(*value)
			}
			t.Rows = append(t.Rows, [2]string{text.Printable(what), said})
		}
		with := func(sd *float64, unit string) func(float64) string {
			return func(v float64) string {
				if sd == nil {
					return text.Significant(v)
				}
				return text.Measured(v, *sd, unit)
			}
		}
		share := func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }
		row("pairs per s, less chance", p.Pairs, with(p.PairsSD, "per s"))
		row(p.B+" heralded by "+p.A, p.HeraldingB, share)
		row(p.A+" heralded by "+p.B, p.HeraldingA, share)
		row("g2 at the peak", p.G2, with(p.G2SD, ""))
		peak := "none stands out"
		if p.PeakPs != nil {
			peak = fmt.Sprintf("%+.2f ns", float64(*p.PeakPs)/1000)
		}
		t.Rows = append(t.Rows, [2]string{text.Printable("peak, " + p.B + " minus " + p.A), peak})
		all = append(all, t)
	}
	return all
}

// benchRow says of a channel what is seen of it now, instead of what its curve has.
func (b *board) benchRow(r *row) {
	if b.watched == nil {
		return
	}
	for _, c := range b.watched.Channels {
		if c.Channel == r.Name {
			if r.Rate, r.Old = none, false; c.Rate != nil {
				r.Rate = text.Hertz(c.Rate.Millihertz())
			}
		}
	}
}

// benchGraphs are the curves of pairs.
func (b *board) benchGraphs() (all []graph) {
	if b.watched == nil {
		return nil
	}
	for _, p := range b.watched.Pairs {
		if curve := b.seen[p.A+" "+p.B]; curve != nil {
			all = append(all, graph{ID: "bench-" + p.A + " " + p.B, In: "pairs", Title: p.A + " and " + p.B + ": pairs less chance, ± sd", X: "time / s", Y: "pairs per s",
				Curves: []plot.Curve{{Name: "pairs", Kind: plot.Band, Points: curve.Points()}}, Empty: "no pairs yet: the clock is not known"})
		}
	}
	return all
}

// endBench forgets what was watched, when it is recorded or over.
func (b *board) endBench(state string) {
	if state != "watching" && state != "joining" {
		b.watched = nil
		clear(b.seen)
	}
}
