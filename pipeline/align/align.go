package align

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/scatter"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// Options are what is known before: B minus A, when both began to record,
// lies within plus or minus Search, and B's frequency differs from A's by at
// most MaxDrift. If that is 0, both follow one reference: B's clock is believed to keep to
// a line, unless the pairs contradict it.
type Options struct {
	Search   int64          // ps
	MaxDrift quantity.Drift // parts per 1e15
	Brief    bool           // weak signals are not looked for, which takes most of the time where there is nothing to find
	// Known carries B's times to A's clock where other pairs of nodes have told already: pairs
	// that do not show near there are not looked for elsewhere.
	Known *correlate.Correction
	near  bool // about where others tell: light that a brief search of the whole finds is enough
	wider bool // MaxDrift was 0, before what a part of the record showed of the clock
}

// syntonized says whether both clocks are said to follow one reference.
func (o Options) syntonized() bool { return o.MaxDrift == 0 || o.wider }

// What is asked of the clocks where nobody knows better.
const (
	DefaultSearch   = int64(20_000_000_000)          // ps: 20 ms, more than a start over a network is late
	DefaultMaxDrift = quantity.Drift(20_000_000_000) // 20 ppm: what a quartz without an oven keeps

	MaxSearch = int64(20_000_000_000_000) // ps: 20 s, the widest search
)

const (
	minOverlap = int64(10_000_000_000) // ps: shorter records say nothing about frequency
	minTags    = 16                    // of each stream

	codeFewTags = "few-tags" // of a [Refusal]
)

// Check says what is wrong with the options.
func (o Options) Check() error {
	switch {
	case o.Search < 1:
		return fmt.Errorf("search of %d ps leaves nothing to find; give how far the clocks may be apart", o.Search)
	case o.Search > MaxSearch:
		return &correlate.LimitError{What: "search", Value: fmt.Sprintf("%d ps", o.Search), Limit: "20 s", Hint: "bring the times of the records closer together first: tsrun convert IN OUT --shift TIME"}
	case o.MaxDrift < 0 || o.MaxDrift > correlate.MaxDrift:
		return &correlate.LimitError{What: "drift", Value: fmt.Sprintf("%d ppb", o.MaxDrift/1_000_000), Limit: "0 to 1000 ppm", Hint: "no clock of a time controller is that far off"}
	}
	return nil
}

// Alignment says where B's clock is on A's.
//
// B minus A is Offset at the time Reference of A's clock and grows by Frequency
// times the time since, where the clock keeps to a straight line. Where it does
// not (ChiSquare well above Freedom, or Steps in the Track), Offset and Frequency
// are what the Track says at Reference and at Start, and [Alignment.OffsetAt] and
// [Alignment.Correction] follow it everywhere.
type Alignment struct {
	Reference    uint64        `json:"reference_ps"` // on A's scale, the middle of the time both recorded
	Offset       quantity.Fine `json:"offset_ps"`
	OffsetSD     float64       `json:"offset_sd_ps"`
	Frequency    float64       `json:"frequency_ppb"` // positive: B's clock runs fast
	FrequencySD  float64       `json:"frequency_sd_ppb"`
	Start        uint64        `json:"start_ps"` // on A's scale, when both had begun to record
	StartOffset  quantity.Fine `json:"start_offset_ps"`
	StartSD      float64       `json:"start_offset_sd_ps"`
	Overlap      int64         `json:"overlap_ps"`
	Pairs        int64         `json:"pairs"`        // without what chance explains
	Accidentals  float64       `json:"accidentals"`  // expected within three Jitter of the line
	Jitter       float64       `json:"jitter_ps"`    // standard deviation of a pair's difference
	Significance float64       `json:"significance"` // in standard deviations of chance
	ChiSquare    float64       `json:"chi_square"`   // of slices of the record about the line
	Freedom      int           `json:"freedom"`      // its degrees of freedom
	Slices       int           `json:"slices"`
	LostSlices   int           `json:"lost_slices"` // slices where the pairs are not on the line at all

	// Of a pulsed source the accidental pairs repeat after every period, in ps.
	// Ambiguity is the height of the highest of those peaks, as a part of the
	// pairs' own: near 0 there is no doubt about the pulse.
	Period    float64 `json:"period_ps,omitempty"`
	Ambiguity float64 `json:"ambiguity,omitempty"`

	Warning string `json:"warning,omitempty"`

	Track *track.Track `json:"track,omitempty"` // B's clock through the record; nil: the pairs are too few to follow it
	// In which steps the tags come, in ps, as they show themselves; 1 where none
	// are seen.
	StepA float64 `json:"step_a_ps,omitempty"`
	StepB float64 `json:"step_b_ps,omitempty"`

	Wanders bool `json:"wanders,omitempty"` // off any straight line: Track, which is there then, is what to correct by
}

// WithoutKnots returns the alignment without the knots of its track, of which
// there are as many as the record is long; nil of nil.
func (r *Alignment) WithoutKnots() *Alignment {
	if r == nil || r.Track == nil {
		return r
	}
	short, t := *r, *r.Track
	t.Knots = nil
	short.Track = &t
	return &short
}

// Line returns what carries B's tags to A's clock.
func (r Alignment) Line() correlate.Line {
	return correlate.Line{
		Reference: r.Reference,
		Offset:    r.Offset.Whole,
		Frequency: quantity.Drift(math.Round(r.Frequency * 1e6)),
	}
}

// Correction returns what carries B's tags to A's clock: one line where the
// clocks keep to one, several where they wander.
func (r Alignment) Correction() correlate.Correction {
	if r.Wanders {
		if c, err := r.Track.Correction(); err == nil {
			return c
		}
	}
	c, err := correlate.NewCorrection(r.Line())
	if err != nil { // not of an alignment that Align returned
		return correlate.Correction{}
	}
	return c
}

// OffsetAt returns B minus A at a time of A's clock and its standard deviation
// in ps.
func (r Alignment) OffsetAt(t uint64) (offset quantity.Fine, sd float64) {
	if r.Track != nil {
		if offset, sd = r.Track.At(t); r.Wanders || r.Track.Unproven() || !math.IsInf(sd, 1) {
			return offset, sd
		}
	}
	offset = r.Offset.Plus(r.Frequency * 1e-9 * float64(int64(t-r.Reference)))
	slope := r.FrequencySD * 1e-9
	start, at := float64(int64(r.Start-r.Reference)), float64(int64(t-r.Reference))
	variance := r.OffsetSD*r.OffsetSD + at*at*slope*slope
	if start != 0 { // offset and frequency are correlated: the deviation at the start says how much
		both := r.StartSD*r.StartSD - r.OffsetSD*r.OffsetSD - start*start*slope*slope
		variance += both * at / start
	}
	return offset, math.Sqrt(max(0, variance))
}

// Align finds B's clock on A's scale from the photons both recorded. Tags must
// be in order of time. The error is a *[Refusal] when the tags give no
// significant answer.
//
// The result depends on nothing but the arguments. Time and memory are bounded
// by the numbers of tags and by constants, whatever the tags are; it ends early
// when ctx does.
func Align(ctx context.Context, a, b []uint64, o Options) (Alignment, error) {
	if err := o.Check(); err != nil {
		return Alignment{}, err
	}
	if o.Known != nil {
		if err := dark(ctx, a, b, o); err != nil {
			return Alignment{}, err
		}
		o.Known = nil
	}
	s, err := newSearcher(ctx, a, b, o)
	if err != nil {
		return Alignment{}, err
	}
	from, to := s.from, s.to
	line, err := s.found()
	if err != nil {
		return Alignment{}, err
	}
	r, err := s.settle(line)
	for range mostRefused {
		if !unconfirmed(err) {
			break
		}
		// What a part showed was chance: something weaker may be in the whole.
		s.from, s.to, s.refused = from, to, append(s.refused, line.Line)
		var ok bool
		if line, ok = s.weak(); !ok {
			if ended := s.ctx.Err(); ended != nil {
				return Alignment{}, ended
			}
			break
		}
		if second, err := s.settle(line); !unconfirmed(err) {
			return second, err
		}
	}
	return r, err
}

const mostRefused = 2 // lines that the whole record does not confirm, until no more are looked for

// unconfirmed says whether the whole record refuses a line of a part, which may be chance.
func unconfirmed(err error) bool {
	var refusal *Refusal
	return errors.As(err, &refusal) && !refusal.certain && (refusal.Code == "not-significant" || refusal.Code == "not-straight")
}

// searcher holds what all steps of one alignment need.
type searcher struct {
	Options
	ctx      context.Context
	a, b     []uint64 // in order, no time twice
	from, to uint64   // A's times at which B may have recorded too
	centre   uint64   // of the first segment looked at
	start    uint64   // when both record, were the offset zero
	reach    int64    // ps: the offset at centre lies within plus or minus this
	grid     scatter.Grid
	refused  []correlate.Line // which parts showed and the whole did not confirm
	moved    bool             // to the highest peak of a comb
	broad    float64          // ps: the width of a peak that was too broad for pairs
	unfound  float64          // ps: of the record, where both saw light and the clock was lost and not found
	trials   float64          // places where a peak was looked for, over all attempts
}

func newSearcher(ctx context.Context, a, b []uint64, o Options) (*searcher, error) {
	a, b, err := bothDistinct(a, b)
	if err != nil {
		return nil, err
	}
	s := &searcher{Options: o, ctx: ctx, a: a, b: b}
	if len(s.a) < minTags || len(s.b) < minTags {
		return nil, fewTags(len(s.a), len(s.b))
	}
	if s.grid = newGrid(s.a, s.b); s.grid.Widest() > coarsest {
		return nil, tooCoarse(s.grid)
	}
	// Times from A's first tag: what B began and ended, were the offset zero.
	began, ended := int64(s.b[0]-s.a[0]), int64(s.b[len(s.b)-1]-s.a[0])
	length := int64(s.a[len(s.a)-1] - s.a[0])
	from, to := max(0, began-o.Search), min(length, ended+o.Search)
	if to-from < minOverlap {
		return nil, noOverlap(began, ended, length, to-from, o.Search)
	}
	s.from, s.to = s.a[0]+uint64(from), s.a[0]+uint64(to)
	middle := (from + to) / 2
	if first, last := max(0, began), min(length, ended); last-first >= minOverlap {
		middle = (first + last) / 2
	}
	s.start, s.centre = s.a[0]+uint64(max(0, min(began, middle))), s.a[0]+uint64(middle)
	return s, nil
}

// fewTags says of how few different times nothing can be told.
func fewTags(a, b int) *Refusal {
	return &Refusal{Code: codeFewTags, Reason: fmt.Sprintf("A has %d different times and B %d", a, b), Hint: "check that both channels count, and measure longer"}
}

// noOverlap says how far two records are from each other: their clocks may count from
// different instants, hours apart, which no search reaches.
func noOverlap(began, ended, length, common, search int64) *Refusal {
	r := &Refusal{Code: "no-overlap",
		Reason: fmt.Sprintf("the records have at most %.3g ms in common", float64(max(common, 0))/1e9),
		Hint:   "they need 10 ms; check that both files are of the same run, or search wider"}
	if apart := max(began-length, -ended); apart > search {
		r.Reason = fmt.Sprintf("the times of A and B are %.6g s apart, and the search reaches %s", float64(apart)/1e12, quantity.Time(search))
		r.Hint = fmt.Sprintf("check that both are of the same run; where their clocks count from different instants, bring B's tags near A's first: tsrun convert B OUT --shift '%s'", quantity.Time(-began/1e9*1e9))
	}
	return r
}

// span writes a time of so many ps for people, in the unit that suits it.
func span(ps float64, digits int) string {
	unit, name := 1e3, "ns"
	switch size := math.Abs(ps); {
	case size >= 1e12:
		unit, name = 1e12, "s"
	case size >= 1e9:
		unit, name = 1e9, "ms"
	}
	return fmt.Sprintf("%.*g %s", digits, ps/unit, name)
}

// bothDistinct checks two records and leaves out tags that repeat a time.
func bothDistinct(a, b []uint64) (inA, inB []uint64, err error) {
	if inA, err = distinct(a, "A", a); err != nil {
		return nil, nil, err
	}
	inB, err = distinct(b, "B", a)
	return inA, inB, err
}

// distinct checks order and span and leaves out tags that repeat a time: they
// say nothing about the clocks, and many of them would look like a peak.
func distinct(tags []uint64, name string, reference []uint64) ([]uint64, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	if err := correlate.CheckOrder(tags, name, reference); err != nil {
		return nil, err
	}
	repeats := 0
	for i := 1; i < len(tags); i++ {
		if tags[i] == tags[i-1] {
			repeats++
		}
	}
	if repeats == 0 {
		return tags, nil
	}
	kept := make([]uint64, 0, len(tags)-repeats)
	for i, t := range tags {
		if i == 0 || t != tags[i-1] {
			kept = append(kept, t)
		}
	}
	return kept, nil
}

// within returns the tags in [from, to).
func within(tags []uint64, from, to uint64) []uint64 {
	i := search(len(tags), func(i int) bool { return int64(tags[i]-from) >= 0 })
	k := search(len(tags), func(i int) bool { return int64(tags[i]-to) >= 0 })
	return tags[i:max(i, k)]
}

// segment returns the times about the centre c, of at most the given length,
// at which both may have recorded; at an end of the record it grows to the
// other side.
func (s *searcher) segment(c uint64, length int64) (from, to uint64) {
	length = min(length, int64(s.to-s.from))
	at := max(0, min(int64(c-s.from)-length/2, int64(s.to-s.from)-length))
	return s.from + uint64(at), s.from + uint64(at+length)
}

// search returns the smallest i in [0, n) for which reached is true, or n.
func search(n int, reached func(int) bool) int { return sort.Search(n, reached) }

// Refusal is the error of an alignment without enough evidence. It is an
// answer, not a fault: the tags were read, and they do not say. The codes are
//
//	few-tags         a stream has hardly any tags
//	no-overlap       the records have less than 10 ms in common
//	coarse           the tags come in steps that are wider than a peak of pairs may be
//	no-peak          no offset gives more pairs than chance
//	not-significant  the whole record does not confirm what a part showed
//	outside-search   the best offset is beyond what was searched
//	outside-drift    the best frequency is beyond what was allowed
//	not-straight     the clocks step too far, or wander too fast, to be followed
//	not-confirmed    parts of the corrected record contradict each other
//	too-broad        A and B vary together, but slower than pairs do; or markers
//	                 scatter by too much of their period
//	off-beat         more than a fifth of the markers are off the beat that the others keep
//	ambiguous        there are several peaks of much the same height
type Refusal struct {
	Code   string `json:"code"` // see above; stable, for scripts
	Reason string `json:"reason"`
	Hint   string `json:"hint"`

	Period     float64         `json:"period_ps,omitempty"`     // of the peaks, where they repeat
	Candidates []quantity.Fine `json:"candidates_ps,omitempty"` // offsets, the likeliest first, some of many where there is a Period

	certain bool // the line that is refused is one of pairs: there is no other to look for
}

func (r *Refusal) Error() string { return r.Reason + "; " + r.Hint }

func outsideSearch(r Alignment, search int64) error {
	return &Refusal{Code: "outside-search",
		Reason: fmt.Sprintf("the best offset, %.9g us, is beyond the search of %.6g us", r.StartOffset.Float()/1e6, float64(search)/1e6),
		Hint:   "search wider if the clocks may be that far apart"}
}

// outsideDrift takes what was allowed in ppb.
func outsideDrift(r Alignment, drift float64) error {
	return &Refusal{Code: "outside-drift",
		Reason: fmt.Sprintf("the best frequency, %.6g ppb, is beyond the %.6g ppb that were allowed", r.Frequency, drift),
		Hint:   "allow more drift if the clocks may be that different"}
}
