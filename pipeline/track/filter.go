package track

import (
	"fmt"
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

// Filter follows B's clock forward, while both records grow: from the seed's
// Reference on, with what the pairs so far tell. It learns the clock's noise as
// it goes; until then its standard deviations allow for any.
//
// Its knots depend on the tags alone, not on the portions they come in. A
// Filter is for one goroutine.
type Filter struct {
	tracker
	a, b   tail
	slice  int64 // ps
	next   int64 // ps since Reference: the next slice
	steps  []Step
	phases phases
	failed error
}

const (
	chunk = 1 << 18 // tags that are taken at a time
	// B's tags within this of where they are expected must be there before a
	// slice is looked at: a clock that jumped may show them so much later.
	reachAhead = furthest + 1e9 // ps
)

// NewFilter returns a filter that begins at the seed's Reference; tags of A
// before it are passed over.
func NewFilter(seed Seed) *Filter {
	f := &Filter{a: tail{name: "A"}, b: tail{name: "B"}}
	if f.failed = seed.Line.Check(); f.failed != nil {
		seed.Line = correlate.Line{}
	}
	seed = seed.bounded()
	f.tracker = *newTracker(newFrame(seed), seed, 1)
	f.slice = seed.sliceLength()
	return f
}

// Advance takes the next tags of both records, each in order and continuing the
// last, and returns the knots that have become certain. One record may be ahead
// of the other; what is still needed is kept. The error says which tags are out
// of order, or which record is too far ahead; it ends the filter.
func (f *Filter) Advance(a, b []uint64) ([]Knot, error) {
	var knots []Knot
	for f.failed == nil && len(a)+len(b) > 0 {
		// The record that is behind comes first, so that no tail grows longer
		// than the records are apart.
		from, to := &a, &f.a
		if len(a) == 0 || len(b) > 0 && f.behind() {
			from, to = &b, &f.b
		}
		n := min(chunk, len(*from))
		f.failed = to.take((*from)[:n])
		*from = (*from)[n:]
		for f.failed == nil && f.ready() {
			knots = f.advance(knots)
		}
	}
	return knots, f.failed
}

// behind says whether B's tags so far end before A's.
func (f *Filter) behind() bool {
	if !f.a.began || !f.b.began {
		return f.a.began
	}
	return int64(f.b.last-f.a.last-uint64(f.expected(f.a.last))) < 0
}

// expected is about what B minus A will be at a time.
func (f *Filter) expected(t uint64) int64 {
	return f.offsetAt(t).Plus(f.predicted(f.bank, f.since(t)).x).Whole
}

// ready says whether all tags of the next slice are there.
func (f *Filter) ready() bool {
	tags := f.a.kept()
	if len(tags) == 0 || !f.b.began {
		return false
	}
	if first := f.since(tags[0]); first >= f.next+f.slice {
		f.next = floor(first, f.slice)
	}
	end := f.line.Reference + uint64(f.next+f.slice)
	return int64(f.a.last-end) >= 0 && int64(f.b.last-end-uint64(f.expected(end)+reachAhead)) >= 0
}

// advance takes the next slice.
func (f *Filter) advance(knots []Knot) []Knot {
	from, end := f.next, f.line.Reference+uint64(f.next+f.slice)
	f.next += f.slice
	f.a.drop(end - uint64(f.slice))
	tags := f.a.kept()
	tags = tags[:search(tags, end)]
	expected := f.expected(end)
	if len(tags) > 0 && int64(f.b.first-end-uint64(expected)) < 0 {
		f.work = mostWork
		for _, s := range f.step(tags, f.b.kept(), from, f.next) {
			if s.leapt && len(f.steps) < mostLeaps {
				f.steps = append(f.steps, f.jumped(s))
			}
			if s.leapt {
				f.phases.jumped += s.size
			}
			f.phases.add(s.slice, s.state.y)
			knots = append(knots, f.knot(s.at, s.state, s.n))
			if s.n > 2*pairsPerSlice { // the seed took the rate over a time with few pairs
				f.slice = max(f.slice/2, shortestSlice)
			}
		}
	}
	f.a.drop(end)
	f.b.drop(end + uint64(expected-f.slice-reachAhead))
	return knots
}

const mostWork = 4 * mostListed // differences of tags that are listed to find what was lost, in one slice

func (f *Filter) jumped(s fix) Step {
	middle := s.after + (s.at-s.after)/2
	return Step{
		Time: f.line.Reference + uint64(middle), TimeSD: float64(s.at-s.after) / math.Sqrt(12),
		Offset: s.size, OffsetSD: s.sd,
	}
}

// State says how a filter stands.
type State struct {
	Tracking bool   // the last slice had pairs, where they were expected
	LastPair uint64 // A's time about which pairs were found last; the seed's Reference before any
	Until    uint64 // A's time up to which tags were looked at
	Steps    []Step // jumps of the clock so far
}

// State returns how the filter stands.
func (f *Filter) State() State {
	return State{
		Tracking: f.doubt == nil && f.misses == 0 && f.bank.updates > 0,
		LastPair: f.line.Reference + uint64(f.last), Until: f.line.Reference + uint64(f.next),
		Steps: append([]Step(nil), f.steps...),
	}
}

// Deviations are the Allan and the time deviation of the clock so far, as [Track] has
// them of a whole record: each of its newest stretch of 64 times its time, and none of too
// few values. Jumps of the clock are taken off.
func (f *Filter) Deviations() []AllanPoint { return f.phases.deviations(f.bank.noise()) }

// At predicts B minus A at a time of A's clock that is not before the last
// knot, and its standard deviation. When pairs are lost, that is how far to
// search for them.
func (f *Filter) At(time uint64) (offset quantity.Fine, sd float64) {
	b := f.bank
	if f.doubt != nil {
		b = f.doubt.before
	}
	k := f.knot(f.since(time), f.predicted(b, f.since(time)), 0)
	return k.Offset, k.OffsetSD
}

const mostAhead = 1 << 24 // tags that one record may be ahead of the other

// tail is the end of a record that grows: what is still needed of it.
type tail struct {
	name  string
	tags  []uint64
	done  int    // tags that are not needed any more
	first uint64 // tag of the record
	last  uint64
	began bool
}

// take appends the next tags.
func (t *tail) take(tags []uint64) error {
	if len(tags) == 0 {
		return nil
	}
	if !t.began {
		t.first, t.last, t.began = tags[0], tags[0], true
	}
	for i, v := range tags {
		if int64(v-t.last) < 0 {
			return fmt.Errorf("tag %d of a portion of %s, at %d ps, comes after one at %d ps; give tags in order of time", i, t.name, v, t.last)
		}
		t.last = v
	}
	if t.done > len(t.tags)/2 {
		t.tags = t.tags[:copy(t.tags, t.tags[t.done:])]
		t.done = 0
	}
	if len(t.tags)-t.done+len(tags) > mostAhead {
		return fmt.Errorf("%s is more than %d tags ahead of the other record; give both records' tags of the same time", t.name, mostAhead)
	}
	t.tags = append(t.tags, tags...)
	return nil
}

// kept returns the tags that are still needed.
func (t *tail) kept() []uint64 { return t.tags[t.done:] }

// drop forgets tags before a time.
func (t *tail) drop(before uint64) { t.done += search(t.kept(), before) }
