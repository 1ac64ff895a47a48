package track

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

// At returns B minus A at a time of A's clock, and its standard deviation: as
// all pairs show it within the record, and beyond its ends and in gaps as the
// clock's noise and what the gap may hide let expect. Of an empty track it is
// infinite.
func (t *Track) At(time uint64) (offset quantity.Fine, sd float64) {
	if t.path == nil {
		return quantity.Fine{}, math.Inf(1)
	}
	s := t.path.at(t.since(time))
	s.xx += t.common + squared(t.Hides(time))
	k := t.knot(t.since(time), s, 0)
	return k.Offset, k.OffsetSD
}

// Hides is what a gap may hide at a time, in ps: how far B may be from what the
// track would have it. What a gap at an end may hide is hidden beyond, too.
func (t *Track) Hides(time uint64) (most float64) {
	if len(t.Knots) == 0 {
		return 0
	}
	first, last := t.since(t.Knots[0].Time), t.since(t.Knots[len(t.Knots)-1].Time)
	at := t.since(time)
	for _, g := range t.Gaps {
		from, to := t.since(g.From), t.since(g.To)
		if at >= from && at <= to || at < from && to <= first || at > to && from >= last {
			most = max(most, g.Hidden)
		}
	}
	return most
}

// Unproven says whether a gap may hide a jump.
func (t *Track) Unproven() bool {
	return slices.ContainsFunc(t.Gaps, func(g Gap) bool { return g.Hidden > 0 })
}

// Hide returns the track with what its i-th gap may hide, in ps.
func (t *Track) Hide(i int, hidden float64) *Track {
	less := *t
	less.Gaps = slices.Clone(t.Gaps)
	less.Gaps[i].Hidden = hidden
	return &less
}

// Mean returns the mean frequency between two times of A's, in ppb, and its
// standard deviation, which is that of a line, or wider; what gaps may hide is
// not part of it.
func (t *Track) Mean(from, to uint64) (frequency, sd float64) {
	first, last := t.path.at(t.since(from)), t.path.at(t.since(to))
	// The ends of a straight line are off to opposite sides, not quite by their
	// whole deviations.
	sd = math.Sqrt(3) / 2 * (math.Sqrt(first.xx+t.common) + math.Sqrt(last.xx+t.common))
	length := float64(to-from) / second
	return (t.slope + (last.x-first.x)/length/second) * 1e9, sd / length / second * 1e9
}

// Odd is which part of the pairs lie elsewhere than those of a normal peak
// would, 0 where that is not much.
func (t *Track) Odd() float64 { return t.odd }

// Widen returns the track with all offsets known less well by one common error
// of the given standard deviation in ps.
func (t *Track) Widen(sd float64) *Track {
	wide := *t
	wide.common += sd * sd
	wide.Knots = slices.Clone(t.Knots)
	for i := range wide.Knots {
		k := &wide.Knots[i]
		k.OffsetSD = math.Hypot(k.OffsetSD, sd)
	}
	wide.Straight.OffsetSD = math.Hypot(t.Straight.OffsetSD, sd)
	return &wide
}

const (
	tolerance = 0.5 // ps: how far the lines of a correction may be off the track
	deepest   = 8   // halvings of a gap between two knots
)

// node is a place that the lines of a correction go through.
type node struct {
	at int64   // ps since Reference
	x  float64 // ps beside the seed's line
}

// Correction returns what carries B's tags to A's clock along the track, within
// half a picosecond of it and rounded to whole ones; where the clock jumps, a
// line ends and the next begins.
func (t *Track) Correction() (correlate.Correction, error) {
	var lines []correlate.Line
	p := t.path
	if p == nil {
		return correlate.Correction{}, ErrLost
	}
	first := 0
	for k := 0; k <= len(p.leaps); k++ {
		last := len(p.slices)
		if k < len(p.leaps) {
			last = p.leaps[k].before
		}
		begin, end := p.slices[0].from, p.slices[len(p.slices)-1].to
		if k > 0 {
			begin = p.leaps[k-1].at
		}
		if k < len(p.leaps) {
			end = p.leaps[k].at - 1
		}
		nodes := []node{{begin, p.at(begin).x}}
		for i := first; i < last; i++ {
			at := node{p.slices[i].at, p.all[i].x}
			nodes = t.connect(nodes, at, deepest)
		}
		nodes = t.connect(nodes, node{end, p.at(end).x}, deepest)
		lines = t.join(lines, nodes)
		first = last
	}
	return correlate.NewCorrection(lines...)
}

// connect appends a node, and before it such as are needed where the track
// bends between.
func (t *Track) connect(nodes []node, next node, depth int) []node {
	if len(nodes) == 0 {
		return append(nodes, next)
	}
	last := nodes[len(nodes)-1]
	if next.at-last.at < 2 {
		return nodes
	}
	at := last.at + (next.at-last.at)/2
	middle := node{at, t.path.at(at).x}
	if depth > 0 && math.Abs(middle.x-(last.x+next.x)/2) > tolerance/2 {
		return t.connect(t.connect(nodes, middle, depth-1), next, depth-1)
	}
	return append(nodes, next)
}

// join appends the fewest lines that pass all nodes closely: each goes on as
// long as one slope does for all it passes.
func (t *Track) join(lines []correlate.Line, nodes []node) []correlate.Line {
	for i := 0; i < len(nodes); {
		anchor := nodes[i]
		reference := t.line.Reference + uint64(anchor.at)
		exact := t.offsetAt(reference).Plus(anchor.x)
		low, high := math.Inf(-1), math.Inf(1)
		i++
		for ; i < len(nodes); i++ {
			length := float64(nodes[i].at - anchor.at)
			slope := (nodes[i].x - anchor.x + exact.Part) / length
			bottom, top := max(low, slope-tolerance/length), min(high, slope+tolerance/length)
			if bottom > top {
				break
			}
			low, high = bottom, top
		}
		slope := 0.0
		if !math.IsInf(low, 0) {
			slope = (low + high) / 2
		} else if len(lines) > 0 {
			slope = float64(lines[len(lines)-1].Frequency)/quantity.DriftUnit - t.slope
		}
		lines = appendLine(lines, correlate.Line{
			Reference: reference, Offset: exact.Whole,
			Frequency: t.line.Frequency + quantity.Drift(math.Round(slope*quantity.DriftUnit)),
		})
		if i < len(nodes) {
			i-- // the next line begins where this one ends
		}
	}
	return lines
}

// appendLine leaves out lines that B's clock shows after the new one although
// they are before it: a clock that jumped back showed those times twice, and
// the later ones count.
func appendLine(lines []correlate.Line, l correlate.Line) []correlate.Line {
	began := l.Reference + uint64(l.Offset)
	for len(lines) > 0 {
		last := lines[len(lines)-1]
		if int64(began-last.Reference-uint64(last.Offset)) > 0 && int64(l.Reference-last.Reference) > 0 {
			break
		}
		lines = lines[:len(lines)-1]
	}
	return append(lines, l)
}

// UnmarshalJSON reads a track that was written. Between its knots it is then
// known a little less well than before: how their errors go together is not
// written.
func (t *Track) UnmarshalJSON(text []byte) error {
	type plain Track
	var read plain
	if err := json.Unmarshal(text, &read); err != nil {
		return fmt.Errorf("read a track: %w", err)
	}
	if err := (*Track)(&read).restore(); err != nil {
		return fmt.Errorf("read a track: %w", err)
	}
	*t = Track(read)
	return nil
}

// Through returns the track along knots of a clock that was found in another
// way, or in parts: of t, what its knots, steps and noise make it. Knots and steps
// are in order of time, each step between two knots.
func Through(t Track) (*Track, error) {
	if err := t.restore(); err != nil {
		return nil, err
	}
	return &t, nil
}

// restore makes the path from the knots.
func (t *Track) restore() error {
	if len(t.Knots) == 0 {
		return nil
	}
	first := t.Knots[0]
	t.frame = newFrame(Seed{Line: correlate.Line{Reference: first.Time, Offset: first.Offset.Whole}})
	p := &path{noise: noise{squared(t.Noise.WhiteFM * second), squared(t.Noise.RandomWalkFM * second)}}
	for i, k := range t.Knots {
		at := t.since(k.Time)
		if i > 0 && at <= p.slices[i-1].at {
			return fmt.Errorf("knot %d, at %d ps, is not after the one before it", i, k.Time)
		}
		p.slices = append(p.slices, slice{from: at, to: at, at: at, t: float64(at) / second, n: k.Pairs})
		p.all = append(p.all, state{
			x: k.Offset.Minus(t.offsetAt(k.Time)), y: k.Frequency / 1e9 * second,
			xx: squared(k.OffsetSD), yy: squared(k.FrequencySD / 1e9 * second),
		})
	}
	for i, s := range t.Steps {
		at := t.since(s.Time)
		before := sort.Search(len(p.slices), func(i int) bool { return p.slices[i].at >= at })
		if i > 0 && int64(s.Time-t.Steps[i-1].Time) <= 0 || before == 0 || before == len(p.slices) {
			return fmt.Errorf("step %d, at %d ps, is not between knots, after the one before it", i, s.Time)
		}
		p.leaps = append(p.leaps, leap{before: before, at: at, sd: s.TimeSD, anew: s.FrequencySD > 0})
	}
	t.path = p
	return nil
}

func squared(v float64) float64 { return v * v }

// straightBetween is the clock between slices i-1 and i of a restored path, as
// if the errors of both were the same; what the clock may do between them is
// that of a walk from one to the other.
func (p *path) straightBetween(i int, t float64) state {
	left, right := &p.all[i-1], &p.all[i]
	dt := p.slices[i].t - p.slices[i-1].t
	w := (t - p.slices[i-1].t) / dt
	mix := func(a, b float64) float64 { return (1-w)*a + w*b }
	free := w * (1 - w) * dt * (p.noise.qx + p.noise.qy*dt*dt*w*(1-w)/3)
	return state{
		x: mix(left.x, right.x), y: (right.x - left.x) / dt,
		xx: mix(left.xx, right.xx) + free, yy: mix(left.yy, right.yy),
	}
}
