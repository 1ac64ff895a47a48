package align

import (
	"math"

	"tsrun/pipeline/track"
)

const (
	clearJump   = 7.0 // standard deviations of a jump between two lines
	leastPiece  = 3   // markers between two jumps
	rarely      = 20  // markers for each jump, at least, after the first: more of them are a clock that wanders
	knotsApiece = 200 // of a track, at most
)

// pieces cuts the markers where B's clock jumps: where two lines that do not
// meet leave no more than chance, and one does not. A clock that wanders stays
// in one piece.
func (p marks) pieces(whole markFit) []markFit {
	one := []markFit{whole}
	if whole.even() {
		return one
	}
	cut := p.cut(whole, newMoments(p, whole))
	if len(cut) > 2+p.len()/rarely {
		return one
	}
	for _, f := range cut {
		if !f.even() {
			return one
		}
	}
	return cut
}

// cut divides the markers of a fit at the jumps between them.
func (p marks) cut(f markFit, m moments) []markFit {
	if f.even() && f.n() >= shapedFrom || f.n() < 2*leastPiece+2 {
		return []markFit{f}
	}
	least, at := math.Inf(1), 0
	for k := f.from + leastPiece; k <= f.to-leastPiece; k++ {
		if rr := m.left(f.from, k) + m.left(k, f.to); rr < least {
			least, at = rr, k
		}
	}
	before, after := p.fit(f.from, at), p.fit(at, f.to)
	t := (p.t[at-1] + p.t[at]) / 2
	free := f.n() - 4
	sigma := math.Hypot(student(free)*math.Sqrt(least/float64(free)), p.step)
	if math.Abs(after.at(t)-before.at(t)) <= clearJump*sigma*math.Hypot(before.leverage(t), after.leverage(t)) {
		return []markFit{f}
	}
	return append(p.cut(before, m), p.cut(after, m)...)
}

// leverage is how uncertain the line is at a time, in deviations of a marker.
func (f markFit) leverage(t float64) float64 {
	return math.Hypot(1/math.Sqrt(float64(f.n())), (t-f.t)/math.Sqrt(f.tt))
}

// moments are running sums over what a line leaves of the markers, with time
// in units of the whole.
type moments []momentsTo

type momentsTo struct{ n, t, d, tt, td, dd float64 }

func newMoments(p marks, f markFit) moments {
	all := make(moments, p.len()+1)
	for i := range p.len() {
		t, d := (p.t[i]-f.t)/f.length, p.d[i]-f.at(p.t[i])
		s := all[i]
		all[i+1] = momentsTo{s.n + 1, s.t + t, s.d + d, s.tt + t*t, s.td + t*d, s.dd + d*d}
	}
	return all
}

// left is the sum of squares that the best line leaves of some markers.
func (m moments) left(from, to int) float64 {
	a, b := m[from], m[to]
	n, t, d := b.n-a.n, b.t-a.t, b.d-a.d
	tt, td, dd := b.tt-a.tt-t*t/n, b.td-a.td-t*d/n, b.dd-a.dd-d*d/n
	return max(0, dd-td*td/tt)
}

// track is B's clock along pieces between jumps.
func (p marks) track(pieces []markFit) (*track.Track, error) {
	var knots []track.Knot
	var steps []track.Step
	var rr, free float64
	for i, f := range pieces {
		_, slope := f.deviations()
		if i > 0 {
			before, end, begin := pieces[i-1], p.a[f.from-1], p.a[f.from]
			t := (p.t[f.from-1] + p.t[f.from]) / 2
			steps = append(steps, track.Step{Time: end + (begin-end)/2, TimeSD: float64(begin-end) / math.Sqrt(12),
				Offset: f.at(t) - before.at(t), OffsetSD: math.Hypot(f.sd(t), before.sd(t))})
		}
		n := min(f.n(), knotsApiece)
		for k := range n {
			at := f.from + k*(f.n()-1)/(n-1)
			knots = append(knots, track.Knot{Time: p.a[at], Offset: p.offset(f, p.a[at]), OffsetSD: f.sd(p.t[at]),
				Frequency: f.slope * 1e9, FrequencySD: slope * 1e9, Pairs: float64(f.n()) / float64(n)})
		}
		rr, free = rr+f.sigma*f.sigma*float64(f.n()-2), free+float64(f.n()-2)
	}
	return track.Through(track.Track{Knots: knots, Steps: steps, Jitter: math.Sqrt(rr / free), Pairs: float64(p.len())})
}
