package event

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// read returns all that a feed has until its end.
func read(t *testing.T, f *Feed) []Event {
	t.Helper()
	var all []Event
	for {
		events, ok := f.Next(t.Context())
		if !ok {
			return all
		}
		for _, e := range events {
			all = append(all, e.Event)
		}
	}
}

func TestFeedKeepsOrderAndNewestProgress(t *testing.T) {
	h := NewHub()
	f := h.Subscribe()
	h.Observe(StateChanged{State: "running"})
	for i := range 10_000 {
		h.Observe(Progress{Node: "alice", Tags: uint64(i)})
		h.Observe(Transfer{Node: "alice", File: "a", Done: int64(i)})
	}
	h.Observe(StateChanged{State: "draining"})
	h.Observe(Progress{Node: "alice", Tags: 10_000})
	want := []Event{
		StateChanged{State: "running"},
		Transfer{Node: "alice", File: "a", Done: 9999},
		StateChanged{State: "draining"},
		Progress{Node: "alice", Tags: 10_000},
	}
	h.Close()
	if got := read(t, f); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFeedIsBoundedAndSaysWhatItLeftOut(t *testing.T) {
	h := NewHub()
	f := h.Subscribe()
	const losses = 3 * MaxWaiting
	for range losses {
		h.Observe(TagsLost{Node: "bob", Loss: fact.Loss{Tags: 1}})
	}
	for i := range 100 {
		h.Observe(Progress{Node: fmt.Sprint("node", i)})
	}
	h.Observe(StateChanged{State: "done"})
	h.Close()
	got := read(t, f)
	if len(got) != MaxWaiting+2 {
		t.Fatalf("%d events kept", len(got))
	}
	if got[MaxWaiting] != (StateChanged{State: "done"}) {
		t.Errorf("the state was dropped: %v", got[MaxWaiting])
	}
	if w, ok := got[MaxWaiting+1].(Warning); !ok || w.Message != fmt.Sprintf("%d more events came faster than they could be shown", losses-MaxWaiting) {
		t.Errorf("last: %v", got[MaxWaiting+1])
	}
	h.Observe(StateChanged{State: "late"}) // after Close: nothing
	if events, ok := f.Next(t.Context()); ok {
		t.Errorf("a closed feed gave %v", events)
	}
}

func TestFeedWakesItsReader(t *testing.T) {
	h := NewHub()
	f := h.Subscribe()
	const n = 2000
	go func() {
		for i := range n {
			h.Observe(Armed{Node: fmt.Sprint(i)})
		}
		h.Close()
	}()
	count := 0
	for {
		events, ok := f.Next(t.Context())
		if !ok {
			break
		}
		for _, e := range events {
			if e.Event != (Armed{Node: fmt.Sprint(count)}) {
				t.Fatalf("event %d is %v", count, e.Event)
			}
			count++
		}
	}
	if count != n {
		t.Errorf("%d of %d events arrived", count, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := NewHub().Subscribe().Next(ctx); ok {
		t.Error("an empty feed had something after its context ended")
	}
}

// A reader that never reads costs the others nothing, a late one learns what was
// before it, and one that leaves gets no more.
func TestEachReaderHasItsOwnPace(t *testing.T) {
	h := NewHub()
	idle, quick, leaves := h.Subscribe(), h.Subscribe(), h.Subscribe()
	h.Observe(StateChanged{State: "running"})
	if events, ok := leaves.Next(t.Context()); !ok || len(events) != 1 {
		t.Fatalf("got %v, %v", events, ok)
	}
	leaves.Leave()
	leaves.Leave() // once more is nothing
	for i := range 3 * MaxWaiting {
		h.Observe(Progress{Node: "alice", Tags: uint64(i)})
		h.Observe(TagsLost{Node: "bob"})
	}
	first, ok := quick.Next(t.Context())
	if last := first[len(first)-1].Event; !ok || first[0].Event != (StateChanged{State: "running"}) || len(first) != MaxWaiting+1 {
		t.Errorf("%d events, the last %v", len(first), last)
	}
	h.Observe(StateChanged{State: "done"})
	late := h.Subscribe()
	h.Close()
	after := h.Subscribe() // of a run that is over
	if got := read(t, quick); fmt.Sprint(got) != fmt.Sprint([]Event{StateChanged{State: "done"}}) {
		t.Errorf("who has read all but the last gets %v", got)
	}
	all := read(t, idle)
	if len(all) != MaxWaiting+2 || all[0] != (StateChanged{State: "running"}) || all[len(all)-2] != (StateChanged{State: "done"}) {
		t.Errorf("who did not read gets %d events", len(all))
	}
	for who, f := range map[string]*Feed{"who comes late": late, "who comes after the end": after} {
		if got := read(t, f); fmt.Sprint(got) != fmt.Sprint(all) {
			t.Errorf("%s gets %d events of %d", who, len(got), len(all))
		}
	}
	if events, ok := leaves.Next(t.Context()); ok {
		t.Errorf("who left gets %v", events)
	}
}

// What is kept for who never reads is bounded, whatever comes.
func TestBacklogIsBounded(t *testing.T) {
	h := NewHub()
	f := h.Subscribe()
	for i := range 5 * MaxWaiting {
		h.Observe(Progress{Node: fmt.Sprint("node", i%7), Tags: uint64(i)})
		h.Observe(Transfer{File: fmt.Sprint("file", i)})
		h.Observe(Armed{Node: fmt.Sprint(i)})
	}
	if kept := len(f.backlog.waiting); kept > 4*MaxWaiting {
		t.Errorf("%d events are kept", kept)
	}
	h.Close()
	newest := 0
	for _, e := range read(t, f) {
		if p, ok := e.(Progress); ok && p.Tags >= 5*MaxWaiting-7 {
			newest++
		}
	}
	if newest != 7 {
		t.Errorf("the newest progress of %d nodes of 7 is there", newest)
	}
}

func TestEventsAsJSON(t *testing.T) {
	for _, c := range []struct {
		event Event
		want  string
	}{
		{StateChanged{State: "armed"}, `{"event":"state","version":1,"time":"2026-03-01T12:00:00.000000001Z","state":"armed"}`},
		{NodeJoined{Node: "bob", Host: "remote", PID: 7}, `{"event":"joined","version":1,"time":"2026-03-01T12:00:00.000000001Z","node":"bob","host":"remote","pid":7}`},
		{DeviceIdentified{Node: "a", Controller: "tc", Device: fact.Device{Model: "ID900", Simulated: true}},
			`{"event":"device","version":1,"time":"2026-03-01T12:00:00.000000001Z","node":"a","controller":"tc","device":{"model":"ID900","simulated":true}}`},
		{Armed{Node: "a"}, `{"event":"armed","version":1,"time":"2026-03-01T12:00:00.000000001Z","node":"a"}`},
		{Fired{InstantNs: 5, Method: "scheduled"}, `{"event":"fired","version":1,"time":"2026-03-01T12:00:00.000000001Z","instant_ns":5,"method":"scheduled"}`},
		{Progress{Node: "a", Tags: 9, Elapsed: time.Second, Duration: 2 * time.Second},
			`{"event":"progress","version":1,"time":"2026-03-01T12:00:00.000000001Z","node":"a","tags":9,"elapsed_ns":1000000000,"duration_ns":2000000000}`},
		{Transfer{Node: "a", File: "f", Phase: "checking", Done: 1, Size: 2}, `{"event":"transfer","version":1,"time":"2026-03-01T12:00:00.000000001Z","node":"a","file":"f","phase":"checking","done":1,"size":2}`},
		{FileVerified{Node: "a", File: "f", Size: 2}, `{"event":"verified","version":1,"time":"2026-03-01T12:00:00.000000001Z","node":"a","file":"f","size":2}`},
		{TagsLost{Node: "a", Channel: "c", Loss: fact.Loss{AtPs: 1 << 63, Tags: 2, Why: "w"}},
			`{"event":"loss","version":1,"time":"2026-03-01T12:00:00.000000001Z","node":"a","channel":"c","at_ps":9223372036854775808,"at_ps_text":"9223372036854775808","tags":2,"why":"w"}`},
		{Warning{Message: "m"}, `{"event":"warning","version":1,"time":"2026-03-01T12:00:00.000000001Z","message":"m"}`},
		{StageDone{Result: run.Result{Stage: "g2", Kind: "histogram", Files: []string{"results/g2.csv"}}},
			`{"event":"stage","version":1,"time":"2026-03-01T12:00:00.000000001Z","result":{"stage":"g2","kind":"histogram","files":["results/g2.csv"]}}`},
		{Problem{Message: "m", Hint: "h"}, `{"event":"error","version":1,"time":"2026-03-01T12:00:00.000000001Z","message":"m","hint":"h"}`},
		{Finished{Directory: "d"}, `{"event":"summary","version":1,"time":"2026-03-01T12:00:00.000000001Z","directory":"d","manifest":null}`},
	} {
		got, err := json.Marshal(Stamped{Time: runtest.Noon.Add(1).In(time.FixedZone("x", 3600)), Event: c.event})
		if err != nil || string(got) != c.want {
			t.Errorf("%T:\n got %s (%v)\nwant %s", c.event, got, err, c.want)
		}
	}
}
