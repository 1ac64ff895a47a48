package align

import (
	"errors"
	"math"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

const (
	holePairs  = 40.0                          // expected in a gap, from which it is a hole: the clock may have jumped away
	holeRounds = 32                            // of looking into holes
	mostHoles  = 64                            // that are looked into without finding the clock
	nearJump   = int64(1_000_000_000)          // ps
	nearTurn   = quantity.Drift(2_000_000_000) // 2 ppm: a clock that lost its reference keeps to that

	lightParts  = 4    // of a hole, each of which is dark, or the hole is not
	mostUnfound = 0.25 // of the record, where the clock was lost: more makes the answer one of a part
)

// hole is a stretch of A's time in which the clock was lost although pairs are
// expected.
type hole struct {
	from, to uint64
	pairs    float64
}

// follow follows the clock from a seed through the whole record. Where it is
// lost although both recorded, it is looked for as in a record of its own, and
// followed from there too.
func (s *searcher) follow(seed track.Seed) (*track.Track, error) {
	var found []track.Seed
	looked := make(map[hole]bool)
	for range holeRounds {
		t, err := track.Follow(s.ctx, s.a, s.b, seed, found...)
		if err != nil {
			return nil, err
		}
		before := len(found)
		for _, h := range holes(t) {
			if looked[h] || len(looked) >= mostHoles {
				continue
			}
			if h.held(found) { // and the clock could not be followed from there
				looked[h] = true
				continue
			}
			again, ok, err := s.lookInto(h, t)
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, again)
			} else {
				looked[h] = true
			}
		}
		if len(found) == before {
			return s.hidden(t), nil
		}
	}
	return nil, errLost
}

// held says whether the clock was found in the hole before.
func (h hole) held(found []track.Seed) bool {
	return slices.ContainsFunc(found, func(s track.Seed) bool {
		at := s.Line.Reference
		return int64(at-h.from) >= 0 && int64(at-h.to) < 0
	})
}

// holes are the gaps of a track in which pairs are expected.
func holes(t *track.Track) (all []hole) {
	rate := pairRate(t.Knots)
	for _, g := range t.Gaps {
		length := float64(int64(g.To - g.From))
		if pairs := rate * length / 1e12; pairs >= holePairs && int64(length) >= minOverlap {
			all = append(all, hole{g.From, g.To, pairs})
		}
	}
	return all
}

// lookInto looks for the clock in a hole: near where the track would have it,
// and then as far as the search goes, beyond both ends of the track.
func (s *searcher) lookInto(h hole, t *track.Track) (track.Seed, bool, error) {
	line := s.foretold(h, t)
	wide := Options{Search: min(2*s.Search, MaxSearch), MaxDrift: min(s.MaxDrift+quantity.Drift(math.Abs(float64(line.Frequency))), correlate.MaxDrift)}
	for _, o := range []Options{{Search: min(nearJump, wide.Search), MaxDrift: min(nearTurn, wide.MaxDrift)}, wide} {
		a := within(s.a, h.from, h.to)
		b := line.ApplyAll(nil, within(s.b, h.from+uint64(line.OffsetAt(h.from)-o.Search), h.to+uint64(line.OffsetAt(h.to)+o.Search)))
		if len(a) < minTags || len(b) < minTags {
			return track.Seed{}, false, nil
		}
		seed, err := s.seedIn(a, b, o)
		var refusal *Refusal
		switch {
		case err == nil:
			return rejoined(seed, line), true, nil
		case !errors.As(err, &refusal):
			return track.Seed{}, false, err
		}
	}
	return track.Seed{}, false, nil
}

// foretold is the line that the clock was on when it was lost.
func (s *searcher) foretold(h hole, t *track.Track) correlate.Line {
	k := search(len(t.Knots), func(i int) bool { return int64(t.Knots[i].Time-h.from) >= 0 })
	knot := t.Knots[max(k-1, 0)]
	return correlate.Line{Reference: knot.Time, Offset: knot.Offset.Whole, Frequency: parts(knot.Frequency * 1e-9)}
}

// seedIn looks for a line in a part of the record.
func (s *searcher) seedIn(a, b []uint64, o Options) (track.Seed, error) {
	part, err := newSearcher(s.ctx, a, b, o)
	if err != nil {
		return track.Seed{}, err
	}
	part.Brief, part.grid = true, s.grid // B's tags were moved along a line
	l, err := part.find()
	if err != nil {
		return track.Seed{}, err
	}
	if l, err = part.extend(l, false); err != nil {
		return track.Seed{}, err
	}
	return s.seed(l), nil
}

// rejoined is a seed of B's times that were corrected along a line, as one of
// B's own.
func rejoined(seed track.Seed, line correlate.Line) track.Seed {
	at, offset := seed.Line.Reference, seed.Line.Offset
	before, then := float64(line.Frequency)/quantity.DriftUnit, float64(seed.Line.Frequency)/quantity.DriftUnit
	seed.Line.Offset += line.OffsetAt(at + uint64(offset))
	seed.Line.Frequency = parts(before + then + before*then)
	return seed
}

// hidden says of each hole what it may hide. Where the light went out between
// pairs that agree, the clock went on as they say. At an end of the record
// nothing says so, nor does it where both still saw light and there was no line
// to be found: there the clock may be as far off as the search goes.
func (s *searcher) hidden(t *track.Track) *track.Track {
	s.unfound = 0
	rate := pairRate(t.Knots)
	first, last := t.Knots[0].Time, t.Knots[len(t.Knots)-1].Time
	usual := [2]float64{s.usual(t, false), s.usual(t, true)}
	for i, g := range t.Gaps {
		length := int64(g.To - g.From)
		pairs := rate * float64(length) / 1e12
		if pairs < holePairs {
			continue
		}
		atEnd := int64(g.To-first) <= 0 || int64(g.From-last) >= 0
		lit := !s.dark(g, t, rate, usual)
		if lit && !(jumpsIn(t, g) && !atEnd) {
			s.unfound += float64(length)
		}
		if atEnd || lit && pairs >= seedPairs && !jumpsIn(t, g) {
			t = t.Hide(i, float64(s.Search))
		}
	}
	return t
}

// jumpsIn says whether a jump of the clock is known in a gap: its moment is as
// uncertain as the gap is long.
func jumpsIn(t *track.Track, g track.Gap) bool {
	return slices.ContainsFunc(t.Steps, func(s track.Step) bool { return int64(s.Time-g.From) >= 0 && int64(s.Time-g.To) <= 0 })
}

// dark says whether a node certainly counted less in all of a gap than beside
// it, where A's and B's usual tags per ps are: by half of what the pairs are, or
// more.
func (s *searcher) dark(g track.Gap, t *track.Track, rate float64, usual [2]float64) bool {
	length := int64(g.To-g.From) / lightParts
	for k := range int64(lightParts) {
		from := g.From + uint64(k*length)
		less := false
		for node, perPs := range usual {
			due := perPs * float64(length)
			missing := due - s.counted(t, from, from+uint64(length), node == 1)
			less = less || missing > max(rate*float64(length)/2e12, sureties*math.Sqrt(due))
		}
		if !less {
			return false
		}
	}
	return true
}

// counted is how many tags a node has between two times of A's clock.
func (s *searcher) counted(t *track.Track, from, to uint64, ofB bool) float64 {
	tags := s.a
	if ofB {
		a, _ := t.At(from)
		b, _ := t.At(to)
		from, to, tags = from+uint64(a.Whole), to+uint64(b.Whole), s.b
	}
	return float64(len(within(tags, from, to)))
}

// usual is how many tags per ps a node counts outside of gaps.
func (s *searcher) usual(t *track.Track, ofB bool) float64 {
	from, to := t.Knots[0].Time, t.Knots[len(t.Knots)-1].Time
	n, length := s.counted(t, from, to, ofB), float64(int64(to-from))
	for _, g := range t.Gaps {
		if int64(g.From-from) >= 0 && int64(g.To-to) <= 0 {
			n -= s.counted(t, g.From, g.To, ofB)
			length -= float64(int64(g.To - g.From))
		}
	}
	return n / max(length, 1)
}
