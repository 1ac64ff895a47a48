package slave

import (
	"slices"
	"sync"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/wire"
	"tsrun/sdk/tag"
)

const (
	// glimpseEvery is how often what the controllers see is told.
	glimpseEvery = 180 * time.Millisecond
	// glimpseGrid is at which times of the master's clock a stretch begins where tags come
	// too fast for all to be told: so those of several nodes lie over each other.
	glimpseGrid = uint64(200_000_000_000) // ps
)

// glimpses collects what the master is shown of tags that nobody keeps: the counts of
// each stream, and as many tags as a report may carry. Blocks come from the goroutines of
// the core, and the reporter takes what there is.
type glimpses struct {
	now func() time.Time

	mu      sync.Mutex
	streams []glimpse
	most    int // tags of a stream
	seq     uint64
	told    time.Time
	scratch []uint64
}

// glimpse is that of one stream. While open, all tags since from are in tags.
type glimpse struct {
	counts fact.Counts
	zero   int64 // ns; 0: not known
	open   bool
	full   bool // and tags ends at until
	from   uint64
	until  uint64
	tags   []uint64
}

func newGlimpses(streams int, now func() time.Time) *glimpses {
	return &glimpses{now: now, streams: make([]glimpse, streams), most: wire.GlimpseTags / max(streams, 1)}
}

// began says when the time 0 of some streams was, by the master's clock.
func (g *glimpses) began(streams []uint16, zero int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range streams {
		g.streams[s].zero = zero
	}
}

// take is shown a block.
func (g *glimpses) take(h tag.Header, payload []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.streams[h.Stream]
	g.scratch = g.scratch[:0]
	tags := tag.AsTags(payload, g.scratch)
	if h.Count > 0 {
		if s.counts.Tags == 0 {
			s.counts.First = h.First
		}
		s.counts.Last = h.Last
	}
	s.counts.Tags += uint64(h.Count)
	s.counts.Lost += h.Lost
	before := s.counts.Until
	s.counts.Until = max(s.counts.Until, h.Until)
	if h.Lost > 0 { // there is a hole, and nobody knows exactly where
		s.close()
		return
	}
	s.add(tags, before, g.most)
}

// add takes the tags that came from a time on, as far as there is room.
func (s *glimpse) add(tags []uint64, before uint64, most int) {
	if !s.open {
		begin := s.grid(before)
		if s.counts.Until <= begin {
			return
		}
		s.open, s.full, s.from = true, false, begin
	}
	if s.full {
		return
	}
	first, _ := slices.BinarySearch(tags, s.from)
	tags = tags[first:]
	if room := most - len(s.tags); len(tags) > room {
		s.full, s.until = true, tags[room]
		tags = tags[:room]
	} else {
		s.until = s.counts.Until
	}
	s.tags = append(s.tags, tags...)
	for n := len(s.tags); n > 0 && s.tags[n-1] >= s.until; n-- { // those of one time are all here, or none
		s.tags = s.tags[:n-1]
	}
}

// grid is the first time of the grid that is not before another.
func (s *glimpse) grid(t uint64) uint64 {
	ahead := (uint64(s.zero)%(glimpseGrid/1000)*1000 + t) % glimpseGrid
	if ahead == 0 {
		return t
	}
	return t + glimpseGrid - ahead
}

// close gives up a stretch; the next one begins on the grid.
func (s *glimpse) close() { s.open, s.full, s.tags = false, false, s.tags[:0] }

// next is what there is to tell now; nil: nothing yet.
func (g *glimpses) next() *wire.Glimpse {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if now.Sub(g.told) < glimpseEvery {
		return nil
	}
	g.told = now
	g.seq++
	told := &wire.Glimpse{Seq: g.seq}
	for i := range g.streams {
		told.Streams = append(told.Streams, g.streams[i].tell(uint16(i)))
	}
	return told
}

// tell gives what has come of a stream, and goes on behind it.
func (s *glimpse) tell(stream uint16) wire.StreamGlimpse {
	told := wire.StreamGlimpse{StreamCounts: fact.StreamCounts{Stream: stream, Counts: s.counts}, ZeroNs: s.zero}
	if !s.open {
		return told
	}
	told.FromPs, told.ToPs, told.Packed = s.from, s.until, wire.PackGlimpse(s.from, s.tags)
	if s.tags = s.tags[:0]; s.full {
		s.close()
	} else {
		s.from = s.until
	}
	return told
}
