package stage

import (
	"fmt"
	"math"
	"slices"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/mesh"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// solve makes one solution of what the pairs say.
func (n *network) solve() (err error) {
	n.span()
	if n.middle, err = n.solveAt(n.at); err != nil {
		return err
	}
	if n.start, err = n.solveAt(n.from); err != nil {
		return err
	}
	if n.shared = n.middle.CloseTooWell(); n.shared {
		n.middle.Widen(n.middle.Alone())
		n.start.Widen(n.start.Alone())
	}
	return nil
}

// reading is what carries the times of a clock to the reference's, by as few pairs as
// lead there.
func (n *network) reading(i int) (k correlate.Correction, reached bool) {
	k, reached, _ = n.found.between(n.names[0], n.names[i])
	return k, reached || i == 0
}

// span finds the time that all pairs which lead to the reference have in common, on its
// clock; where there is none, that of the pair in the middle.
func (n *network) span() {
	type stretch struct{ from, to int64 }
	var all []stretch
	for _, p := range n.good {
		k, reached := n.reading(p.a)
		if !reached {
			continue
		}
		r := p.Alignment
		all = append(all, stretch{int64(k.Apply(r.Start)), int64(k.Apply(r.Start + uint64(r.Overlap)))})
	}
	if len(all) == 0 {
		return
	}
	from, to := all[0].from, all[0].to
	for _, s := range all {
		from, to = max(from, s.from), min(to, s.to)
	}
	if from >= to {
		slices.SortFunc(all, func(a, b stretch) int { return int(max(-1, min(1, a.from-b.from))) })
		from, to = all[len(all)/2].from, all[len(all)/2].to
	}
	n.from, n.to = uint64(from), uint64(to)
	n.at = n.from + (n.to-n.from)/2
}

// solveAt solves for the clocks at a time of the reference's.
func (n *network) solveAt(t uint64) (*mesh.Solution, error) {
	var pairs []mesh.Pair
	for _, p := range n.good {
		at := t
		if k, reached := n.reading(p.a); reached {
			at = k.Inverse().Apply(t)
		}
		pairs = append(pairs, mesh.Pair{A: p.a, B: p.b, Offset: offsetOf(p, at), Frequency: n.frequency(p) / 1e9, Spread: n.spread(p, at)})
	}
	s, err := mesh.Solve(len(n.names), 0, pairs)
	if err != nil {
		return nil, fmt.Errorf("the clocks of all nodes together: %w", err)
	}
	return s, nil
}

func offsetOf(p *networkPair, at uint64) quantity.Fine {
	offset, _ := p.OffsetAt(at)
	return offset
}

// frequency is that of a pair, in ppb: of a clock that wanders its mean over the time that
// it was followed, which is much the same for all pairs.
func (n *network) frequency(p *networkPair) float64 {
	if p.wanders() && p.Track != nil && p.Count <= 1 {
		mean, _ := p.Track.Mean(p.Start, p.Start+uint64(p.Overlap))
		return mean
	}
	return p.Frequency
}

// spread is how well a pair is known at a time of its first clock.
func (n *network) spread(p *networkPair, at uint64) mesh.Spread {
	r := p.Alignment
	_, sd := r.OffsetAt(at)
	s := mesh.Spread{OffsetSD: max(sd, finest), FrequencySD: max(r.FrequencySD*1e-9, finest/max(float64(r.Overlap), 1))}
	if r.Wanders && r.Track != nil && p.Count <= 1 {
		_, mean := r.Track.Mean(r.Start, r.Start+uint64(r.Overlap))
		s.FrequencySD = max(s.FrequencySD, mean*1e-9)
	}
	since := float64(int64(at - r.Reference))
	start := float64(int64(r.Start - r.Reference))
	if r.Track == nil && start != 0 { // of a line: what its deviation at the start says
		slope := r.FrequencySD * 1e-9
		both := (r.StartSD*r.StartSD - r.OffsetSD*r.OffsetSD - start*start*slope*slope) / (2 * start)
		s.Correlation = max(-0.99, min(0.99, (both+since*slope*slope)/(s.OffsetSD*s.FrequencySD)))
	}
	return s
}

// finest is the least that a deviation can be, in ps: beyond it the whole picoseconds of
// tags count.
const finest = 1e-3

// clockSummary is one clock against the reference.
func (n *network) clockSummary(i int) (AlignSummary, error) {
	target, reference := n.names[i], n.names[0]
	c := n.middle.Clocks[i]
	if !c.Reached {
		return n.unreached(i), nil
	}
	found := n.alignment(i)
	if !n.straight(i) {
		var err error
		if found, err = n.wandering(i, found); err != nil {
			return AlignSummary{}, fmt.Errorf("the clock of %s: %w", target, err)
		}
	}
	s, err := NewAlignSummary(reference, target, found, nil)
	at := 0
	for _, number := range c.By {
		p := n.good[number]
		at = p.a + p.b - at
		s.Via = append(s.Via, n.names[at])
	}
	s.Via = s.Via[:len(s.Via)-1]
	return s, err
}

// unreached says why nothing is known of a clock: what its pairs say, that with the
// reference first.
func (n *network) unreached(i int) AlignSummary {
	s := AlignSummary{Reference: n.names[0], Target: n.names[i], Refused: true, Code: "not-reached"}
	for _, p := range n.pairs {
		if (p.a == i || p.b == i) && p.said.Refused && s.Reason == "" {
			s.Reason, s.Hint = "no pairs of others lead to it, and with "+n.names[p.a+p.b-i]+" "+p.said.Reason, p.said.Hint
		}
	}
	if s.Reason == "" {
		s.Reason, s.Hint = "its offset cannot be counted", "give the tags of all nodes one zero first"
	}
	return s
}

// wandering is a clock along the tracks of the pairs on the way to it.
func (n *network) wandering(i int, found align.Alignment) (align.Alignment, error) {
	by := n.middle.Clocks[i].By
	if first := n.good[by[0]]; len(by) == 1 && first.a == 0 {
		return first.Alignment, nil // as a stage of the two would say
	}
	t, err := n.along(by)
	if err != nil {
		return found, err
	}
	found.Track, found.Wanders = t, true
	found.Offset, found.OffsetSD = t.At(found.Reference)
	found.StartOffset, found.StartSD = t.At(found.Start)
	found.Frequency, found.FrequencySD = n.frequencyAlong(by)
	return found, nil
}

// frequencyAlong is that of the last clock of a way, in ppb, by what each pair says of the middle
// of its record.
func (n *network) frequencyAlong(by []int) (ppb, sd float64) {
	rate, clock := 0.0, 0
	for _, number := range by {
		p := n.good[number]
		sign := 1.0
		if p.b == clock {
			sign = -1
		}
		rate += sign * math.Log1p(p.Frequency*1e-9)
		sd = math.Hypot(sd, p.FrequencySD)
		clock = p.a + p.b - clock
	}
	return math.Expm1(rate) * 1e9, sd
}

// leg is a pair of a way, in the direction of the way.
type leg struct {
	*networkPair
	back bool                 // from B to A
	to   correlate.Correction // from the reference's clock to A's
}

// mostKnots is how many knots a track along several pairs has.
const mostKnots = 100_000

// along joins the tracks of the pairs of a way to one of its last clock.
func (n *network) along(by []int) (*track.Track, error) {
	var legs []leg
	clock := 0
	for _, number := range by {
		p := n.good[number]
		k, _ := n.reading(p.a)
		legs = append(legs, leg{p, p.b == clock, k.Inverse()})
		clock = p.a + p.b - clock
	}
	t := track.Track{Noise: noiseOf(legs), Jitter: legs[len(legs)-1].Jitter}
	for _, at := range n.knotTimes(legs) {
		t.Knots = append(t.Knots, knotAt(legs, at))
	}
	for i := range t.Knots { // the frequency between one knot and the next
		k, next := &t.Knots[i], i+1
		if next == len(t.Knots) {
			next = i - 1
		}
		if next >= 0 {
			other := t.Knots[next]
			k.Frequency = other.Offset.Minus(k.Offset) / float64(int64(other.Time-k.Time)) * 1e9
		}
	}
	t.Steps = stepsOf(legs, t.Knots)
	t.Straight = t.Knots[len(t.Knots)/2]
	return track.Through(t)
}

func noiseOf(legs []leg) (sum track.Noise) {
	for _, l := range legs {
		if l.Track != nil {
			sum.WhiteFM = math.Hypot(sum.WhiteFM, l.Track.Noise.WhiteFM)
			sum.RandomWalkFM = math.Hypot(sum.RandomWalkFM, l.Track.Noise.RandomWalkFM)
		}
	}
	return sum
}

// knotTimes are those of all pairs of a way, on the reference's clock, in the time that all
// have in common.
func (n *network) knotTimes(legs []leg) (times []uint64) {
	times = append(times, n.from, n.to)
	for _, l := range legs {
		if l.Track == nil {
			continue
		}
		back := l.to.Inverse()
		every := len(l.Track.Knots)*len(legs)/mostKnots + 1
		for i := 0; i < len(l.Track.Knots); i += every {
			if t := back.Apply(l.Track.Knots[i].Time); int64(t-n.from) > 0 && int64(n.to-t) > 0 {
				times = append(times, t)
			}
		}
	}
	slices.Sort(times)
	const least = 1_000_000 // ps between knots: closer ones say the same
	return slices.CompactFunc(times, func(a, b uint64) bool { return b-a < least })
}

// knotAt is the clock at the end of a way.
func knotAt(legs []leg, t uint64) (k track.Knot) {
	k.Time = t
	var variance, rates float64
	for _, l := range legs {
		offset, sd := l.OffsetAt(l.to.Apply(t))
		sign := 1.0
		if l.back {
			sign = -1
		}
		k.Offset = quantity.NewFine(k.Offset.Whole+int64(sign)*offset.Whole, k.Offset.Part+sign*offset.Part)
		variance += sd * sd
		rates += l.FrequencySD * l.FrequencySD
	}
	k.OffsetSD, k.FrequencySD = math.Sqrt(variance), math.Sqrt(rates)
	return k
}

// stepsOf are the jumps of the pairs of a way, between knots.
func stepsOf(legs []leg, knots []track.Knot) (steps []track.Step) {
	for _, l := range legs {
		if l.Track == nil {
			continue
		}
		back := l.to.Inverse()
		for _, s := range l.Track.Steps {
			s.Time = back.Apply(s.Time)
			if l.back {
				s.Offset, s.Frequency = -s.Offset, -s.Frequency
			}
			if int64(s.Time-knots[0].Time) > 0 && int64(knots[len(knots)-1].Time-s.Time) > 0 {
				steps = append(steps, s)
			}
		}
	}
	slices.SortFunc(steps, func(a, b track.Step) int { return int(max(-1, min(1, int64(a.Time-b.Time)))) })
	return steps
}
