package correlate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// Rates are the numbers of tags over time. Bin k is of the times in [Start +
// k*Bin, Start + (k+1)*Bin) on the common clock; all channels have as many bins,
// and Start is a multiple of Bin.
//
// Times are since Base, which is 0, or a multiple of Bin when the channels'
// clock shows more than 53 days: [Rates.At] is what the clock shows, and JSON
// holds that.
type Rates struct {
	Base     uint64        `json:"-"`
	Start    int64         `json:"start_ps"` // negative before the zero of A's clock
	Bin      int64         `json:"bin_ps"`
	Channels []ChannelRate `json:"channels"`
}

// At is what the common clock shows at a time since Base.
func (r Rates) At(since int64) tag.Moment { return tag.MomentAt(r.Base, since) }

// MarshalJSON writes what the clock shows.
func (r Rates) MarshalJSON() ([]byte, error) {
	var start *tag.Moment
	if len(r.Channels) > 0 && len(r.Channels[0].Counts) > 0 {
		first := r.At(r.Start)
		start = &first
	}
	return json.Marshal(struct {
		Start    *tag.Moment   `json:"start_ps"` // null without tags
		Bin      int64         `json:"bin_ps"`
		Channels []ChannelRate `json:"channels"`
	}{start, r.Bin, r.Channels})
}

// ChannelRate is one channel of [Rates]. Bins outside of [First, Last] are of
// times for which the channel brought no tags at all; a bin of no tags between
// them is a gap.
type ChannelRate struct {
	Base   uint64          `json:"-"` // that of the rates
	Tags   uint64          `json:"tags"`
	First  int64           `json:"first_ps"` // the first tag's time, on the common clock
	Last   int64           `json:"last_ps"`
	Rate   quantity.Number `json:"rate_hz"` // tags per second after the first, to the last, without pauses; none where these are of one moment
	RateSD quantity.Number `json:"rate_sd_hz"`
	Counts []uint64        `json:"counts,omitempty"`
	Gaps   []Gap           `json:"gaps,omitempty"`   // in order of time
	Pauses []Gap           `json:"pauses,omitempty"` // over the breaks of the channel, in order of time
}

// MarshalJSON writes what the clock shows.
func (c ChannelRate) MarshalJSON() ([]byte, error) {
	type gap struct {
		From tag.Moment `json:"from_ps"`
		To   tag.Moment `json:"to_ps"`
	}
	shown := func(list []Gap) (gaps []gap) {
		for _, g := range list {
			gaps = append(gaps, gap{tag.MomentAt(c.Base, g.From), tag.MomentAt(c.Base, g.To)})
		}
		return gaps
	}
	var first, last *tag.Moment
	if c.Tags > 0 {
		from, to := tag.MomentAt(c.Base, c.First), tag.MomentAt(c.Base, c.Last)
		first, last = &from, &to
	}
	return json.Marshal(struct {
		Tags   uint64          `json:"tags"`
		First  *tag.Moment     `json:"first_ps"` // null without tags
		Last   *tag.Moment     `json:"last_ps"`
		Rate   quantity.Number `json:"rate_hz"`
		RateSD quantity.Number `json:"rate_sd_hz"`
		Counts []uint64        `json:"counts,omitempty"`
		Gaps   []gap           `json:"gaps,omitempty"`
		Pauses []gap           `json:"pauses,omitempty"`
	}{c.Tags, first, last, c.Rate, c.RateSD, c.Counts, shown(c.Gaps), shown(c.Pauses)})
}

// Gap is a silence that light of the channel's mean rate would have once in a
// million such records: from the tag before it to the tag after it.
type Gap struct {
	From int64 `json:"from_ps"`
	To   int64 `json:"to_ps"`
}

const (
	maxRateBins = 1 << 22
	maxGaps     = 1000 // the longest are kept
	rareGap     = 1e-6 // of a record
)

// CountRates counts the tags of each channel in bins of time, reading as many
// channels at once as there are cores. Memory is that of the bins.
func CountRates(channels []Channel, bin int64) (Rates, error) {
	if bin < 1 {
		return Rates{}, fmt.Errorf("bin is %d ps; it must be at least 1 ps", bin)
	}
	counted := make([]*timeline, len(channels))
	var zero *uint64
	base := &base{bin: uint64(bin)}
	for _, c := range channels {
		base.raised = max(base.raised, c.Raised)
	}
	errs := make([]error, len(channels))
	for i, c := range channels { // the first tag of all decides what all count from
		correct, err := c.toCommon()
		if err != nil {
			return Rates{}, err
		}
		t := &timeline{feed: feed{from: c.Tags, name: fmt.Sprintf("channel %d", i+1), zero: zero, raised: c.Raised}, correct: correct, bin: bin, base: base, ordinary: math.MinInt64, pauses: pauses{breaks: c.Breaks}}
		errs[i] = t.read(chunk)
		counted[i], zero = t, t.zero
	}
	Each(len(counted), func(i int) {
		if errs[i] == nil {
			errs[i] = counted[i].run()
		}
	})
	for _, err := range errs {
		if err != nil { // of the first channel that has one
			return Rates{}, err
		}
	}
	return ratesOf(counted, bin, base)
}

// base is the tag from which times are measured.
type base struct {
	bin    uint64
	raised uint64 // all tags, above what the clock shows
	shown  uint64 // what the clock shows then
	known  bool
}

// since is the time of a tag since the base, which the first tag of all decides.
func (b *base) since(t, first uint64) int64 {
	if !b.known {
		b.known = true
		if first-min(first, b.raised) >= 1<<62 {
			b.shown = (first - b.raised) / b.bin * b.bin
		}
	}
	return int64(t - b.raised - b.shown)
}

// timeline counts one channel. Bins are numbered from the zero of the common
// clock.
type timeline struct {
	feed
	correct Correction
	bin     int64
	base    *base
	begin   int64 // number of counts[0]
	counts  []uint64
	from    int64 // ps: the first tag
	until   int64 // ps: the last
	gaps    []Gap // the longest, in order of length, longest first
	pauses

	low      int64 // ps: where the last tag's bin begins
	at       int64 // its number in counts
	ordinary int64 // ps: silences up to here are not among the longest

	raw, fixed []uint64 // read last, as recorded and on the common clock
}

// run reads the channel to its end.
func (t *timeline) run() error {
	for !t.ended {
		if err := t.read(chunk); err != nil {
			return err
		}
	}
	t.raw, t.fixed = nil, nil
	return nil
}

// read reads on by at most n tags and counts them.
func (t *timeline) read(n int) (err error) {
	if t.raw, err = t.more(t.raw[:0], n); err != nil {
		return err
	}
	times := t.raw
	if !t.correct.IsZero() {
		t.fixed = t.correct.ApplyAll(t.fixed[:0], t.raw)
		times = t.fixed
	}
	for len(times) > 0 {
		n := min(tag.AtOnce, len(times))
		if !t.addAtOnce(times[:n]) {
			if err := t.addEach(times[:n]); err != nil {
				return err
			}
		}
		times = times[n:]
	}
	return nil
}

// addAtOnce adds some tags where all are of the bin of the one before them, and no
// silence between them is long: as nearly everywhere. Else it does nothing, and returns
// false.
func (t *timeline) addAtOnce(tags []uint64) bool {
	if t.ordinary < 0 { // every silence is kept
		return false
	}
	if len(t.breaks) > 0 && int64(tags[len(tags)-1]-t.correctedBreak(t.breaks[0])) >= 0 {
		return false
	}
	first, last := t.base.since(tags[0], *t.zero), t.base.since(tags[len(tags)-1], *t.zero)
	before := tags[0] - uint64(first-t.until)
	if uint64(last-t.low) >= uint64(t.bin) || tag.InStep(before, tags, uint64(t.ordinary)) < len(tags) {
		return false
	}
	t.until = last
	t.counts[t.at] += uint64(len(tags))
	return true
}

func (t *timeline) addEach(tags []uint64) error {
	for _, u := range tags {
		at := t.base.since(u, *t.zero)
		over := t.isOver(u)
		if !over && uint64(at-t.low) < uint64(t.bin) && at-t.until <= t.ordinary { // nothing but one more
			t.until = at
			t.counts[t.at]++
			continue
		}
		if err := t.add(at, over); err != nil {
			return err
		}
	}
	return nil
}

// add counts a tag, which may be the first over a break.
func (t *timeline) add(at int64, over bool) error {
	number := floorDiv(at, t.bin)
	switch {
	case t.counts == nil:
		t.begin, t.from = number, at
	case over:
		t.took = append(t.took, Gap{t.until, at})
	default:
		t.silence(Gap{t.until, at})
	}
	t.until = at
	if number-t.begin >= maxRateBins || number < t.begin {
		return &LimitError{What: "number of bins", Value: fmt.Sprintf("more than %d", maxRateBins), Limit: "that", Hint: "choose a longer bin"}
	}
	for int64(len(t.counts)) <= number-t.begin {
		t.counts = append(t.counts, 0)
	}
	t.low, t.at = number*t.bin, number-t.begin
	t.counts[t.at]++
	return nil
}

func (g Gap) length() int64 { return g.To - g.From }

// silence keeps the longest gaps.
func (t *timeline) silence(g Gap) {
	if len(t.gaps) == maxGaps && g.length() <= t.gaps[maxGaps-1].length() {
		return
	}
	at := search(len(t.gaps), func(i int) bool { return t.gaps[i].length() < g.length() })
	if len(t.gaps) == maxGaps {
		t.gaps = t.gaps[:maxGaps-1]
	}
	if t.gaps = slices.Insert(t.gaps, at, g); len(t.gaps) == maxGaps {
		t.ordinary = t.gaps[maxGaps-1].length()
	}
}

// rare are the gaps that are too long for chance, in order of time: n silences
// of light of the rate r are all shorter than g but once in exp(r g)/n records.
func (t *timeline) rare(rate float64) []Gap {
	longest := int64(math.Min(math.Log(float64(t.count)/rareGap)/rate*1e12, math.MaxInt64/2))
	n := search(len(t.gaps), func(i int) bool { return t.gaps[i].length() <= longest })
	gaps := slices.Clone(t.gaps[:n])
	slices.SortFunc(gaps, func(a, b Gap) int { return cmp.Compare(a.From, b.From) })
	return gaps
}

// ratesOf brings all channels to the same bins.
func ratesOf(counted []*timeline, bin int64, base *base) (Rates, error) {
	begin, end := int64(math.MaxInt64), int64(math.MinInt64)
	for _, t := range counted {
		if t.count > 0 {
			begin, end = min(begin, t.begin), max(end, t.begin+int64(len(t.counts)))
		}
	}
	r := Rates{Base: base.shown, Bin: bin, Channels: []ChannelRate{}}
	if begin < end {
		r.Start = begin * bin
	} else {
		end = begin
	}
	if uint64(end-begin) > maxRateBins {
		return Rates{}, &LimitError{What: "number of bins", Value: fmt.Sprint(uint64(end - begin)), Limit: fmt.Sprint(maxRateBins), Hint: "choose a longer bin"}
	}
	for _, t := range counted {
		c := ChannelRate{Base: base.shown, Tags: t.count, First: t.from, Last: t.until, Rate: quantity.None(), RateSD: quantity.None(), Counts: make([]uint64, end-begin), Pauses: t.took}
		if t.count > 0 {
			copy(c.Counts[t.begin-begin:], t.counts)
		}
		if seconds := float64(c.Recording()) / 1e12; seconds > 0 {
			// From the first tag to the last of a stretch there is one distance less than
			// tags: a pulse per second is 1 per second, however few there are.
			n, distances := float64(t.count), float64(t.count-uint64(len(t.took))-1)
			c.Rate, c.RateSD = quantity.Number(distances/seconds), quantity.Number(math.Sqrt(n)/seconds)
			c.Gaps = t.rare(distances / seconds)
		}
		r.Channels = append(r.Channels, c)
	}
	return r, nil
}

// floorDiv is the quotient rounded down.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
