package web

import (
	"fmt"
	"maps"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/event"
	"tsrun/pipeline/plot"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// pairing is what two channels see together while the run goes on.
type pairing struct {
	told event.Pairs
	rate plot.Reducer // net pairs per s of each segment
}

// pair takes what was counted of a segment.
func (b *board) pair(e event.Pairs) {
	key := e.Stage + " " + e.Target
	p := b.pairs[key]
	if p == nil {
		if len(b.pairs) >= maxClocks {
			return
		}
		p = &pairing{}
		b.pairs[key] = p
	}
	p.told = e
	p.rate.Add(plot.Point{X: float64(e.AtPs) / 1e12, Y: float64(e.Last.Rate), SD: float64(e.Last.RateSD)})
}

// pairTable is what two channels saw together, in the newest segment and in all.
type pairTable struct {
	Of, Window, LeftOut, Newest, All string
	Rows                             []pairRow
}

type pairRow struct{ What, Last, Total string }

// pairTables are those of the run while it goes on.
func (b *board) pairTables() (all []pairTable) {
	for _, key := range slices.Sorted(maps.Keys(b.pairs)) {
		e := b.pairs[key].told
		t := pairTable{
			Of: e.Reference + " and " + e.Target, Window: "within ±" + half(e.WindowPs) + " of the followed clock",
			Newest: fmt.Sprintf("segment %d", e.Segment+1), All: quantity.Counted(e.Counted, "segment"), Rows: rowsOf(e),
		}
		if e.Shot > 0 {
			t.Newest += fmt.Sprintf(" of shot %d", e.Shot)
		}
		if e.LeftOut > 0 {
			t.LeftOut = quantity.Counted(e.LeftOut, "segment") + " not counted here: the clock was not known yet, or this PC was busy"
		}
		all = append(all, t)
	}
	return all
}

func half(window int64) string { return text.Picoseconds(window / 2) }

// rowsOf are the lines of a table. What is not known says so.
func rowsOf(e event.Pairs) []pairRow {
	row := func(what string, of func(correlate.PairSum) string) pairRow {
		return pairRow{what, of(e.Last), of(e.Total)}
	}
	fit := func(what string, of func(*correlate.PeakFit) string) pairRow {
		r := pairRow{what, "no peak stands out", "no peak stands out"}
		if e.Peak != nil {
			r.Last = of(e.Peak)
		}
		if e.Sum != nil {
			r.Total = of(e.Sum)
		}
		return r
	}
	share := func(v, sd quantity.Number) string { return text.MeasuredOr(100*v, 100*sd, "%", none) }
	return []pairRow{
		row("pairs per s", func(s correlate.PairSum) string { return text.MeasuredOr(s.Rate, s.RateSD, "per s", none) }),
		row("pairs, less chance", func(s correlate.PairSum) string { return text.MeasuredOr(s.Net, s.NetSD, "", none) }),
		row("by chance", func(s correlate.PairSum) string {
			return text.MeasuredOr(s.Accidentals, s.AccidentalsSD, "", none)
		}),
		row("CAR", carWords),
		row(e.Target+" heralded by "+e.Reference, func(s correlate.PairSum) string { return share(s.OfB, s.OfBSD) }),
		row(e.Reference+" heralded by "+e.Target, func(s correlate.PairSum) string { return share(s.OfA, s.OfASD) }),
		fit("centre", func(f *correlate.PeakFit) string { return text.Measured(f.Centre, f.CentreSD, "ps") }),
		fit("width, standard deviation", func(f *correlate.PeakFit) string { return text.Measured(f.Sigma, f.SigmaSD, "ps") }),
		fit("level beside it, per bin", func(f *correlate.PeakFit) string { return text.Measured(f.Level, f.LevelSD, "") }),
	}
}

func carWords(s correlate.PairSum) string {
	switch {
	case s.CAR.Known():
		return text.Measured(s.CAR, s.CARSD, "")
	case s.CARAtLeast > 0:
		return "at least " + text.Significant(s.CARAtLeast)
	}
	return none
}

// pairGraphs are the histograms and the rates of pairs.
func (b *board) pairGraphs() (all []graph) {
	for _, key := range slices.Sorted(maps.Keys(b.pairs)) {
		p := b.pairs[key]
		e := p.told
		unit, ps := plot.TimeUnit(float64(-e.StartPs))
		bins := func(counts []uint64) (points []plot.Point) {
			for k, n := range counts[:min(len(counts), plot.MaxPoints)] {
				points = append(points, plot.Point{X: float64(e.StartPs+int64(k)*e.BinPs) / ps, Y: float64(n)})
			}
			return points
		}
		of := e.Target + " minus " + e.Reference
		all = append(all,
			graph{ID: "pairs-" + key, In: "pairs", Title: of + ", all segments", X: "difference / " + unit, Y: "counts per bin", Log: true,
				Curves: []plot.Curve{{Name: "clocks corrected", Kind: plot.Steps, Points: bins(e.Counts)}, {Name: "raw", Kind: plot.Steps, Points: bins(e.Raw)}}, Empty: "nothing was counted"},
			graph{ID: "newest-" + key, In: "pairs", Title: of + ", newest segment", X: "difference / " + unit, Y: "counts per bin", Log: true,
				Curves: []plot.Curve{{Name: "clocks corrected", Kind: plot.Steps, Points: bins(e.Newest)}}, Empty: "nothing was counted"},
			graph{ID: "pairrate-" + key, In: "pairs", Title: of + ": pairs less chance, ± sd", X: "time / s", Y: "pairs per s",
				Curves: []plot.Curve{{Name: "pairs", Kind: plot.Band, Points: p.rate.Points()}}, Empty: "nothing was counted"})
	}
	return all
}

// pairMetrics are the numbers of pairs for Prometheus.
func (b *board) pairMetrics() []metric {
	all := metric{name: "tsrun_pairs_total", kind: "counter", help: "Coincidences of the segments that were counted while the run goes on, those by chance among them."}
	chance := metric{name: "tsrun_pairs_accidental", kind: "gauge", help: "How many of tsrun_pairs_total are by chance."}
	rate := metric{name: "tsrun_pairs_hertz", kind: "gauge", help: "Pairs per second less chance, of the newest segment."}
	herald := metric{name: "tsrun_pairs_heralding_ratio", kind: "gauge", help: "Part of the reference's tags that the target saw, too, in the newest segment."}
	for _, key := range slices.Sorted(maps.Keys(b.pairs)) {
		e := b.pairs[key].told
		labels := []string{"reference", e.Reference, "stage", e.Stage, "target", e.Target}
		all.add(float64(e.Total.All), labels...)
		for _, v := range []struct {
			m *metric
			n quantity.Number
		}{{&chance, e.Total.Accidentals}, {&rate, e.Last.Rate}, {&herald, e.Last.OfB}} {
			if v.n.Known() {
				v.m.add(float64(v.n), labels...)
			}
		}
	}
	return []metric{all, chance, rate, herald}
}
