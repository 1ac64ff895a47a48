package align

import (
	"context"
	"fmt"
	"io"
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

const (
	liveStep    = uint64(100_000_000_000) // ps: 0.1 s of A's time is followed at once
	liveTags    = 1 << 22                 // tags of each record that are held, and as many again before they are cut
	lostSlices  = 20                      // without pairs make a clock lost
	slicePairs  = 300.0                   // in a slice of time; see package track
	caution     = 10.0                    // a clock that was found is followed from so much less certainty: its tags are looked at again
	jumpSDs     = 5.0                     // standard deviations from what was foretold make a jump
	readPiece   = 1 << 16                 // tags read at once
	maxSteps    = 1000                    // that are remembered
	shortestLag = 1e11                    // ps: 0.1 s
	longestLag  = 2e13                    // ps: 20 s
)

// Live finds B's clock and follows it while both records still grow: what
// [Align] does to whole records, forward only.
//
//	searching ──found──▶ tracking ──20 slices without pairs──▶ lost
//	                        ▲                                   │
//	                        └──── found again, or stepped ◀─────┘
//
// The values depend on the tags alone, not on the portions they come in.
// Memory is bounded, whatever comes; one goroutine at a time may use it.
type Live struct {
	options Options
	a, b    []uint64 // from some time before the clock was last seen
	fedA    int      // of a, that the filter has taken
	fedB    int
	origin  uint64 // A's first tag
	lastA   uint64
	lastB   uint64
	seenA   bool
	seenB   bool

	filter *track.Filter // nil: searching
	seed   track.Seed    // of the filter
	before *track.Filter // the one that lost the clock, until the next has values
	shown  uint64        // A's time up to which tags showed where it begins
	fedTo  uint64        // A's time up to which it was fed
	last   Value         // with pairs
	told   int           // of the filter's own steps
	lost   bool          // and it was said
	quest  quest
	steps  []track.Step

	tried    bool            // it was looked for in vain
	patience context.Context // until when one that was never found is looked for again; nil: for ever
}

// NewLive returns a Live of two records that have not begun.
func NewLive(o Options) (*Live, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	return &Live{options: o}, nil
}

// SearchUntil says until when a clock that was looked for and never found is looked for
// again: then even a search that was begun is given up, and tags are only taken. One look
// every clock is given.
func (l *Live) SearchUntil(patience context.Context) { l.patience = patience }

// isGivenUp says whether the clock is not looked for any more.
func (l *Live) isGivenUp() bool {
	return l.filter == nil && l.tried && l.patience != nil && l.patience.Err() != nil
}

// State says how well B's clock is known.
func (l *Live) State() State {
	switch {
	case l.last.State == "":
		return Searching
	case l.lost || l.before != nil:
		return Lost
	}
	return l.last.State
}

// Steps are the jumps of B's clock so far, at most a thousand.
func (l *Live) Steps() []track.Step { return l.steps }

// Deviations are the Allan and the time deviation of B's clock since it was found last;
// none of a clock that is not followed, or not for long enough.
func (l *Live) Deviations() []track.AllanPoint {
	if l.filter == nil || l.last.State == "" {
		return nil
	}
	return l.filter.Deviations()
}

// Add takes the next tags of either record, in order of time, and returns what
// they tell, in order of time too. That may be nothing, or be of earlier tags
// where these make the clock known. The error is for tags out of order, or the
// context's.
func (l *Live) Add(ctx context.Context, a, b []uint64) ([]Value, error) {
	if err := l.take(a, b); err != nil {
		return nil, err
	}
	var values []Value
	for ctx.Err() == nil {
		followed, moved, err := l.advance()
		values = append(values, followed...)
		if err != nil {
			return values, err
		}
		found, err := l.acquire(ctx)
		if err != nil {
			return values, err
		}
		if !moved && !found {
			l.trim()
			return values, nil
		}
	}
	return values, context.Cause(ctx)
}

// Read takes tags of both records to the ends of two readers, such as the next
// segment of each, piece by piece so that neither runs ahead of the other. Both
// end at about the same time: where one has ended long before, the clock is
// lost. each gets the values, as they come.
func (l *Live) Read(ctx context.Context, a, b tag.Reader, each func([]Value)) error {
	buf := make([]uint64, readPiece)
	for a != nil || b != nil {
		fromA := b == nil || a != nil && int64(l.lastA-l.lastB) <= 0
		from := &b
		if fromA {
			from = &a
		}
		n, err := (*from).Next(buf)
		if err == io.EOF {
			*from = nil
		} else if err != nil {
			return err
		}
		var values []Value
		if fromA {
			values, err = l.Add(ctx, buf[:n], nil)
		} else {
			values, err = l.Add(ctx, nil, buf[:n])
		}
		if len(values) > 0 {
			each(values)
		}
		if err != nil {
			return err
		}
	}
	if l.silent() {
		each(l.loses())
	}
	return nil
}

// Finish looks for a clock that was not found yet in all tags there are, as no more
// come: in a record that was too short for another try.
func (l *Live) Finish(ctx context.Context) ([]Value, error) {
	if l.filter != nil || !l.seenA || !l.seenB || l.isGivenUp() {
		return nil, nil
	}
	l.begin()
	l.quest.next = l.lastA + 1
	if found, err := l.try(ctx, l.quest.since, true); !found || err != nil {
		return nil, err
	}
	return l.Add(ctx, nil, nil)
}

// take appends tags, once they are in order.
func (l *Live) take(a, b []uint64) error {
	for _, r := range []struct {
		name string
		new  []uint64
		all  *[]uint64
		last *uint64
		seen *bool
	}{{"A", a, &l.a, &l.lastA, &l.seenA}, {"B", b, &l.b, &l.lastB, &l.seenB}} {
		if len(r.new) == 0 {
			continue
		}
		reference := []uint64{r.new[0]}
		if l.seenA {
			reference[0] = l.origin
		}
		if *r.seen && r.new[0] < *r.last {
			return fmt.Errorf("%s goes on at %d ps, before its last tag at %d ps", r.name, r.new[0], *r.last)
		}
		if err := correlate.CheckOrder(r.new, r.name, reference); err != nil {
			return err
		}
		if r.name == "A" && !l.seenA {
			l.origin = r.new[0]
		}
		*r.all = append(*r.all, r.new...)
		*r.last, *r.seen = r.new[len(r.new)-1], true
	}
	return nil
}

// advance feeds the filter a step of time, when both records have come so far.
// What the filter cannot find any more acquire does.
func (l *Live) advance() (values []Value, moved bool, err error) {
	if l.filter == nil {
		return nil, false, nil
	}
	next := l.fedTo + liveStep
	if l.fedA < len(l.a) && int64(l.a[l.fedA]-next) > 0 { // nothing happens for long
		next = l.a[l.fedA] - (l.a[l.fedA]-l.fedTo)%liveStep + liveStep
	}
	predicted, _ := l.filter.At(next)
	end := next + uint64(predicted.Whole)
	if int64(l.lastA-next) <= 0 || int64(l.lastB-end) <= 0 {
		return nil, false, nil
	}
	na := search(len(l.a)-l.fedA, func(i int) bool { return int64(l.a[l.fedA+i]-next) >= 0 })
	nb := search(len(l.b)-l.fedB, func(i int) bool { return int64(l.b[l.fedB+i]-end) >= 0 })
	knots, err := l.filter.Advance(l.a[l.fedA:l.fedA+na], l.b[l.fedB:l.fedB+nb])
	l.fedA, l.fedB, l.fedTo = l.fedA+na, l.fedB+nb, next
	values = l.values(knots)
	if !l.lost && l.strayed() {
		values = append(values, l.loses()...)
	}
	return values, true, err
}

// lag is how long a clock may be without pairs before it counts as lost, in ps.
func (l *Live) lag() float64 {
	return min(max(lostSlices*slicePairs/max(l.seed.PairRate, 1e-9)*1e12, shortestLag), longestLag)
}

// strayed says that the filter has found no pairs for too long, those that
// showed where the clock is among them.
func (l *Live) strayed() bool {
	s := l.filter.State()
	return !s.Tracking && float64(int64(s.Until-s.LastPair)) > l.lag() && int64(s.Until-l.shown) >= 0
}

// silent says that a clock that is followed will not be, because one of the
// records does not go on.
func (l *Live) silent() bool {
	if l.filter == nil || l.lost || l.last.State == "" {
		return false
	}
	predicted, _ := l.filter.At(l.lastA)
	ahead := math.Abs(quantity.Fine{Whole: int64(l.lastB - l.lastA)}.Minus(predicted))
	return ahead > l.lag()+float64(liveStep)+math.Abs(predicted.Float())
}

// loses tells of a clock that has just been lost what was known last; nothing
// of one that was never followed.
func (l *Live) loses() []Value {
	l.lost = true
	if l.last.State == "" {
		return nil
	}
	v := l.last
	v.State, v.Pairs, v.Step = Lost, 0, nil
	return []Value{v}
}

// values makes values of the filter's knots.
func (l *Live) values(knots []track.Knot) (values []Value) {
	steps := l.filter.State().Steps
	for _, k := range knots {
		if k.Pairs <= 0 || math.IsInf(k.OffsetSD, 0) || math.IsNaN(k.OffsetSD) {
			continue
		}
		v := Value{State: Tracking, Knot: k}
		if l.before != nil {
			v.Step = l.jump(k)
			l.before = nil
		}
		if l.told < len(steps) && int64(k.Time-steps[l.told].Time) >= 0 {
			v.Step = &steps[l.told]
			l.told++
		}
		if v.Step != nil {
			v.State = Stepped
			if len(l.steps) < maxSteps {
				l.steps = append(l.steps, *v.Step)
			}
		}
		l.last, l.lost, l.quest = v, false, quest{}
		values = append(values, v)
	}
	return values
}

// jump compares the first value of a clock that was found again with what the
// filter that lost it foretells; nil where they agree.
func (l *Live) jump(k track.Knot) *track.Step {
	foretold, sd := l.before.At(k.Time)
	change, sd := k.Offset.Minus(foretold), math.Hypot(sd, k.OffsetSD)
	if math.Abs(change) <= jumpSDs*sd {
		return nil
	}
	since := l.before.State().LastPair
	between := float64(int64(k.Time - since))
	return &track.Step{Time: since + uint64(max(between, 0)/2), TimeSD: between / math.Sqrt(12), Offset: change, OffsetSD: sd}
}

// trim forgets tags that nobody will look at again, when that is most of them;
// of more than may be held, the oldest.
func (l *Live) trim() {
	from, early := l.quest.since, l.quest.since-uint64(l.reach())
	if l.filter != nil {
		from = l.filter.State().LastPair
		predicted, _ := l.filter.At(from)
		early = from + uint64(predicted.Whole) - liveStep
	}
	na := search(len(l.a), func(i int) bool { return int64(l.a[i]-from) >= 0 })
	nb := search(len(l.b), func(i int) bool { return int64(l.b[i]-early) >= 0 })
	l.a, l.fedA = forget(l.a, na, l.fedA)
	l.b, l.fedB = forget(l.b, nb, l.fedB)
}

func forget(tags []uint64, n, fed int) (rest []uint64, stillFed int) {
	if len(tags)-n > 2*liveTags {
		n = len(tags) - liveTags
	}
	if 2*n < len(tags) {
		return tags, fed
	}
	return append(tags[:0], tags[n:]...), max(0, fed-n)
}

// State is how well B's clock is known while both records still grow.
type State string

const (
	Searching State = "searching" // not found yet
	Tracking  State = "tracking"  // followed from pair to pair
	Lost      State = "lost"      // no pairs where they should be: a value tells what was known last
	Stepped   State = "stepped"   // followed again, elsewhere than foretold: the clock jumped
)

// Value is what was known of B's clock once the tags about its Time had come:
// B minus A there, from this and earlier tags alone.
type Value struct {
	State State `json:"state"`
	track.Knot
	Step *track.Step `json:"step,omitempty"` // of a clock that stepped
}
