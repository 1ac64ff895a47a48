package slave

import (
	"maps"
	"math"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk/quantity"
)

// kept is what a session has in closed files, and how far its channels have come: what
// another part of the record begins behind.
type kept struct {
	part   part // that is recorded now
	begun  int  // parts after the first
	at     uint64
	files  map[series]filed
	until  map[uint16]uint64 // ps: to here a stream is in closed files
	counts map[uint16]fact.Counts
}

// series are the files of a stream by one sink.
type series struct {
	sink   string
	stream uint16
}

type filed struct {
	segments int
	tags     uint64
	first    uint64 // ps
	last     uint64
}

// part is a stretch of a node's record, from one start of its controllers to their end.
type part struct {
	number int                    // 0: the first
	begins time.Duration          // after the instant of the run
	base   map[uint16]fact.Counts // of what came before
	shot   int                    // of several, from 1: its files have times of its own, and counts are of what was recorded; 0: it is none
}

// origin is where the time 0 of the controllers lies, in ps of the run.
func (p part) origin() uint64 { return uint64(p.begins) * 1000 }

// goesOn reports whether another process began the record.
func (p *part) goesOn() bool { return p.number > 0 && p.shot == 0 }

// dir is where the files of the part stand, below those of the first.
func (p *part) dir() string {
	if p.shot > 0 {
		return run.ShotDir(p.shot)
	}
	return run.PartDir(p.number)
}

// before is how many segments of a length are over when the part begins.
func (p part) before(segment quantity.Time) int { return int(p.begins / max(segment.Duration(), 1)) }

// added returns counts of the part with those of what came before.
func (p part) added(c fact.StreamCounts) fact.StreamCounts {
	if p.shot > 0 && c.Tags > 0 {
		c.First, c.Last = c.First+p.origin(), c.Last+p.origin()
	}
	b, ok := p.base[c.Stream]
	if !ok {
		return c
	}
	if p.shot > 0 {
		c.Until, b.Until = c.Until+b.Until, 0
	}
	if b.Tags > 0 {
		c.First = b.First
		if c.Tags == 0 {
			c.Last = b.Last
		}
	}
	c.Tags, c.Lost, c.Until = c.Tags+b.Tags, c.Lost+b.Lost, max(c.Until, b.Until)
	return c
}

// add enters a file that was closed, and gives it its place in the row of all parts. It
// returns until when each stream is in closed files.
func (k *kept) add(s *wire.Segment, length quantity.Time, counts []fact.StreamCounts) map[uint16]uint64 {
	if s.HoldsTags() && s.Index >= 0 && s.Index < math.MaxInt {
		end := uint64(math.MaxUint64)
		if n := uint64(s.Index) + 1; length > 0 && n <= math.MaxUint64/uint64(length) {
			end = n * uint64(length)
		}
		for _, c := range counts {
			if c.Stream == s.Stream {
				end = min(end, c.Until)
			}
		}
		if k.part.number > 0 {
			s.Index = k.files[series{s.Sink, s.Stream}].segments
		}
		k.enter(s, end)
	}
	return maps.Clone(k.until)
}

func (k *kept) enter(s *wire.Segment, end uint64) {
	if k.files == nil {
		k.files, k.until = map[series]filed{}, map[uint16]uint64{}
	}
	f := k.files[series{s.Sink, s.Stream}]
	f.segments = max(f.segments, s.Index+1)
	if s.Tags > 0 {
		if f.tags == 0 {
			f.first = s.FirstPs
		}
		f.last = s.LastPs
	}
	f.tags += s.Tags
	k.files[series{s.Sink, s.Stream}] = f
	k.until[s.Stream] = max(k.until[s.Stream], end)
}

// restore enters what a session before has told.
func (k *kept) restore(h *held) {
	for _, n := range h.news {
		switch {
		case n.Restart != nil:
			k.begun, k.at = k.begun+1, n.Restart.At
		case n.Segment != nil && n.Segment.HoldsTags() && n.Segment.Index >= 0 && n.Segment.Index < math.MaxInt:
			k.enter(n.Segment, n.Segment.LastPs)
		}
	}
	for stream, until := range h.kept {
		if k.until != nil {
			k.until[stream] = max(k.until[stream], until)
		}
	}
	k.count(h.counts)
}

// count enters how far the channels have come.
func (k *kept) count(counts []fact.StreamCounts) {
	k.counts = map[uint16]fact.Counts{}
	for _, c := range counts {
		k.counts[c.Stream] = c.Counts
	}
}

// reached is the time of the run, in ps, that the record has come to.
func (k *kept) reached() (ps uint64) {
	for _, until := range k.until {
		ps = max(ps, until)
	}
	return max(ps, k.at)
}

// next is the part that begins a time after the instant, and what is lost of each of
// some streams between.
func (k *kept) next(begins time.Duration, streams int, why string) (p part, from uint64, lost []fact.StreamLoss) {
	p = part{number: k.begun + 1, begins: begins, base: map[uint16]fact.Counts{}}
	from = math.MaxUint64
	for i := range streams {
		stream := uint16(i)
		var most filed
		for of, f := range k.files {
			if of.stream == stream && f.tags >= most.tags {
				most = f
			}
		}
		c := k.counts[stream]
		gone := c.Tags - min(c.Tags, most.tags) // counted, and in no closed file
		since := max(k.until[stream], k.at)
		p.base[stream] = fact.Counts{Tags: most.tags, Lost: c.Lost + gone, First: most.first, Last: most.last, Until: p.origin()}
		lost = append(lost, fact.StreamLoss{Stream: stream, Loss: fact.Loss{AtPs: since, Tags: gone, LengthPs: p.origin() - min(since, p.origin()), Why: why}})
		from = min(from, since)
	}
	return p, from, lost
}

// begin makes a part the one that is recorded.
func (k *kept) begin() {
	k.begun, k.at = k.part.number, k.part.origin()
	k.counts = k.part.base
}
