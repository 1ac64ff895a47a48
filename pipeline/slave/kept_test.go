package slave

import (
	"testing"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/wire"
	"tsrun/sdk/quantity"
)

// TestKept: another part of a record begins behind what is in closed files, and what was
// counted and is in none is lost, once.
func TestKept(t *testing.T) {
	const s = 1_000_000_000_000
	counts := func(tags, lost, until uint64) []fact.StreamCounts {
		return []fact.StreamCounts{{Stream: 0, Counts: fact.Counts{Tags: tags, Lost: lost, First: 5, Last: until - 1, Until: until}}, {Stream: 1}}
	}
	segment := func(index int, tags uint64) *wire.Segment {
		return &wire.Segment{Stream: 0, Segment: fact.Segment{Sink: "raw", Index: index, Tags: tags, FirstPs: 5, LastPs: uint64(index)*s + 7}}
	}
	var k kept
	k.add(segment(0, 10), quantity.Second, counts(12, 0, s+5))
	k.add(segment(1, 10), quantity.Second, counts(25, 1, 2*s+s/2))
	k.count(counts(25, 1, 2*s+s/2))
	p, from, lost := k.next(4*time.Second, 2, "why")
	if p.number != 1 || p.origin() != 4*s || p.before(quantity.Second) != 4 || from != 0 {
		t.Errorf("part %+v from %d", p, from)
	}
	if l := lost[0]; l.AtPs != 2*s || l.Tags != 5 || l.LengthPs != 2*s || lost[1].AtPs != 0 || lost[1].LengthPs != 4*s {
		t.Errorf("lost %+v", lost)
	}
	if c := p.added(fact.StreamCounts{Stream: 0, Counts: fact.Counts{Tags: 3, Lost: 2, First: 4 * s, Last: 5 * s, Until: 5 * s}}); c.Tags != 23 || c.Lost != 8 || c.First != 5 || c.Last != 5*s {
		t.Errorf("counts %+v", c)
	}
	k.part = p
	k.begin()
	if again, _, lost := k.next(5*time.Second, 2, "why"); lost[0].Tags != 0 || lost[0].AtPs != 4*s || lost[0].LengthPs != s || again.base[0].Lost != 6 {
		t.Errorf("of a part that closed no file %+v is lost, base %+v", lost, again.base)
	}
	told := segment(4, 2) // as its sink counts
	if until := k.add(told, quantity.Second, counts(22, 6, 4*s+s/4)); told.Index != 2 || until[0] != 4*s+s/4 {
		t.Errorf("index %d, until %v", told.Index, until)
	}
	h := &held{counts: counts(25, 1, 2*s), kept: map[uint16]uint64{0: 2 * s}, news: []wire.News{{Segment: segment(0, 10)}, {Segment: segment(1, 10)}, {Restart: &fact.Restart{At: 3 * s}}}}
	var restored kept
	restored.restore(h)
	if p, _, lost := restored.next(6*time.Second, 1, "why"); p.number != 2 || lost[0].AtPs != 3*s || lost[0].Tags != 5 || restored.reached() != 3*s {
		t.Errorf("restored: part %+v, lost %+v", p, lost)
	}
}
