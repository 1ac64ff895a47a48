package align

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

const (
	doubt     = 2.5 // standard deviations of chi-square beyond which the line is doubted
	offCentre = 0.2 // of the jitter that a quarter of the corrected record may be off
	offPeak   = 5.0 // of the jitter from which on differences tell what is chance
	tooWide   = 1.5 // of the jitter that its pairs may scatter
	certainLL = 100 // log likelihood of pairs beyond chance, which nothing but a source gives
)

// settleAt follows the clock from a line through the whole record and says what
// it does, or why not.
func (s *searcher) settleAt(l line) (Alignment, error) {
	seed, err := s.extend(l, false)
	if err != nil {
		return Alignment{}, err
	}
	t, err := s.follow(s.seed(seed))
	switch {
	case errors.Is(err, track.ErrLost): // hardly any pairs: one line is all they can tell
		if seed, err = s.extend(seed, true); err != nil {
			return Alignment{}, err
		}
		r, err := s.straight(seed.Line, seed.sigma, nil)
		if err == nil && r.Pairs > seedPairs {
			err = errLost // so many could have been followed, if all of them were on the line
		}
		return r, err
	case err != nil:
		return Alignment{}, err
	case bends(t):
		return s.bent(t)
	}
	line := correlate.Line{Reference: t.Straight.Time, Offset: t.Straight.Offset.Whole,
		Frequency: quantity.Drift(math.Round(t.Straight.Frequency * 1e6))}
	return s.straight(line, t.Jitter, t)
}

// bends says whether a clock does what no straight line does.
func bends(t *track.Track) bool {
	if t.Freedom < 1 {
		return len(t.Steps) > 0
	}
	free := float64(t.Freedom)
	normal := (math.Cbrt(t.ChiSquare/free) - 1 + 2/(9*free)) / math.Sqrt(2/(9*free)) // Wilson and Hilferty 1931
	return len(t.Steps) > 0 || normal > doubt
}

// straight fits one line to the whole record and judges it.
func (s *searcher) straight(c correlate.Line, sigma float64, t *track.Track) (Alignment, error) {
	if err := s.overlap(c); err != nil {
		return Alignment{}, err
	}
	all := int64(s.to - s.from)
	l := line{Line: c, sigma: sigma}.recentred(s.from + uint64(all)/2)
	half := s.grid.Reach(max(sigma, s.grid.Floor(), 5), fitReach)
	points, stride := s.collect(l.Line, all, half, maxFitPoints)
	f, ok := fitLine(points, half, sigma, float64(all)/2, false, s.grid)
	if !ok {
		return Alignment{}, errLost
	}
	f.widen(2)
	r := s.report(l, f, stride)
	if t != nil {
		r.quiet(t.Widen(f.common))
	}
	if t == nil {
		if part, odd := s.grid.Odd(f.residuals(points), f.sigma, f.density); odd {
			r.warn(oddPeak(part))
		}
	}
	count, beside := 0.0, 0.0
	for _, r := range f.residuals(points) {
		switch r = math.Abs(r) / f.sigma; {
		case r <= 3:
			count++
		case r > offPeak:
			beside++
		}
	}
	chance := s.chance(6*f.sigma) / float64(stride)
	if width := 2 * (half - offPeak*f.sigma); width > 6*f.sigma {
		chance = max(chance, beside/width*6*f.sigma)
	} else {
		chance = max(chance, f.density*6*f.sigma)
	}
	r.Accidentals = chance * float64(stride)
	return s.judged(r, surprise(count, chance), moved(l.Line, f.x, f.y))
}

// quiet takes offset and frequency of a clock that keeps to a line from its
// track: what the line is off the clock without showing it, the track knows.
func (r *Alignment) quiet(t *track.Track) {
	r.Track = t
	r.Offset, r.OffsetSD = t.At(r.Reference)
	r.StartOffset, r.StartSD = t.At(r.Start)
	r.Frequency, r.FrequencySD = t.Mean(r.Start, r.Start+uint64(r.Overlap))
}

// bent tells what the track says of a clock that does not keep to a line.
func (s *searcher) bent(t *track.Track) (Alignment, error) {
	c, err := t.Correction()
	if err != nil {
		return Alignment{}, errLost
	}
	if err := s.overlap(c); err != nil {
		return Alignment{}, err
	}
	r := Alignment{Reference: s.from + (s.to-s.from)/2, Start: s.from, Overlap: int64(s.to - s.from),
		Pairs: int64(math.Round(t.Pairs)), Jitter: t.Jitter, Track: t, Wanders: true}
	r.Offset, r.OffsetSD = t.At(r.Reference)
	r.StartOffset, r.StartSD = t.At(r.Start)
	r.Frequency, r.FrequencySD = slope(t.Knots, r.Reference)
	r.Accidentals = max(t.Accidentals, s.chance(6*t.Jitter))
	return s.judged(r, surprise(t.Pairs+r.Accidentals, r.Accidentals), c)
}

// slope returns the frequency between the knots about a time, in ppb.
func slope(knots []track.Knot, t uint64) (frequency, sd float64) {
	k := search(len(knots), func(i int) bool { return int64(knots[i].Time-t) >= 0 })
	after, before := knots[min(k, len(knots)-1)], knots[max(k-1, 0)]
	if after.Time == before.Time {
		return after.Frequency, after.FrequencySD
	}
	part := max(0, min(1, float64(int64(t-before.Time))/float64(after.Time-before.Time)))
	return before.Frequency + part*(after.Frequency-before.Frequency), max(before.FrequencySD, after.FrequencySD)
}

// judged refuses what is not certain, of a result whose pairs chance explains
// badly by the log likelihood ll.
func (s *searcher) judged(r Alignment, ll float64, c fixer) (Alignment, error) {
	r.StepA, r.StepB = max(s.grid.A, 1), max(s.grid.B, 1)
	if t := r.Track; t != nil {
		r.ChiSquare, r.Freedom, r.Slices, r.LostSlices = t.ChiSquare, t.Freedom, t.Slices, t.Lost
		r.Warning = warning(t)
		if part := t.Odd(); part > 0 {
			r.warn(oddPeak(part))
		}
		r.OffsetSD, r.StartSD = max(r.OffsetSD, t.Hides(r.Reference)), max(r.StartSD, t.Hides(r.Start))
	}
	// Places where a line of this width could have been found by chance.
	places := (1 + float64(s.reach)/r.Jitter) * (1 + float64(s.MaxDrift)/quantity.DriftUnit*float64(r.Overlap)/r.Jitter)
	ll -= math.Log(places + s.trials)
	r.Significance = math.Sqrt(2 * max(ll, 0))
	if err := s.judge(r, ll); err != nil {
		return r, err
	}
	return r, s.alone(&r, c, r.Jitter)
}

// warning says what is to be known of a clock beside its numbers.
func warning(t *track.Track) string {
	var all []string
	if len(t.Steps) > 0 {
		all = append(all, jumps(t.Steps))
	}
	if t.Lost > t.Slices/10 {
		all = append(all, fmt.Sprintf("no pairs were found in %d of %d parts of the record", t.Lost, t.Slices))
	}
	unseen := 0.0
	for _, g := range t.Gaps {
		if g.Hidden > 0 {
			unseen += float64(int64(g.To-g.From)) / 1e12
		}
	}
	if unseen > 0 {
		all = append(all, fmt.Sprintf("in %.3g s without pairs the clock may have jumped unseen", unseen))
	}
	return strings.Join(all, "; ")
}

// jumps tells of steps of a clock.
func jumps(steps []track.Step) string {
	switch first := steps[0]; {
	case len(steps) > 1:
		return fmt.Sprintf("B's clock jumps %d times", len(steps))
	case !first.Moves():
		return fmt.Sprintf("the frequency of B's clock jumps by %.6g ppb", first.Frequency)
	case first.Turns():
		return fmt.Sprintf("B's clock jumps by %s, and its frequency by %.6g ppb", span(first.Offset, 6), first.Frequency)
	default:
		return fmt.Sprintf("B's clock jumps by %s", span(first.Offset, 6))
	}
}

// warn adds a warning to those there are.
func (r *Alignment) warn(message string) {
	if r.Warning != "" {
		message = r.Warning + "; " + message
	}
	r.Warning = message
}

// oddPeak is the warning of a peak of which a part lies elsewhere than a normal
// one has it.
func oddPeak(part float64) string {
	return fmt.Sprintf("the peak of pairs is not normal, %.2g %% of them lie elsewhere: the offset is the centre of its core, not the mean of all", 100*part)
}

// agrees checks the corrected record against itself: the pairs of each quarter
// lie about 0, and no wider than those of the whole.
func agrees(t *track.Track) error {
	for i, q := range t.Quarters {
		if q.Pairs < minTags || !(q.CentreSD > 0) {
			continue
		}
		if math.Abs(q.Centre) > max(sureties*q.CentreSD, offCentre*t.Jitter) || q.Width > tooWide*t.Jitter+sureties*q.CentreSD {
			return &Refusal{Code: "not-confirmed",
				Reason: fmt.Sprintf("after correction the pairs of quarter %d of the record lie %.3g ps off, with a jitter of %.3g ps where the whole has %.3g ps", i+1, q.Centre, q.Width, t.Jitter),
				Hint:   "the clock moves faster than the pairs can tell; align shorter parts of the record"}
		}
	}
	return nil
}

var errLost = &Refusal{Code: "not-straight",
	Reason: "the pairs of the middle are on a line that the rest of the record is not on",
	Hint:   "the clocks step too far or wander too fast to be followed; align shorter parts of the record"}

// lost is errLost, of a line that may be certain to be one of pairs: then the clock was on
// it for a part of the record, and no other line is that of all.
func lost(certain bool) error {
	refusal := *errLost
	refusal.certain = certain
	return &refusal
}

// chance is how many accidental pairs a window of the given width holds.
func (s *searcher) chance(width float64) float64 {
	inside := within(s.a, s.from, s.to)
	return float64(len(inside)) * width * s.rateB()
}

// report turns the correction and what a fit about it found into numbers.
func (s *searcher) report(l line, f fit, stride int) Alignment {
	slope := float64(l.Frequency) / quantity.DriftUnit
	at := func(t uint64) (offset quantity.Fine, sd float64) {
		elapsed := float64(int64(t - l.Reference))
		x, sd := f.at(elapsed)
		return quantity.NewFine(l.Offset, slope*elapsed+(1+slope)*x), sd
	}
	r := Alignment{Reference: l.Reference, Start: s.from, Overlap: int64(s.to - s.from), Jitter: f.sigma}
	r.Offset, r.OffsetSD = at(l.Reference)
	r.StartOffset, r.StartSD = at(s.from)
	r.Frequency = (slope + f.y + slope*f.y) * 1e9
	r.FrequencySD = math.Sqrt(f.vy) * 1e9
	r.Pairs = int64(math.Round(f.n * float64(stride)))
	return r
}

// judge refuses what is not certain or contradicts what was known before.
func (s *searcher) judge(r Alignment, ll float64) error {
	drift := float64(s.MaxDrift) / 1e6 // ppb
	switch {
	case ll < convincedLL && s.broad > 0:
		return tooBroad(s.broad)
	case ll < convincedLL:
		return &Refusal{Code: "not-significant",
			Reason: fmt.Sprintf("the best line, at %.6g us, has %d pairs where chance gives %.3g", r.Offset.Float()/1e6, r.Pairs, r.Accidentals),
			Hint:   "measure longer, or with more pairs or less background"}
	case r.Jitter > maxJitter:
		return tooBroad(r.Jitter)
	case r.LostSlices > r.Slices*3/4 || s.unfound > float64(r.Overlap)*mostUnfound:
		return lost(ll > certainLL)
	case math.Abs(r.StartOffset.Float()) > float64(s.Search)+sureties*r.StartSD:
		return outsideSearch(r, s.Search)
	case math.Abs(r.Frequency) > drift+sureties*r.FrequencySD:
		return outsideDrift(r, drift)
	}
	if r.Track != nil {
		return agrees(r.Track)
	}
	return nil
}
