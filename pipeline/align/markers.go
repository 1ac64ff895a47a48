package align

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/quantity"
	"tsrun/pipeline/track"
)

const (
	minMarkers  = 4
	offBeat     = 0.25 // of a period, by which a marker may be early or late
	mostOffBeat = 0.2  // of the markers, which may be off the beat or extra
	maxMatching = 1e8  // markers compared with one another while matching
	trackedRate = 20.0 // markers per second from which the clock is followed between them
	aroundSeed  = 200  // markers in the middle from which it is followed
)

// AlignMarkers is [Align] for channels that record the same markers, such as
// the pulse per second of one receiver or a synchronisation signal, and no
// photons. Markers may be missing, and some may be extra, at either node.
//
// Markers of a regular beat tell the offset only but for a multiple of their
// period. If one such offset lies within the search, or if markers are missing
// in a pattern that both nodes recorded, the answer is unique and Period says
// what the beat is; otherwise it is refused as ambiguous, with the candidates.
// Markers without a beat are aligned like pairs.
func AlignMarkers(ctx context.Context, a, b []uint64, o Options) (Alignment, error) {
	if err := o.Check(); err != nil {
		return Alignment{}, err
	}
	a, err := distinct(a, "A", a)
	if err != nil {
		return Alignment{}, err
	}
	if b, err = distinct(b, "B", a); err != nil {
		return Alignment{}, err
	}
	if len(a) < minMarkers || len(b) < minMarkers {
		return Alignment{}, &Refusal{Code: "few-tags",
			Reason: fmt.Sprintf("A has %d different markers and B %d", len(a), len(b)),
			Hint:   fmt.Sprintf("measure at least %d, so that they can be told from noise", minMarkers)}
	}
	if max(len(a), len(b)) > MaxTags {
		return Alignment{}, &correlate.LimitError{What: "markers", Value: fmt.Sprint(max(len(a), len(b))), Limit: fmt.Sprint(MaxTags), Hint: "divide the marker's rate, or align shorter parts"}
	}
	beatA, regularA := newBeat(a)
	beatB, regularB := newBeat(b)
	if !regularA || !regularB {
		return Align(ctx, a, b, o)
	}
	if f := beatB.period/beatA.period - 1; math.Abs(f) > float64(o.MaxDrift)/driftUnit+offBeat/float64(min(beatA.length(), beatB.length())) {
		return Alignment{}, &Refusal{Code: "outside-drift",
			Reason: fmt.Sprintf("A's markers come every %.9g ns and B's every %.9g ns, which is beyond the %.6g ppb that were allowed", beatA.period/1e3, beatB.period/1e3, float64(o.MaxDrift)/1e6),
			Hint:   "check that both channels record the same marker; allow more drift if the clocks may be that different"}
	}
	shift, err := match(beatA, beatB, o)
	if err != nil {
		return Alignment{}, err
	}
	return beatA.aligned(ctx, beatB, shift, o)
}

// beat is a train of markers and on which beat each of them is, from 0 on.
type beat struct {
	times  []uint64
	index  []int64
	period float64 // ps
}

// newBeat numbers the markers; those off the beat are left out. regular is
// false when they are many.
func newBeat(times []uint64) (b beat, regular bool) {
	steps := make([]uint64, len(times)-1)
	for i := range steps {
		steps[i] = times[i+1] - times[i]
	}
	slices.Sort(steps)
	b.period = float64(steps[len(steps)/4]) // missing markers make steps longer, never shorter
	b.times, b.index = append(b.times, times[0]), append(b.index, 0)
	for _, t := range times[1:] {
		last := len(b.times) - 1
		n := float64(t-b.times[last]) / b.period
		if whole := math.Round(n); whole >= 1 && math.Abs(n-whole) < offBeat {
			b.times, b.index = append(b.times, t), append(b.index, b.index[last]+int64(whole))
			if beats := float64(b.index[last+1]); beats >= minMarkers {
				b.period = float64(t-times[0]) / beats
			}
		}
	}
	return b, float64(len(b.times)) >= (1-mostOffBeat)*float64(len(times)) && len(b.times) >= minMarkers
}

// length is how many beats the train spans.
func (b beat) length() int64 { return b.index[len(b.index)-1] + 1 }

// present marks the beats that have a marker.
func (b beat) present() []bool {
	marked := make([]bool, b.length())
	for _, i := range b.index {
		marked[i] = true
	}
	return marked
}

// match returns m such that beat j of B and beat j+m of A are one marker.
func match(a, b beat, o Options) (int64, error) {
	apart := float64(int64(b.times[0] - a.times[0]))
	reach := float64(o.Search)
	offset := func(m int64) float64 { return apart - float64(m)*a.period }
	first := max(int64(math.Ceil((apart-reach)/a.period)), minMarkers-b.length()) // they must share some
	last := min(int64(math.Floor((apart+reach)/a.period)), a.length()-minMarkers)
	if first > last {
		near := offset(int64(math.Round(apart / a.period)))
		return 0, &Refusal{Code: "outside-search", Period: a.period,
			Reason: fmt.Sprintf("markers come every %.9g ns, and no offset that matches them is within the search of %.6g us; the smallest is %.9g us", a.period/1e3, float64(o.Search)/1e6, near/1e6),
			Hint:   "search wider if the clocks may be that far apart, and check that both channels record the same marker"}
	}
	if first == last {
		return first, nil
	}
	if best, ok := pattern(a, b, first, last); ok {
		return best, nil
	}
	refusal := &Refusal{Code: "ambiguous", Period: a.period,
		Reason: fmt.Sprintf("markers come every %.9g ns, and %d offsets within the search match them", a.period/1e3, last-first+1),
		Hint:   "search less than half a period, or use a slower marker"}
	nearest := int64(math.Round(apart / a.period))
	for k := range last - first + 1 {
		for _, m := range slices.Compact([]int64{nearest - k, nearest + k}) {
			if m >= first && m <= last && len(refusal.Candidates) < maxCandidates {
				refusal.Candidates = append(refusal.Candidates, quantity.NewFine(0, offset(m)))
			}
		}
		if len(refusal.Candidates) == maxCandidates {
			break
		}
	}
	return 0, refusal
}

// pattern returns the match at which fewest markers are missing at one node
// alone, if no other comes near.
func pattern(a, b beat, first, last int64) (best int64, ok bool) {
	inA, inB := a.present(), b.present()
	if float64(last-first+1)*float64(min(len(inA), len(inB))) > maxMatching {
		return 0, false
	}
	lone := make([]float64, 0, last-first+1) // part of the common beats
	common := make([]float64, 0, last-first+1)
	at := 0
	for m := first; m <= last; m++ {
		differ, both := 0.0, 0.0
		for j := max(0, -m); j < int64(len(inB)) && j+m < int64(len(inA)); j++ {
			both++
			if inB[j] != inA[j+m] {
				differ++
			}
		}
		lone, common = append(lone, differ/both), append(common, both)
		if k := len(lone) - 1; lone[k] < lone[at] || lone[k] == lone[at] && both > common[at] {
			at = k
		}
	}
	// How rarely a node loses a marker, the best match says; each one more that
	// another match has to explain is so much evidence against it.
	each := math.Log((common[at]*(1-lone[at]) + 1) / (common[at]*lone[at] + 1))
	for k := range lone {
		if k != at && (lone[k]-lone[at])*min(common[k], common[at])*each < convincedLL {
			return 0, false
		}
	}
	return first + int64(at), true
}

// aligned fits the clock to the markers both nodes recorded.
func (a beat) aligned(ctx context.Context, b beat, m int64, o Options) (Alignment, error) {
	var inA, inB []uint64
	for i, j := 0, 0; i < len(a.index) && j < len(b.index); {
		switch d := a.index[i] - (b.index[j] + m); {
		case d < 0:
			i++
		case d > 0:
			j++
		default:
			inA, inB = append(inA, a.times[i]), append(inB, b.times[j])
			i, j = i+1, j+1
		}
	}
	if len(inA) < minMarkers {
		return Alignment{}, &Refusal{Code: "no-overlap", Period: a.period,
			Reason: fmt.Sprintf("both nodes recorded only %d of the same markers", len(inA)),
			Hint:   fmt.Sprintf("they need %d; measure longer, or start both nodes together", minMarkers)}
	}
	s := &searcher{Options: o, ctx: ctx, a: inA, b: inB, from: inA[0], to: inA[len(inA)-1], reach: o.Search, period: a.period}
	whole := s.throughMarkers(0, len(inA))
	if rate := float64(len(inA)) / float64(s.to-s.from) * 1e12; rate >= trackedRate && len(inA) >= 2*aroundSeed {
		l := s.throughMarkers((len(inA)-aroundSeed)/2, (len(inA)+aroundSeed)/2)
		l.rate = rate
		t, err := track.Follow(ctx, inA, inB, l.seed())
		if err == nil && bends(t) {
			return s.bent(t)
		}
		if err == nil {
			return s.straight(whole.Line, max(t.Jitter, 1), t)
		}
		if !errors.Is(err, track.ErrLost) {
			return Alignment{}, err
		}
	}
	return s.straight(whole.Line, whole.sigma, nil)
}

// throughMarkers returns the line of least squares through the matched markers
// from one to another.
func (s *searcher) throughMarkers(from, to int) line {
	n := float64(to - from)
	zero := s.a[from+(to-from)/2]
	first := int64(s.b[from+(to-from)/2] - zero)
	t := func(k int) float64 { return float64(int64(s.a[k] - zero)) }
	d := func(k int) float64 { return float64(int64(s.b[k]-s.a[k]) - first) }
	var mt, md float64
	for k := from; k < to; k++ {
		mt, md = mt+t(k)/n, md+d(k)/n
	}
	var tt, td float64
	for k := from; k < to; k++ {
		tt, td = tt+(t(k)-mt)*(t(k)-mt), td+(t(k)-mt)*(d(k)-md)
	}
	slope, rr := td/tt, 0.0
	for k := from; k < to; k++ {
		r := d(k) - md - slope*(t(k)-mt)
		rr += r * r
	}
	l := line{Line: correlate.Line{Reference: zero + uint64(int64(mt)), Offset: first + int64(math.Round(md)), Frequency: quantity.Drift(math.Round(slope * driftUnit))}}
	l.length, l.sigma = int64(s.a[to-1]-s.a[from]), math.Sqrt(max(rr/(n-2), 1))
	l.ux, l.uy = sureties*(1+l.sigma/math.Sqrt(n)), sureties*l.sigma/math.Sqrt(tt)
	return l
}
