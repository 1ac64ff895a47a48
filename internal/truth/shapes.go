package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// shapes are records of all kinds of light, detectors and clocks that align must
// know. Values of one record err together, so knots and paths are judged by the
// record, and a shape only by what is beyond chance for so many records. A shape
// of which twenty records scatter more than chance in one of seventy shapes lets
// them is measured with sixty.
var shapes = table{name: "shapes", about: "light, detectors and clocks of all kinds", run: func(r *report) {
	r.row("shape", "records", "refused", "false", "rms error ps", "bound ps", "rms pull", "largest", "rms pull start", "largest",
		"jumps", "rms pull knots", "in 3 sd", "largest", "path: rms error ps", "in 3 sd")
	var all shapeFound
	list := shapeList()
	for i, s := range list {
		if r.part && (i%3 > 0 || s.e.Seconds > 12) {
			continue
		}
		found := s.records(0, r.seeds(20, 1), r.seed(900_000+1000*i))
		if !r.part && max(rms(found.pulls), rms(found.start)) > 1.35 {
			found.add(s.records(20, 60, r.seed(900_000+1000*i)))
		}
		found.row(r, s)
		s.judge(r, found, len(list))
		all.add(found)
	}
	r.row("all", all.n, len(all.codes), all.wrong, "", "", rms(all.pulls), largest(all.pulls), rms(all.start), largest(all.start), "",
		rms(all.knots), mean(all.knotShares), largest(all.knots), "", mean(all.pathShares))
	for _, c := range []struct {
		what   string
		values []float64
	}{{"offsets", all.pulls}, {"start offsets", all.start}} {
		r.want(within(c.values, 3) >= 0.99 || r.part && within(c.values, 4) == 1, "%.4f of all %s are within 3 sd", within(c.values, 3), c.what)
	}
	share := 0.99
	if r.part {
		share = 0.95 // of few records, of which one may be a third off
	}
	r.want(mean(all.knotShares) >= share, "%.4f of all knots are within 3 sd", mean(all.knotShares))
	r.want(mean(all.pathShares) >= share, "%.4f of all paths are within 3 sd", mean(all.pathShares))
}}

// shape is one kind of record.
type shape struct {
	name    string
	e       pairs.Experiment
	o       align.Options
	apart   bool // the channels of several detectors are not merged
	shifted bool // its steps come at another time in every record
	unclear bool // may be refused as ambiguous
	bound   bool // that of a straight clock without background holds
	alone   int  // pairs of records that have no other number of them
}

// shapeFound is what records of a shape gave.
type shapeFound struct {
	n, wrong, steps, warned int
	codes                   []string  // of refusals
	errors, bounds          []float64 // ps
	pulls, start, knots     []float64
	knotShares              []float64 // of a record's, within 3 sd
	path, pathShares        []float64 // ps
	delays                  []float64 // pulls, of channels
}

func (f *shapeFound) add(o shapeFound) {
	f.n, f.wrong, f.steps, f.warned = f.n+o.n, f.wrong+o.wrong, f.steps+o.steps, f.warned+o.warned
	f.codes = append(f.codes, o.codes...)
	f.errors, f.bounds, f.pulls, f.start, f.knots = append(f.errors, o.errors...), append(f.bounds, o.bounds...), append(f.pulls, o.pulls...), append(f.start, o.start...), append(f.knots, o.knots...)
	f.knotShares, f.path, f.pathShares, f.delays = append(f.knotShares, o.knotShares...), append(f.path, o.path...), append(f.pathShares, o.pathShares...), append(f.delays, o.delays...)
}

// records plays those of seeds beyond base, from one to before another.
func (s shape) records(from, to int, base uint64) (all shapeFound) {
	found := make([]shapeFound, to-from)
	each(len(found), func(i int) { found[i] = s.record(base + uint64(from+i)) })
	for _, f := range found {
		all.add(f)
	}
	return all
}

func (s shape) record(seed uint64) shapeFound {
	e := s.e
	e.Seed = seed
	if s.shifted {
		by := 4 * (rand.New(rand.NewPCG(seed, 90)).Float64() - 0.5)
		e.Steps = slices.Clone(e.Steps)
		for i := range e.Steps {
			e.Steps[i].At += by
		}
	}
	f := shapeFound{n: 1}
	found := s.answer(e, &f)
	if found.err != nil {
		f.codes = []string{found.code}
		return f
	}
	f.compare(found)
	return f
}

// answer aligns a record; of channels apart it compares their delays as well.
func (s shape) answer(e pairs.Experiment, f *shapeFound) answer {
	if !s.apart {
		a, b, truth := s.play(e)
		found, err := align.Align(context.Background(), a, b, s.o)
		said := alignedAs(found, truth, err)
		said.beside = mean(truth.DelaysB) - mean(truth.DelaysA)
		return said
	}
	a, b, truth := e.MakeDetectors()
	c, err := align.AlignMany(context.Background(), a, b, s.o)
	said := alignedAs(c.Alignment, truth, err)
	if err != nil {
		return said
	}
	lead := c.ChannelPairs[c.Lead]
	said.beside = cables(truth, lead.A, lead.B)
	for _, p := range c.ChannelPairs {
		if p.Correlated && p != lead {
			want := (cables(truth, p.A, p.B) - said.beside) / (1 + truth.Frequency) // on A's clock
			f.delays = append(f.delays, (p.Delay-want)/math.Hypot(p.DelaySD, lead.DelaySD))
		}
	}
	return said
}

// cables is what those of two detectors add to B minus A: a photon is later on
// A's clock, by which time B's has gained.
func cables(t pairs.Truth, a, b int) float64 { return t.DelaysB[b] - t.DelaysA[a]*(1+t.Frequency) }

// play makes the record; if the number of its pairs is given, the first of its
// kind that has so many, and tags enough for an answer.
func (s shape) play(e pairs.Experiment) (a, b []uint64, truth pairs.Truth) {
	const leastTags = 16
	for {
		a, b, truth = e.Make()
		if s.alone == 0 || truth.Recorded == s.alone && min(len(a), len(b)) >= leastTags {
			return a, b, truth
		}
		e.Seed += 1 << 40
	}
}

// compare compares an answer with the truth.
func (f *shapeFound) compare(a answer) {
	if math.Abs(a.off()) > max(5*a.OffsetSD, 3*a.truth.Sigma) || math.Abs(a.startOff()) > max(5*a.StartSD, 3*a.truth.Sigma) {
		f.wrong = 1
	}
	if a.Warning != "" {
		f.warned = 1
	}
	f.errors, f.pulls, f.start = []float64{a.off()}, []float64{a.pull()}, []float64{a.startPull()}
	f.bounds, f.steps, f.knots = []float64{a.truth.OffsetBound(a.Reference)}, a.steps(), a.knots()
	if len(f.knots) > 0 {
		f.knotShares = []float64{within(f.knots, 3)}
	}
	var sds []float64
	f.path, sds = a.path(200)
	f.pathShares = []float64{within(over(f.path, sds), 3)}
}

func (f shapeFound) row(r *report, s shape) {
	refused := fmt.Sprint(len(f.codes))
	slices.Sort(f.codes)
	for _, c := range slices.Compact(slices.Clone(f.codes)) {
		refused += " " + c
	}
	if len(f.codes) == f.n {
		r.row(s.name, f.n, refused, f.wrong)
		return
	}
	bound := any("")
	if s.bound {
		bound = rms(f.bounds)
	}
	knots := []any{"", "", ""}
	if len(f.knots) > 0 {
		knots = []any{rms(f.knots), mean(f.knotShares), largest(f.knots)}
	}
	r.row(slices.Concat([]any{s.name, f.n, refused, f.wrong, rms(f.errors), bound, rms(f.pulls), largest(f.pulls), rms(f.start), largest(f.start), f.steps},
		knots, []any{rms(f.path), mean(f.pathShares)})...)
}

// judge states what must hold of one of so many shapes.
func (s shape) judge(r *report, f shapeFound, shapes int) {
	const chance = 0.01 // that one of all shapes is blamed for its luck
	lost := len(f.codes)
	if s.unclear {
		lost = len(slices.DeleteFunc(slices.Clone(f.codes), func(c string) bool { return c == "ambiguous" }))
	}
	r.want(lost == 0, "%s: %d refused: %s", s.name, lost, strings.Join(f.codes, ", "))
	r.want(f.wrong == 0, "%s: %d false", s.name, f.wrong)
	for _, c := range []struct {
		what   string
		values []float64
	}{{"offsets", f.pulls}, {"start offsets", f.start}, {"delays", f.delays}} {
		out := 0
		for _, v := range c.values {
			if math.Abs(v) > 3 {
				out++
			}
		}
		p := atLeast(out, len(c.values), 0.01)
		r.want(p > chance/float64(shapes), "%s: %d of %d %s are beyond 3 sd", s.name, out, len(c.values), c.what)
		r.want(r.part || len(c.values) == 0 || rms(c.values) < 1.35 || len(c.values) < 60, "%s: rms pull of %s %.2f", s.name, c.what, rms(c.values))
	}
	for _, c := range []struct {
		what   string
		shares []float64
	}{{"knots", f.knotShares}, {"path", f.pathShares}} {
		if n := len(c.shares); n > 1 {
			m, sd := moments(c.shares)
			r.want(m+3*sd/math.Sqrt(float64(n)) >= 0.99, "%s: %.4f of the %s within 3 sd", s.name, m, c.what)
		}
	}
	r.want(math.Abs(largest(f.knots)) < 6, "%s: a knot is off by %.1f sd", s.name, largest(f.knots))
}
