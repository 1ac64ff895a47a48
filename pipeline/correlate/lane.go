package correlate

import (
	"iter"
	"sync"

	"tsrun/sdk/tag"
)

// lane is one stream of a gather. Where there are several cores, each has a
// goroutine that reads on.
type lane struct {
	feed
	view
	correct   Correction
	breaks    []uint64 // as recorded
	passed    int      // so many of them are before tags that were handed out
	pauses    []Gap    // ps since base: over these, from the tag before to the tag after
	latest    int64    // ps since base: the last tag handed out
	began     int64    // ps since base: the first tag
	own, next int      // fixed[own:next] are of the span's time
	singles   uint64   // tags handed out so far, of the time that all lanes recorded

	inMemory bool     // fixed is a part of what the stream holds
	recorded []uint64 // as fixed, before the correction: where both are asked for, and are not the same
	strips   [2]strip // of fixed, and of recorded
	ahead    chan lot // of what is being read
	pending  bool     // whether something is
}

// view is what a span shows of a lane. What it shows stays as it is as long as the span
// is in use.
type view struct {
	raw       []uint64 // as recorded, where that is asked for
	fixed     []uint64 // on the common clock
	low, high int      // those of them that the span holds: see gather.slack
	dropped   uint64   // tags before fixed[0]
}

const (
	mostOfPiece  = chunk     // tags
	leastOfPiece = chunk / 4 // that are worth being cut
)

// pieces are the span's tags in parts that are worth a core's while.
func (v view) pieces(cores int) iter.Seq[view] {
	return func(yield func(view) bool) {
		size := max(leastOfPiece, min(mostOfPiece, (v.high-v.low+cores-1)/cores))
		for end := v.high; v.low < end; v.low = v.high {
			if v.high = min(v.low+size, end); !yield(v) {
				return
			}
		}
	}
}

// within shows those tags from first to last.
func (v view) within(first, last uint64) view {
	from := search(len(v.fixed), func(i int) bool { return int64(v.fixed[i]-first) >= 0 })
	to := from + search(len(v.fixed)-from, func(i int) bool { return int64(v.fixed[from+i]-last) > 0 })
	within := view{fixed: v.fixed[from:to], dropped: v.dropped + uint64(from)}
	if len(v.raw) > 0 {
		within.raw = v.raw[from:to]
	}
	return within
}

// lot is what was read at once: so many tags behind those that were held.
type lot struct {
	feed feed // as it is then
	n    int
	err  error
}

func newLane(c Channel, name string, zero *uint64, raw bool) (*lane, error) {
	correct, err := c.toCommon()
	if err != nil {
		return nil, err
	}
	l := &lane{feed: feed{from: c.Tags, name: name, zero: zero, raised: c.Raised}, correct: correct, breaks: c.Breaks, ahead: make(chan lot, 1)}
	if memory, ok := c.Tags.(tag.Holder); ok && correct.IsZero() {
		all := memory.Rest()
		l.inMemory, l.fixed = true, all[:0:len(all)]
	}
	if raw && !correct.IsZero() {
		l.recorded = []uint64{}
	}
	return l, nil
}

// read reads on by n tags, or takes those that have been read ahead.
func (l *lane) read(n int, g *gather) error {
	if len(l.fixed) > maxWindow {
		return &LimitError{What: "window", Value: "more than 67 million tags of " + l.name, Limit: "that", Hint: "choose a shorter range, window or shift"}
	}
	var more lot
	if l.pending {
		more = <-l.ahead
		l.pending = false
	} else {
		l.room(n, g)
		more = l.fill(l.feed, l.fixed, l.recorded, n)
	}
	l.feed = more.feed
	l.fixed = l.fixed[:len(l.fixed)+more.n]
	if l.recorded != nil {
		l.recorded = l.recorded[:len(l.recorded)+more.n]
	}
	return more.err
}

// readAhead has a goroutine read on, where few tags are left.
func (l *lane) readAhead(g *gather) {
	if l.pending || l.ended || l.inMemory || len(l.fixed)-l.next >= chunk {
		return
	}
	l.room(chunk, g)
	l.pending = true
	f, fixed, recorded := l.feed, l.fixed, l.recorded
	go func() { l.ahead <- l.fill(f, fixed, recorded, chunk) }()
}

// fill reads up to n tags of f into the room behind those held.
func (l *lane) fill(f feed, fixed, recorded []uint64, n int) lot {
	var tags []uint64
	var err error
	switch room := fixed[len(fixed):]; {
	case l.inMemory:
		tags = room[:min(n, cap(room))]
		f.ended = len(tags) == cap(room)
		err = f.check(tags)
	case recorded != nil:
		tags, err = f.more(recorded[len(recorded):], n)
		l.correct.ApplyAll(room, tags)
	default:
		tags, err = f.more(room, n)
		if !l.correct.IsZero() {
			l.correct.ApplyAll(tags[:0], tags) // each takes the place of its own
		}
	}
	return lot{f, len(tags), err}
}

// room makes room for n more tags.
func (l *lane) room(n int, g *gather) {
	if l.inMemory {
		return
	}
	l.fixed = l.strips[0].room(l.fixed, n, g)
	if l.recorded != nil {
		l.recorded = l.strips[1].room(l.recorded, n, g)
	}
}

// release forgets the first n tags. Where nobody else looks at them, the others move
// to where they were, so that what is held stays in a core's cache; where they are few,
// that costs more than it frees.
func (l *lane) release(n int, g *gather) {
	if !l.inMemory && !g.shared && n < len(l.fixed)/2 {
		return
	}
	l.dropped += uint64(n)
	l.next -= n
	l.fixed = l.fixed[n:]
	if l.recorded != nil {
		l.recorded = l.recorded[n:]
	}
	if !l.inMemory && !g.shared {
		l.fixed = l.strips[0].back(l.fixed)
		if l.recorded != nil {
			l.recorded = l.strips[1].back(l.recorded)
		}
	}
}

// close waits until nothing reads the stream any more.
func (l *lane) close() {
	if l.pending {
		<-l.ahead
		l.pending = false
	}
	for i := range l.strips {
		l.strips[i].close()
	}
}

// strip is memory for the tags of a lane that are still needed. They go to another one
// where it is full, because cores may be looking at them.
type strip struct {
	now  []uint64 // all of it
	lent []lent   // those before, oldest first
}

// lent is memory that spans show, up to that of the number.
type lent struct {
	memory []uint64
	span   int
}

const stripTags = 4 * chunk

// strips are those that nobody uses: a page of memory that is new costs more than to
// count what fits it.
var strips = sync.Pool{New: func() any { return new([stripTags]uint64) }}

// room returns what is held with room for n tags behind.
func (s *strip) room(held []uint64, n int, g *gather) []uint64 {
	if cap(held)-len(held) >= n {
		return held
	}
	need := len(held) + n
	if len(held) > 0 {
		need *= 2 // so that few are moved often
	}
	before := s.now
	s.now = s.other(need, g.used)
	held = append(s.now[:0], held...)
	if before != nil {
		s.lent = append(s.lent, lent{before, g.spans})
	}
	return held
}

// other is memory for so many tags that no span from the one in use on shows.
func (s *strip) other(need, used int) []uint64 {
	for len(s.lent) > 0 && s.lent[0].span < used {
		memory := s.lent[0].memory
		s.lent = s.lent[1:]
		if len(memory) >= need {
			return memory
		}
		giveBack(memory)
	}
	if need > stripTags {
		return make([]uint64, need)
	}
	return strips.Get().(*[stripTags]uint64)[:]
}

// back moves what is held to the beginning.
func (s *strip) back(held []uint64) []uint64 { return s.now[:copy(s.now, held)] }

func (s *strip) close() {
	for _, l := range s.lent {
		giveBack(l.memory)
	}
	giveBack(s.now)
	s.now, s.lent = nil, nil
}

func giveBack(memory []uint64) {
	if len(memory) == stripTags {
		strips.Put((*[stripTags]uint64)(memory))
	}
}
