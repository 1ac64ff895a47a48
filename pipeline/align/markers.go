package align

import (
	"context"
	"errors"
	"fmt"
	"math"

	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

const (
	minMarkers  = 4
	mostOffBeat = 0.2  // of the markers, which may be off the beat or extra
	mostAstray  = 0.5  // of them, beyond which none can be said to be the beat of the others
	trackedRate = 20.0 // markers per second from which the clock is followed between them
	aroundSeed  = 200  // markers in the middle from which it is followed
	leapt       = 0.25 // of a period, that a clock may jump for its markers to be told from the next ones
)

// AlignMarkers is [Align] for channels that record the same markers, such as
// the pulse per second of one receiver or a synchronisation signal, and no
// photons. Markers may be missing, doubled or astray at either node.
//
// Markers of a regular beat tell the offset only but for a multiple of their
// period. If one such offset lies within the search, or if markers are missing
// in a pattern that both nodes recorded, the answer is unique and Period says
// what the beat is; otherwise it is refused as ambiguous, with the candidates.
// Markers without a beat are aligned like pairs.
//
// Few markers say little of their own jitter: the deviations are those of
// Student's t, three of which hold as often as three of a normal distribution.
func AlignMarkers(ctx context.Context, a, b []uint64, o Options) (Alignment, error) {
	if err := o.Check(); err != nil {
		return Alignment{}, err
	}
	a, b, err := bothDistinct(a, b)
	if err != nil {
		return Alignment{}, err
	}
	beatA, beatB, err := beatsOf(a, b, o)
	if err != nil {
		return Alignment{}, err
	}
	if beatA.irregular() || beatB.irregular() {
		return alignEvents(ctx, a, b, o, offTheBeat(beatA, beatB))
	}
	shift, err := match(beatA, beatB, o)
	if err != nil {
		return Alignment{}, err
	}
	return alignBeats(ctx, beatA, beatB, shift, o)
}

// beatsOf numbers the markers of both nodes. Where either has no beat that is irregular.
func beatsOf(a, b []uint64, o Options) (beatA, beatB beat, err error) {
	if len(a) < minMarkers || len(b) < minMarkers {
		return beat{}, beat{}, &Refusal{Code: codeFewTags,
			Reason: fmt.Sprintf("A has %d different markers and B %d", len(a), len(b)),
			Hint:   fmt.Sprintf("measure at least %d, so that they can be told from noise", minMarkers)}
	}
	beatA, beatB = newBeat(a), newBeat(b)
	if beatA.irregular() || beatB.irregular() {
		return beatA, beatB, nil
	}
	if f := beatB.period/beatA.period - 1; math.Abs(f) > float64(o.MaxDrift)/quantity.DriftUnit+offBeat/float64(min(beatA.length(), beatB.length())) {
		return beat{}, beat{}, &Refusal{Code: "outside-drift",
			Reason: fmt.Sprintf("A's markers come every %s and B's every %s, which is beyond the %.6g ppb that were allowed", span(beatA.period, 9), span(beatB.period, 9), float64(o.MaxDrift)/1e6),
			Hint:   "check that both channels record the same marker; allow more drift if the clocks may be that different"}
	}
	return beatA, beatB, nil
}

// offTheBeat says how many markers are off a beat that most keep; empty where none is kept.
func offTheBeat(a, b beat) string {
	for _, of := range []struct {
		name string
		beat
	}{{"A", a}, {"B", b}} {
		if of.astray > 0 {
			return fmt.Sprintf("%.3g %% of %s's markers are off the beat of %s that the others keep, and more than %.3g %% are too many to tell which are markers",
				100*of.astray, of.name, span(of.period, 6), 100*mostOffBeat)
		}
	}
	return ""
}

// alignEvents aligns markers without a beat like pairs, and says what they are
// where that is refused: without a regular beat, or with what is astray in it.
func alignEvents(ctx context.Context, a, b []uint64, o Options, off string) (Alignment, error) {
	found, err := Align(ctx, a, b, o)
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return found, err
	}
	told := *refusal
	told.Reason = "the markers have no regular beat; aligned one by one like pairs of photons, " + refusal.Reason
	switch {
	case off != "":
		told.Code = "off-beat"
		told.Reason = off + "; aligned one by one like pairs of photons, " + refusal.Reason
		told.Hint = "record nothing but the marker on its channel: check threshold and termination for double pulses and cross-talk, or leave out the tags that are no markers"
	case refusal.Code == "too-broad":
		told.Reason = fmt.Sprintf("the markers have no regular beat, and A's and B's agree only within more than %.3g ns", maxJitter/1e3)
		told.Hint = "check that both channels record the same signal; markers that scatter more need a regular beat"
	case refusal.Code == "coarse":
		told.Hint = fmt.Sprintf("check that both channels record the same signal; markers in steps of more than %d ns need a regular beat", coarsest/1000)
	}
	return found, &told
}

// common returns the markers that both trains have, if beat j of B and beat j+m
// of A are one.
func common(a, b beat, m int64) (inA, inB []uint64) {
	n := min(len(a.index), len(b.index))
	inA, inB = make([]uint64, 0, n), make([]uint64, 0, n)
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
	return inA, inB
}

// alignBeats finds the clock from the markers both nodes recorded.
func alignBeats(ctx context.Context, a, b beat, m int64, o Options) (Alignment, error) {
	inA, inB := common(a, b, m)
	if len(inA) < minMarkers {
		return Alignment{}, &Refusal{Code: "no-overlap", Period: a.period,
			Reason: fmt.Sprintf("both nodes recorded only %d of the same markers", len(inA)),
			Hint:   fmt.Sprintf("they need %d; measure longer, or start both nodes together", minMarkers)}
	}
	p := newMarks(inA, inB).withoutStrays()
	whole := p.fit(0, p.len())
	r := p.report(whole)
	r.Period = a.period
	pieces := p.pieces(whole)
	if len(pieces) > 1 {
		if err := jumped(&r, p, pieces); err != nil {
			return Alignment{}, err
		}
	} else if t, err := p.follow(ctx); err != nil {
		return Alignment{}, err
	} else if t != nil {
		r.take(t)
	} else if !whole.even() {
		r.Warning = fmt.Sprintf("B's clock wanders about the line, so that its markers are %.3g ps off it", r.Jitter)
	}
	return r, r.judgeMarkers(o)
}

// take takes over what following the clock from marker to marker showed.
func (r *Alignment) take(t *track.Track) {
	r.Track = t
	r.ChiSquare, r.Freedom, r.Slices, r.LostSlices = t.ChiSquare, t.Freedom, t.Slices, t.Lost
	r.Warning = warning(t)
	if !bends(t) {
		return
	}
	r.Wanders = true
	r.Offset, r.OffsetSD = t.At(r.Reference)
	r.StartOffset, r.StartSD = t.At(r.Start)
	r.Frequency, r.FrequencySD = slope(t.Knots, r.Reference)
	r.Jitter = t.Jitter
}

// jumped makes one clock of several pieces between which B's clock jumps.
func jumped(r *Alignment, p marks, pieces []markFit) error {
	t, err := p.track(pieces)
	if err != nil {
		return err
	}
	for i, s := range t.Steps {
		short := min(pieces[i].n(), pieces[i+1].n()) < minMarkers
		if !short && math.Abs(s.Offset) <= leapt*r.Period {
			continue
		}
		why := "and whole periods of the markers more, or less, look the same"
		if short {
			why = fmt.Sprintf("and has fewer than %d markers before or after that", minMarkers)
		}
		return &Refusal{Code: "not-straight", Period: r.Period,
			Reason: fmt.Sprintf("B's clock jumps by %s against A's at %.6f s of A's clock, %s", span(s.Offset, 6), float64(s.Time)*1e-12, why),
			Hint:   "a clock was set or lost its reference; align the parts before and after by themselves"}
	}
	r.take(t)
	return nil
}

// judgeMarkers refuses what contradicts what was known before.
func (r *Alignment) judgeMarkers(o Options) error {
	drift := float64(o.MaxDrift) / 1e6 // ppb
	switch {
	case r.Jitter > loose*r.Period:
		return &Refusal{Code: "too-broad", Period: r.Period,
			Reason: fmt.Sprintf("markers come every %s, but those of A and B are %s off any line: they are not the same, or a clock wanders by much of a period", span(r.Period, 6), span(r.Jitter, 3)),
			Hint:   "check that both channels record the same marker; a slower marker is told from its neighbours better"}
	case math.Abs(r.StartOffset.Float()) > float64(o.Search)+sureties*r.StartSD:
		return outsideSearch(*r, o.Search)
	case math.Abs(r.Frequency) > drift+sureties*r.FrequencySD:
		return outsideDrift(*r, drift)
	}
	if r.Track != nil {
		return agrees(r.Track)
	}
	return nil
}

// follow tracks B's clock from marker to marker where they are many; nil where
// they are not, or where it is lost.
func (p marks) follow(ctx context.Context) (*track.Track, error) {
	n := p.len()
	rate := float64(n) / float64(p.a[n-1]-p.a[0]) * 1e12
	if rate < trackedRate || n < 2*aroundSeed {
		return nil, nil
	}
	near := p.fit((n-aroundSeed)/2, (n+aroundSeed)/2)
	mean, slope := near.deviations()
	seed := track.Seed{Line: p.line(near), OffsetSD: 1 + mean, FrequencySD: 1e-15 + slope, Jitter: max(near.sigma, 1), PairRate: rate}
	t, err := track.Follow(ctx, p.a, p.b, seed)
	if errors.Is(err, track.ErrLost) {
		return nil, nil
	}
	return t, err
}
