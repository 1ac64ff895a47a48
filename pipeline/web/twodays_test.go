package web

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"testing"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/track"
)

// hour gives a board what happens in an hour of a run, in every second of it: all kinds
// of events that a long run repeats.
func (b *board) hour(h int) {
	var deviations []track.AllanPoint
	for k := range 26 { // as many times as two days have
		deviations = append(deviations, track.AllanPoint{Tau: math.Ldexp(0.01, k), Deviation: 1e-9 / float64(h+1), SD: 1e-11, Time: 5, TimeSD: 1})
	}
	for i := range 3600 {
		s := h*3600 + i
		tags := uint64(s) * 1000
		pairs := event.Pairs{Stage: "align", Reference: "alice.signal", Target: "bob.idler", Segment: s, AtPs: uint64(s) * 1e12, StartPs: -100, BinPs: 1,
			Counts: make([]uint64, 200), Newest: make([]uint64, 200), Raw: make([]uint64, 200), Last: correlate.NewPairSum(), Total: correlate.NewPairSum()}
		clock := syncOf("bob.idler", int64(s))
		clock.Segment = new(s)
		clock.Allan = deviations
		file := fmt.Sprint("raw/bob/idler-", s)
		b.tell(s, progress("alice", tags+uint64(s%7), uint64(s)), progress("bob", tags, uint64(s)), clock, pairs,
			event.Transfer{Node: "bob", File: file, Done: 1, Size: 2}, event.FileVerified{Node: "bob", File: file, Size: 2},
			event.TagsLost{Node: "bob", Channel: "idler", Loss: fact.Loss{Tags: 1, Why: "full"}}, event.Warning{Message: fmt.Sprint("warning ", s)})
	}
}

// inUse is what the memory holds that anybody still needs.
func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Two days of a run take no more memory than some hours, and what a page is told at its
// begin is no longer.
func TestTwoDaysOfEvents(t *testing.T) {
	b := newBoard(runtest.TwoNodes())
	var early, told int
	var before uint64
	for h := range 48 {
		b.hour(h)
		if h != 5 && h != 47 {
			continue
		}
		v, err := b.look(at(h * 3600))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(v.since(nil))
		if err != nil {
			t.Fatal(err)
		}
		if h == 5 {
			early, before = len(text), inUse()
			continue
		}
		told = len(text)
	}
	if after := inUse(); after > before+1<<20 {
		t.Errorf("after 6 hours it holds %d bytes, after 48 %d", before, after)
	}
	if told > early+early/2 || told > 1<<20 {
		t.Errorf("a page is told %d bytes after 6 hours, %d after 48", early, told)
	}
	t.Logf("a page is told %d bytes after 6 hours, %d after 48", early, told)
	runtime.KeepAlive(b)
}
