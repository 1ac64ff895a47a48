package align

import (
	"context"
	"errors"
	"math"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/scatter"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

const (
	firstPause   = uint64(1_000_000_000_000)  // ps: 1 s of tags before the clock is first looked for
	firstWeak    = uint64(4_000_000_000_000)  // ps: 4 s before weak signals are looked for; they are when a record has doubled
	lastPause    = uint64(30_000_000_000_000) // ps: 30 s
	nearest      = 1e6                        // ps: 1 us, searched at least about where a lost clock was foretold
	steadiest    = 1e-9                       // frequency allowed to have changed at least
	farthestJump = 1e9                        // ps: a filter follows jumps of the phase alone as far as that
	diluted      = 10                         // pairs may be by time without any, at most
	widening     = 1000                       // of the search, from try to try
)

// quest is the search for a clock that is not known. Tries become rarer, so
// that looking for what is not there costs little.
type quest struct {
	begun    bool
	since    uint64 // A's time of the earliest tags looked at
	previous uint64 // try, A's time
	next     uint64 // try, A's time
	pause    uint64
	width    float64 // of the search, compared with the first try
	weak     uint64  // length of a record in which weak signals are looked for again, ps
}

// acquire looks for the clock where it is not known and it is time for another
// try. found says that there is a filter to be fed.
func (l *Live) acquire(ctx context.Context) (found bool, err error) {
	if !l.seenA || !l.seenB || l.filter != nil && !l.strayed() {
		return false, nil
	}
	l.begin()
	for t := &l.quest; !l.isGivenUp() && l.reached(t.next); t.next += t.pause {
		if t.previous != t.since { // pairs may just have begun
			if found, err := l.try(ctx, t.previous, true); found || err != nil {
				return found, err
			}
		}
		brief := l.filter != nil || t.next-t.since < t.weak
		if !brief {
			t.weak = 2 * (t.next - t.since)
		}
		if found, err := l.try(ctx, t.since, brief); found || err != nil {
			return found, err
		}
		t.previous, t.pause, t.width = t.next, min(t.pause+t.pause/2, lastPause), min(t.width*widening, 1e9)
	}
	return false, nil
}

// reached says whether all tags before a time of A's clock are there.
func (l *Live) reached(t uint64) bool {
	if l.filter != nil {
		return int64(l.fedTo-t) >= 0
	}
	return int64(l.lastA-t) > 0 && int64(l.lastB-t) > 0
}

// begin starts a quest, unless there is one.
func (l *Live) begin() {
	switch t := &l.quest; {
	case t.begun:
	case l.filter == nil:
		*t = quest{begun: true, since: l.origin, previous: l.origin, next: l.origin + firstPause, pause: firstPause, width: 1, weak: firstWeak}
	default:
		// Not from the last pairs on: the next slice may hold some from before a
		// jump, which would be found again.
		since := l.filter.State().LastPair + uint64(2*l.lag()/lostSlices)
		*t = quest{begun: true, since: since, previous: since, next: l.fedTo, pause: uint64(l.lag() / 2), width: 1}
	}
}

// foretold is the line along which the clock is looked for: where it was lost,
// or none.
func (l *Live) foretold(at uint64) correlate.Line {
	if l.filter == nil {
		return correlate.Line{}
	}
	offset, _ := l.filter.At(at)
	return correlate.Line{Reference: at, Offset: offset.Whole, Frequency: parts(l.last.Frequency * 1e-9)}
}

func parts(f float64) quantity.Drift { return quantity.Drift(math.Round(f * quantity.DriftUnit)) }

// prior is what the next try assumes: three times the error of what is
// foretold and more from try to try, or what the options say.
func (l *Live) prior(at uint64) Options {
	o := Options{Search: l.reach(), MaxDrift: l.options.MaxDrift}
	if l.filter != nil {
		o.Search = min(2*o.Search, MaxSearch) // of where it was, wherever in the search that is
		_, sd := l.filter.At(at)
		if wide := max(3*sd, nearest) * l.quest.width; wide < float64(o.Search) {
			o.Search = int64(wide)
		}
		if wide := max(3*l.last.FrequencySD*1e-9, steadiest) * l.quest.width * quantity.DriftUnit; wide < float64(o.MaxDrift) {
			o.MaxDrift = quantity.Drift(wide)
		}
	}
	return o
}

// reach is how far apart the clocks may be by now.
func (l *Live) reach() int64 {
	return min(l.options.Search+l.options.MaxDrift.Of(int64(l.lastA-l.origin)), MaxSearch)
}

// try looks for the clock in the tags from a time of A's clock to that of the try.
func (l *Live) try(ctx context.Context, from uint64, brief bool) (found bool, err error) {
	to := l.quest.next
	line, o := l.foretold(from), l.prior(to)
	a := within(l.a, from, to)
	b := line.ApplyAll(nil, within(l.b, from+uint64(line.Offset)-uint64(o.Search), to+uint64(line.OffsetAt(to))))
	o.Brief = brief
	patient, stop := l.patiently(ctx)
	result, err := Align(patient, a, b, o)
	stop()
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal), errors.Is(err, context.Canceled) && ctx.Err() == nil:
		l.tried = true
		return false, nil
	case err != nil:
		return false, err
	}
	l.resume(seedOf(result, line))
	return true, nil
}

// patiently is a context for a try, which ends early where the clock may be given up.
func (l *Live) patiently(ctx context.Context) (context.Context, func()) {
	if l.filter != nil || !l.tried || l.patience == nil {
		return ctx, func() {}
	}
	patient, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.patience, cancel)
	return patient, func() { stop(); cancel() }
}

// seedOf begins where the pairs of an alignment begin, with much less
// certainty than it has: the filter will look at the same tags again. Its B
// was corrected along the line before.
func seedOf(r Alignment, line correlate.Line) track.Seed {
	at := r.Start
	offset, sd := r.StartOffset, r.StartSD
	frequency, frequencySD := r.Frequency*1e-9, r.FrequencySD*1e-9
	rate := float64(r.Pairs) / float64(r.Overlap) * 1e12
	if t := r.Track; t != nil && len(t.Knots) > 0 {
		rate = max(rate, pairRate(t.Knots))
		k := begin(t)
		at, offset, sd, frequency, frequencySD = k.Time, k.Offset, k.OffsetSD, k.Frequency*1e-9, k.FrequencySD*1e-9
	}
	before := float64(line.Frequency) / quantity.DriftUnit
	return track.Seed{
		Line: correlate.Line{
			Reference: at,
			Offset:    offset.Whole + line.OffsetAt(at+uint64(offset.Whole)),
			Frequency: parts(before + frequency + before*frequency),
		},
		OffsetSD: caution * max(sd, 1), FrequencySD: caution * frequencySD,
		Jitter: r.Jitter, PairRate: rate, Grid: scatter.Grid{A: r.StepA, B: r.StepB},
	}
}

// begin is the first knot from which a filter follows a clock to the end: after
// the last jump that would lose it.
func begin(t *track.Track) track.Knot {
	first := 0
	for _, s := range t.Steps {
		if s.Turns() || math.Abs(s.Offset) > farthestJump {
			first = search(len(t.Knots), func(i int) bool { return float64(int64(t.Knots[i].Time-s.Time)) > 3*s.TimeSD })
		}
	}
	return t.Knots[min(first, len(t.Knots)-1)]
}

// resume follows the clock from a seed, through the tags that are held.
func (l *Live) resume(seed track.Seed) {
	if l.filter != nil && l.last.State != "" {
		l.before = l.filter
		// Part of the tags that showed the clock may be from when it was lost.
		seed.PairRate = min(max(seed.PairRate, l.seed.PairRate), diluted*seed.PairRate)
	}
	l.shown = l.quest.next
	l.filter, l.seed, l.told, l.quest = track.NewFilter(seed), seed, 0, quest{}
	at, margin := seed.Line.Reference, int64(10*(seed.OffsetSD+seed.Jitter))
	l.fedTo = at
	l.fedA = search(len(l.a), func(i int) bool { return int64(l.a[i]-at) >= 0 })
	l.fedB = search(len(l.b), func(i int) bool { return int64(l.b[i]-at-uint64(seed.Line.Offset)) >= -margin })
}

// pairRate is how many pairs per second there are, where there are pairs: that
// of the middle one of all knots.
func pairRate(knots []track.Knot) float64 {
	var rates []float64
	for i := 1; i < len(knots); i++ {
		rates = append(rates, knots[i].Pairs/float64(int64(knots[i].Time-knots[i-1].Time))*1e12)
	}
	if len(rates) == 0 {
		return 0
	}
	slices.Sort(rates)
	return rates[len(rates)/2]
}
