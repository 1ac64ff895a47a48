package align

import (
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

const (
	judgedFrom   = 10     // markers from which strays among them are told
	astray       = 8.0    // standard deviations off its neighbours that make a marker a stray
	shapedFrom   = 12     // markers from which the shape of what the line leaves is looked at
	shapes       = 5      // slow waves that are looked for
	shapely      = 27.0   // their chi-square, which chance exceeds once in 20 000
	often        = 1.25   // mean of their squares that chance often exceeds
	rarest       = 2.0    // square of the highest of them that chance does not often exceed
	wanders      = 1.3    // of what it leaves, that a clock may be off a line that it wanders about
	alike        = 3.5    // standard deviations by which neighbours may be alike
	coarsestStep = 10_000 // ps: of counters in use, where the tags do not show theirs
)

// marks are the markers that both nodes recorded.
type marks struct {
	a, b []uint64
	t, d []float64 // ps: A's time since the first, B minus A beyond the first's
	step float64   // ps: what the steps of the tags leave unknown of B minus A, standard deviation
}

func newMarks(a, b []uint64) marks {
	p := marks{a: a, b: b, t: make([]float64, len(a)), d: make([]float64, len(a))}
	for i := range a {
		p.t[i], p.d[i] = float64(a[i]-a[0]), float64(int64(b[i]-a[i]-(b[0]-a[0])))
	}
	p.step = math.Hypot(tagStep(a), tagStep(b)) / math.Sqrt(12)
	return p
}

func (p marks) len() int { return len(p.a) }

// tagStep is the step of the tags of a train, in ps: all that they differ from
// an even beat by are multiples of it. Tags that differ nowhere, or hardly, of a
// counter that is locked to what it counts, may have any step that their times
// are multiples of.
func tagStep(times []uint64) float64 {
	beat := times[1] - times[0]
	step, before, changes := uint64(0), int64(0), 0
	for i := 1; i < len(times) && step != 1; i++ {
		beats := (times[i] - times[0] + beat/2) / beat
		off := int64(times[i] - times[0] - beats*beat)
		step = divisor(step, uint64(max(off, -off)))
		if off != before {
			changes++
		}
		before = off
	}
	if changes >= minMarkers {
		return float64(step)
	}
	all := divisor(divisor(step, beat), times[0])
	for step = coarsestStep; all%step != 0; step-- {
	}
	return float64(step)
}

// divisor returns the greatest common divisor.
func divisor(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// withoutStrays leaves out markers that are far off the middle of their two
// neighbours to each side. A jump of the clock has most of them on one side.
func (p marks) withoutStrays() marks {
	n := p.len()
	if n < judgedFrom {
		return p
	}
	stride := n/sampled + 1
	var slopes, moves []float64
	for i := 0; i+1 < n; i += stride {
		slopes = append(slopes, (p.d[i+1]-p.d[i])/(p.t[i+1]-p.t[i]))
	}
	slope := middle(slopes)
	for i := 0; i+1 < n; i += stride {
		moves = append(moves, math.Abs(p.d[i+1]-p.d[i]-slope*(p.t[i+1]-p.t[i])))
	}
	sigma := 1.4826 / math.Sqrt2 * middle(moves) // of a normal distribution by its middle deviation
	most := astray*sigma*(1+float64(judgedFrom)/float64(n)) + sureties*math.Sqrt(12)*p.step
	kept := 0
	near := make([]float64, 0, 5)
	stays := make([]bool, n)
	for i := range n {
		near = near[:0]
		for k := max(0, i-2); k < min(n, i+3); k++ {
			near = append(near, p.d[k]-slope*(p.t[k]-p.t[i]))
		}
		if stays[i] = math.Abs(p.d[i]-middle(near)) <= most; stays[i] {
			kept++
		}
	}
	if kept == n || kept < minMarkers {
		return p
	}
	var a, b []uint64
	for i := range n {
		if stays[i] {
			a, b = append(a, p.a[i]), append(b, p.b[i])
		}
	}
	return newMarks(a, b)
}

// markFit is the line of least squares through some of the markers.
type markFit struct {
	from, to  int
	t, d      float64 // means
	slope, tt float64
	length    float64 // ps
	sigma     float64 // ps: standard deviation that it leaves of a marker's difference
	step      float64 // ps: left unknown by the steps of the tags
	chi       float64 // of slow waves, and the share of the highest
	highest   float64
	alike     float64 // neighbours, in standard deviations
}

func (f markFit) n() int { return f.to - f.from }

// fit lays a line through the markers from one to before another.
func (p marks) fit(from, to int) markFit {
	f := markFit{from: from, to: to, length: p.t[to-1] - p.t[from]}
	n := float64(to - from)
	for k := from; k < to; k++ {
		f.t, f.d = f.t+p.t[k]/n, f.d+p.d[k]/n
	}
	var td, rr, neighbours, before float64
	for k := from; k < to; k++ {
		f.tt, td = f.tt+(p.t[k]-f.t)*(p.t[k]-f.t), td+(p.t[k]-f.t)*(p.d[k]-f.d)
	}
	f.slope = td / f.tt
	for k := from; k < to; k++ {
		r := p.d[k] - f.at(p.t[k])
		rr += r * r
		if k > from {
			neighbours += (r - before) * (r - before)
		}
		before = r
	}
	f.sigma = math.Sqrt(rr / max(n-2, 1))
	// Steps of the tags average out where jitter is wider than they are.
	f.step = p.step * math.Exp(-1.6*max(0, f.sigma*f.sigma/(p.step*p.step)-1))
	if f.n() >= shapedFrom {
		variance := max(f.sigma*f.sigma, p.step*p.step) // below their step tags have no shape
		f.chi, f.highest = p.waves(f, variance)
		f.alike = (2 - 2*p.step*p.step/variance - neighbours/(n*variance)) / (2 / math.Sqrt(n)) // J. von Neumann, 1941
	}
	return f
}

// at returns the line at a time since the first marker.
func (f markFit) at(t float64) float64 { return f.d + f.slope*(t-f.t) }

// waves is the sum of squares, and the largest of them, of slow waves in what the
// line leaves, of one to three periods, in units of a marker's variance: where
// all is chance each is 1 on average.
func (p marks) waves(f markFit, variance float64) (sum, highest float64) {
	var cosine, norm [shapes]float64
	for k := f.from; k < f.to; k++ {
		turn := math.Cos(math.Pi * (p.t[k] - p.t[f.from]) / f.length)
		before, c, off := turn, 2*turn*turn-1, p.d[k]-f.at(p.t[k])
		for w := range shapes { // cos((w+2) x)
			cosine[w], norm[w] = cosine[w]+c*off, norm[w]+c*c
			before, c = c, 2*turn*c-before
		}
	}
	for w := range shapes {
		square := cosine[w] * cosine[w] / norm[w] / variance
		sum, highest = sum+square, max(highest, square)
	}
	return sum, highest
}

// even says that the line leaves nothing but chance.
func (f markFit) even() bool { return f.chi <= shapely && f.alike <= alike }

// deviations returns the standard deviations of the mean of the line, in ps, and
// of its slope.
func (f markFit) deviations() (mean, slope float64) {
	if !f.even() { // the clock wanders about the line, by as much as it leaves
		mean, slope = wanders*f.sigma, wanders*math.Sqrt(12)*f.sigma/f.length
	} else {
		unseen := max(1, f.chi/shapes/often, (f.highest-rarest)/2)
		sigma := student(f.n()-2) * f.sigma * math.Sqrt(unseen)
		mean, slope = sigma/math.Sqrt(float64(f.n())), sigma/math.Sqrt(f.tt)
	}
	return math.Hypot(mean, f.step), math.Hypot(slope, math.Sqrt(12)*f.step/f.length)
}

// sd is the standard deviation of the line at a time since the first marker.
func (f markFit) sd(t float64) float64 {
	mean, slope := f.deviations()
	return math.Hypot(mean, slope*(t-f.t))
}

// student is by how much a deviation that was estimated with so many degrees of
// freedom must be wider for three of it to hold as often, 99.73 %, as three of a
// normal distribution (Student 1908; expanded in 1/free as R. A. Fisher and
// E. A. Cornish did, 1960).
func student(free int) float64 {
	few := [...]float64{78.6, 78.6, 6.403, 3.073, 2.207}
	if free < len(few) {
		return few[max(free, 0)]
	}
	v := 1 / float64(free)
	return 1 + v*(2.5+v*(5.75+v*(10.06+v*14)))
}

// line is the fit as a line between the clocks.
func (p marks) line(f markFit) correlate.Line {
	return correlate.Line{Reference: p.a[0] + uint64(int64(f.t)), Offset: int64(p.b[0]-p.a[0]) + int64(math.Round(f.at(math.Trunc(f.t)))),
		Frequency: quantity.Drift(math.Round(f.slope * quantity.DriftUnit))}
}

// offset returns B minus A at a time of A's clock.
func (p marks) offset(f markFit, time uint64) quantity.Fine {
	return quantity.NewFine(int64(p.b[0]-p.a[0]), f.at(float64(int64(time-p.a[0]))))
}

// report turns a fit to all markers into numbers.
func (p marks) report(f markFit) Alignment {
	first, last := p.a[0], p.a[p.len()-1]
	r := Alignment{Reference: first + (last-first)/2, Start: first, Overlap: int64(last - first),
		Pairs: int64(f.n()), Jitter: max(f.sigma, p.step), Frequency: f.slope * 1e9}
	r.Offset, r.StartOffset = p.offset(f, r.Reference), p.offset(f, r.Start)
	_, slope := f.deviations()
	r.OffsetSD, r.StartSD, r.FrequencySD = f.sd(float64(r.Reference-first)), f.sd(0), slope*1e9
	if f.n() >= shapedFrom {
		r.ChiSquare, r.Freedom = f.chi, shapes
	}
	n, beat := float64(f.n()), f.length/float64(f.n()-1)
	r.Significance = math.Sqrt(2 * surprise(n, n*min(1, 6*r.Jitter/beat)))
	return r
}

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
