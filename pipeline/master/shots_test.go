package master

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// shotsTaken plays a run up to the end of a shot.
func shotsTaken(t *testing.T, planned, taken int) *story {
	t.Helper()
	r := testRules
	r.shots = planned
	s := newStory(r, "alice", "bob").happens(evJoined{"alice"}, evJoined{"bob"}).all(wire.Ready)
	for shot := range taken {
		s.all(wire.Armed).all(wire.Armed).all(wire.Running).all(wire.Draining)
		if s.state.phase != draining {
			t.Fatalf("shot %d: phase %s, want draining", s.state.shot, s.state.phase)
		}
		if shot+1 < taken {
			s.all(wire.Ready)
		}
	}
	return s
}

func TestShotsFollowEachOther(t *testing.T) {
	s := shotsTaken(t, 3, 3).all(wire.Transferring).all(wire.Done).happens(evAnalysed{})
	want := []string{
		"deadline 10s",
		"order 1 arm", "deadline 1m0s", "order 2 fire", "deadline 300ms", "deadline 1m16.4s", "deadline 1m15s",
		"order 3 arm", "deadline 1m0s", "order 4 fire", "deadline 300ms", "deadline 1m16.4s", "deadline 1m15s",
		"order 5 arm", "deadline 1m0s", "order 6 fire", "deadline 300ms", "deadline 1m16.4s", "deadline 1m15s",
		"deadline 10m0s", "deadline 0s", "analyse", "order 7 release",
	}
	if diff := cmp.Diff(want, s.effects); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
	if s.state.phase != done || len(s.state.troubles) != 0 {
		t.Errorf("phase %s, troubles %v", s.state.phase, s.state.troubles)
	}
}

// A shot that is not whole at every node is the last one: the nodes are told to end,
// once, and what was recorded is kept.
func TestLastShot(t *testing.T) {
	broken := sdk.Failure{Code: "plugin-died", Message: "x"}
	nextShot := func(s *story) { s.all(wire.Ready) }
	for name, c := range map[string]struct {
		play func(*story)
		kind troubleKind
	}{
		"a node ends its part": {func(s *story) {
			s.happens(evFailed{"bob", broken}, evReported{"alice", wire.Ready, s.state.orders, 0}, evReported{"bob", wire.Transferring, s.state.orders, 0})
		}, missing},
		"a node is lost":             {func(s *story) { s.happens(evGone{"bob", broken}, evReported{"alice", wire.Ready, s.state.orders, 0}) }, missing},
		"a node cannot be armed":     {func(s *story) { nextShot(s); s.happens(evFailed{"bob", broken}) }, missing},
		"a node is lost while armed": {func(s *story) { nextShot(s); s.all(wire.Armed).happens(evGone{"bob", broken}) }, missing},
		"a node is not armed in time": {func(s *story) {
			nextShot(s)
			s.happens(evReported{"alice", wire.Armed, s.state.orders, 0}, evOverdue{})
		}, missing},
		"the start is not acknowledged":    {func(s *story) { nextShot(s); s.all(wire.Armed).happens(evOverdue{}) }, missing},
		"the user interrupts an armed one": {func(s *story) { nextShot(s); s.happens(evInterrupted{}) }, stopped},
		"the user interrupts a gap":        {func(s *story) { s.happens(evInterrupted{}) }, stopped},
		"the disk fills in a gap":          {func(s *story) { s.happens(evDiskLow{broken}) }, missing},
		"a node is stopped by its user": {func(s *story) {
			s.happens(evStopped{"bob"})
			s.happens(evReported{"alice", wire.Ready, s.state.orders, 0}, evReported{"bob", wire.Transferring, s.state.orders, 0})
		}, stopped},
	} {
		s := shotsTaken(t, 5, 1)
		c.play(s)
		s.all(wire.Transferring).all(wire.Done).happens(evAnalysed{})
		stops := 0
		for _, e := range s.effects {
			if strings.HasSuffix(e, " stop") {
				stops++
			}
		}
		if s.state.phase != done || stops != 1 {
			t.Errorf("%s: phase %s after %d orders to stop: %q", name, s.state.phase, stops, s.effects)
		}
		if !slices.ContainsFunc(s.state.troubles, func(t trouble) bool { return t.kind == c.kind }) {
			t.Errorf("%s: troubles %v, want %s", name, s.state.troubles, c.kind)
		}
	}
}
