package align

import (
	"context"
	"fmt"
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
)

// mostMarkers is how many markers of a channel are aligned at once: of each that
// both have some 130 bytes are kept.
const mostMarkers = 1 << 21

// AlignMarkerStreams is [AlignMarkers] for records of any length: more than two
// million markers are aligned in parts that overlap. What tells the markers of
// the first part from their neighbours is handed on from part to part.
func AlignMarkerStreams(ctx context.Context, a, b correlate.Stream, o Options) (Parts, error) {
	return alignMarkerParts(ctx, a, b, o, mostMarkers)
}

func alignMarkerParts(ctx context.Context, a, b correlate.Stream, o Options, most int) (Parts, error) {
	if err := o.Check(); err != nil {
		return Parts{}, err
	}
	c := chain{ctx: ctx, options: o, alone: AlignMarkers, after: (*chain).resumeMarkers}
	if err := c.run(a, b, most); err != nil {
		return Parts{}, err
	}
	if len(c.found) == 0 {
		return Parts{}, c.why
	}
	if len(c.found)+len(c.refused) > 1 {
		for i := range c.found {
			if err := c.found[i].trackLine(); err != nil {
				return Parts{}, err
			}
		}
	}
	return joined(c.found, c.refused)
}

// resumeMarkers numbers the markers on from where the part before knew them.
func (c *chain) resumeMarkers(a, b []uint64, before Alignment) (Alignment, error) {
	if before.Period == 0 {
		return c.resume(a, b, before)
	}
	a, b, err := bothDistinct(a, b)
	if err != nil {
		return Alignment{}, err
	}
	l := before.foretold(a[0])
	o := c.search().about(l)
	inA, inB := fromBoth(a, b, l.Offset, before.Period)
	beatA, beatB, err := beatsOf(inA, inB, o)
	if err != nil {
		return Alignment{}, err
	}
	if beatA.irregular() || beatB.irregular() {
		return c.resume(a, b, before)
	}
	apart := beatB.after(beatA) - float64(l.Offset)
	shift := math.Round(apart / beatA.period)
	if off := math.Abs(apart - shift*beatA.period); off > leapt*beatA.period || l.ux > leapt*beatA.period {
		return Alignment{}, &Refusal{Code: "ambiguous", Period: beatA.period,
			Reason: fmt.Sprintf("markers come every %s, and from %.6f s of A's clock on they are %s from where those before lead, give or take %.3g ns", span(beatA.period, 9), float64(a[0])*1e-12, span(off, 6), l.ux/1e3),
			Hint:   "a clock was set or lost its reference; align the parts before and after by themselves"}
	}
	return alignBeats(c.ctx, beatA, beatB, int64(shift), o)
}

// fromBoth leaves out what one of two records has before the other begins, where B's
// clock is about so far ahead: far from where both begin nobody knows how the beats add up.
func fromBoth(a, b []uint64, offset int64, period float64) (inA, inB []uint64) {
	if len(a) == 0 || len(b) == 0 {
		return nil, nil
	}
	from := a[0]
	if late := int64(b[0] - uint64(offset) - a[0]); late > 0 {
		from += uint64(late)
	}
	from -= uint64(period / 2)
	cut := func(tags []uint64, from uint64) []uint64 {
		return tags[search(len(tags), func(i int) bool { return int64(tags[i]-from) >= 0 }):]
	}
	return cut(a, from), cut(b, from+uint64(offset))
}

// trackLine gives an alignment that was not followed a track along its line, so that
// it can be joined with others.
func (r *Alignment) trackLine() (err error) {
	if r.Track != nil {
		return nil
	}
	t := track.Track{Jitter: r.Jitter, Pairs: float64(r.Pairs)}
	for k := range int64(knotsApiece) {
		at := r.Start + uint64(r.Overlap/knotsApiece*k)
		offset, sd := r.OffsetAt(at)
		t.Knots = append(t.Knots, track.Knot{Time: at, Offset: offset, OffsetSD: sd,
			Frequency: r.Frequency, FrequencySD: r.FrequencySD, Pairs: float64(r.Pairs) / knotsApiece})
	}
	r.Track, err = track.Through(t)
	return err
}
