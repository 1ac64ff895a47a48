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

func drain(t *testing.T, f *Feed) []Event {
	t.Helper()
	f.Close()
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
	f := NewFeed()
	f.Observe(StateChanged{State: "running"})
	for i := range 10_000 {
		f.Observe(Progress{Node: "alice", Tags: uint64(i)})
		f.Observe(Transfer{Node: "alice", File: "a", Done: int64(i)})
	}
	f.Observe(StateChanged{State: "draining"})
	f.Observe(Progress{Node: "alice", Tags: 10_000})
	want := []Event{
		StateChanged{State: "running"},
		Transfer{Node: "alice", File: "a", Done: 9999},
		StateChanged{State: "draining"},
		Progress{Node: "alice", Tags: 10_000},
	}
	if got := drain(t, f); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFeedIsBoundedAndSaysWhatItLeftOut(t *testing.T) {
	f := NewFeed()
	const losses = 3 * MaxWaiting
	for range losses {
		f.Observe(TagsLost{Node: "bob", Loss: fact.Loss{Tags: 1}})
	}
	for i := range 100 {
		f.Observe(Progress{Node: fmt.Sprint("node", i)})
	}
	f.Observe(StateChanged{State: "done"})
	got := drain(t, f)
	if len(got) != MaxWaiting+2 {
		t.Fatalf("%d events kept", len(got))
	}
	if got[MaxWaiting] != (StateChanged{State: "done"}) {
		t.Errorf("the state was dropped: %v", got[MaxWaiting])
	}
	if w, ok := got[MaxWaiting+1].(Warning); !ok || w.Message != fmt.Sprintf("%d more events came faster than they could be shown", losses-MaxWaiting) {
		t.Errorf("last: %v", got[MaxWaiting+1])
	}
	f.Observe(StateChanged{State: "late"}) // after Close: nothing
	if events, ok := f.Next(t.Context()); ok {
		t.Errorf("a closed feed gave %v", events)
	}
}

func TestFeedWakesItsReader(t *testing.T) {
	f := NewFeed()
	const n = 2000
	go func() {
		for i := range n {
			f.Observe(Armed{Node: fmt.Sprint(i)})
		}
		f.Close()
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
	if _, ok := NewFeed().Next(ctx); ok {
		t.Error("an empty feed had something after its context ended")
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
		{Transfer{Node: "a", File: "f", Done: 1, Size: 2}, `{"event":"transfer","version":1,"time":"2026-03-01T12:00:00.000000001Z","node":"a","file":"f","done":1,"size":2}`},
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
