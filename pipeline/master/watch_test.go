package master

import (
	"slices"
	"testing"

	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// A bench is watched until somebody wants it recorded, and is then a run like others.
func TestWatchedBench(t *testing.T) {
	r := testRules
	r.watch = true
	ready := func() *story {
		s := newStory(r, "alice", "bob").happens(evJoined{"alice"}, evRecord{}, evJoined{"bob"}) // too early: it counts for nothing
		return s.all(wire.Ready)
	}
	if s := ready(); s.state.phase != watching || s.state.orders != 0 || s.state.started() {
		t.Fatalf("all are ready: %s with %d orders", s.state.phase, s.state.orders)
	}
	s := ready().happens(evOverdue{}, evTagsLost{"alice"}, evProgress{}, evRecord{}, evRecord{})
	if s.state.phase != arming || s.state.orders != 1 {
		t.Errorf("recorded: %s with %d orders", s.state.phase, s.state.orders)
	}
	if s.all(wire.Armed).all(wire.Armed).all(wire.Running); s.state.phase != running || len(s.state.troubles) > 0 {
		t.Errorf("it goes on: %s, %v", s.state.phase, s.state.troubles)
	}
	if s := ready().happens(evInterrupted{}); s.state.phase != done || len(s.state.troubles) > 0 || !slices.Contains(s.effects, "order 1 abort") {
		t.Errorf("ended by the user: %s, %v, %v", s.state.phase, s.state.troubles, s.effects)
	}
	if s := ready().happens(evFailed{"bob", sdk.Failure{Code: "device-gone"}}); s.state.phase != failed || len(s.state.troubles) != 1 {
		t.Errorf("a device failed: %s, %v", s.state.phase, s.state.troubles)
	}
	s = ready().happens(evJoined{"bob"}, evRecord{})
	if s.state.phase != joining || !slices.Contains(s.effects, "deadline "+r.join.String()) {
		t.Errorf("bob was started anew: %s, %v", s.state.phase, s.effects)
	}
	if s.all(wire.Ready).happens(evRecord{}); s.state.phase != arming || len(s.state.troubles) > 0 {
		t.Errorf("and then recorded: %s, %v", s.state.phase, s.state.troubles)
	}
	r.leaves = true
	if s := ready().happens(evRecord{}, evRecord{}, evInterrupted{}); s.state.phase != done || len(s.state.troubles) > 0 || s.state.orders != 1 {
		t.Errorf("left to be recorded by others: %s, %v, %d orders", s.state.phase, s.state.troubles, s.state.orders)
	}
	if s := upTo(t, running, testRules).happens(evRecord{}); s.state.phase != running {
		t.Errorf("a run that is not watched: %s", s.state.phase)
	}
}

func TestPhasesOfAWatchedBench(t *testing.T) {
	for _, c := range []struct {
		before, after phase
		want          []phase
	}{
		{joining, watching, []phase{watching}},
		{watching, arming, []phase{arming}},
		{watching, done, []phase{done}},
		{watching, failed, []phase{failed}},
		{joining, armed, []phase{arming, armed}},
	} {
		if got := c.after.since(c.before); !slices.Equal(got, c.want) {
			t.Errorf("from %s to %s: %v", c.before, c.after, got)
		}
	}
}
