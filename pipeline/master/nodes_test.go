package master

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
)

// allPhases are those in which nodes are waited for.
var allPhases = []phase{joining, arming, armed, running, draining, transferring}

// A node that is away is waited for in every phase but before the instant, is taken
// back in every one, and lost in every one when its time is over.
func TestAwayIsNotGone(t *testing.T) {
	strict := testRules
	strict.abortOnAbsent = true
	for _, p := range allPhases {
		for _, r := range []rules{testRules, strict} {
			t.Run(fmt.Sprintf("%s, strict: %v", p, r.abortOnAbsent), func(t *testing.T) {
				away := upTo(t, p, r)
				before := len(away.effects)
				away.happens(evSilent{"bob", quiet})
				if s := away.state; s.phase != p || !s.nodes["bob"].away || s.nodes["bob"].gone || len(s.troubles) > 0 || len(away.effects) != before {
					t.Fatalf("away: %s, bob %+v, troubles %v, effects %v", s.phase, s.nodes["bob"], s.troubles, away.effects[before:])
				}
				back := &story{state: away.state}
				back.happens(evHeard{"bob"}, evHeard{"bob"})
				if s := back.state; s.phase != p || s.nodes["bob"].away || len(s.troubles) > 0 {
					t.Errorf("back: %s, bob %+v, troubles %v", s.phase, s.nodes["bob"], s.troubles)
				}
				if renewed := slices.Contains([]phase{arming, draining, transferring}, p); len(back.effects) > 1 || renewed != (len(back.effects) == 1) {
					t.Errorf("back: deadlines %v, renewed is %v", back.effects, renewed)
				}
				gone := &story{state: away.state}
				gone.happens(evSilent{"bob", lost})
				if s := gone.state; p.started() && (!s.nodes["bob"].gone || s.nodes["bob"].away) || !p.started() && s.phase != failed {
					t.Errorf("lost: %s, bob %+v", s.phase, s.nodes["bob"])
				}
				if s := gone.state; !strings.Contains(s.troubles[0].failure.Message, "nothing heard for 11m0s") {
					t.Errorf("lost: troubles %v", s.troubles)
				}
				if stopped := lastOrder(gone.effects) == "stop"; stopped != (r.abortOnAbsent && p == running) {
					t.Errorf("lost: the others were stopped: %v", stopped)
				}
			})
		}
	}
}

// While only nodes that are away hold the run up, its deadlines do not count, but for
// those of joining and of the instant.
func TestDeadlinesWaitForNodesThatAreAway(t *testing.T) {
	for p, want := range map[phase]struct {
		phase   phase
		effects []string
	}{
		joining:      {failed, []string{"order 1 abort"}},
		arming:       {arming, []string{"deadline 1m0s"}},
		armed:        {failed, []string{"order 3 abort"}},
		running:      {running, []string{"deadline 1m15s"}},
		draining:     {draining, []string{"deadline 1m15s"}},
		transferring: {transferring, []string{"deadline 10m0s"}},
	} {
		far := map[phase]wire.Phase{joining: wire.Ready, arming: wire.Armed, armed: wire.Running, running: wire.Transferring, draining: wire.Transferring, transferring: wire.Done}[p]
		s := upTo(t, p, testRules)
		s.happens(evReported{"alice", far, s.state.orders, 0}, evSilent{"bob", quiet})
		s.effects = nil
		s.happens(evOverdue{})
		if s.state.phase != want.phase {
			t.Errorf("%s: then %s, want %s", p, s.state.phase, want.phase)
		}
		if diff := cmp.Diff(want.effects, s.effects); diff != "" {
			t.Errorf("%s: effects (-want +got):\n%s", p, diff)
		}
		if s.state.phase != p {
			continue
		}
		s.effects = nil
		if s.happens(evHeard{"bob"}); len(s.effects) != 1 {
			t.Errorf("%s: back after the deadline, and no time for what it has missed: %v", p, s.effects)
		}
		if s.happens(evOverdue{}); s.state.phase == p {
			t.Errorf("%s: a node that is heard and never comes farther is waited for without end", p)
		}
	}
}

// Who holds the run up and is heard, is late; who is away is waited for all the same.
func TestLateAndAway(t *testing.T) {
	s := newStory(testRules, "alice", "bob", "carol").happens(evJoined{"alice"}, evJoined{"bob"}, evJoined{"carol"})
	for _, p := range []wire.Phase{wire.Ready, wire.Armed, wire.Running, wire.Transferring} {
		for _, name := range []string{"alice", "bob", "carol"} {
			s.happens(evReported{name, p, s.state.orders, 0})
		}
	}
	s.happens(evReported{"alice", wire.Done, 2, 0}, evSilent{"bob", quiet}, evOverdue{})
	if n := s.state.nodes; !n["carol"].gone || n["bob"].gone || s.state.phase != transferring {
		t.Fatalf("%s: %+v", s.state.phase, n)
	}
	s.happens(evHeard{"bob"}, evReported{"bob", wire.Done, 2, 0})
	if s.state.phase != analysing {
		t.Errorf("bob is back and done: %s", s.state.phase)
	}
}

// A user who has waited enough goes on without the nodes that are away.
func TestUserDoesNotWaitForNodesThatAreAway(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   phase
		others wire.Phase
		events []any
		phase  phase
		says   string // the last effect
		kinds  []troubleKind
	}{
		{"once", transferring, wire.Done, []any{evInterrupted{}}, transferring, "warn the recording is over; it is waited for bob, of which nothing is heard", nil},
		{"twice", transferring, wire.Done, []any{evInterrupted{}, evInterrupted{}}, analysing, "analyse", []troubleKind{missing}},
		{"three times", transferring, wire.Done, []any{evInterrupted{}, evInterrupted{}, evInterrupted{}}, aborted, "order 3 abort", []troubleKind{missing, canceled}},
		{"when the others have recorded", running, wire.Done, []any{evInterrupted{}, evInterrupted{}}, analysing, "analyse", []troubleKind{missing}},
		{"while the others record", running, wire.Running, []any{evInterrupted{}}, draining, "deadline 1m15s", []troubleKind{stopped}},
		{"while the others send", transferring, wire.Transferring, []any{evInterrupted{}, evInterrupted{}}, aborted, "order 3 abort", []troubleKind{canceled}},
		{"before the start", arming, wire.Armed, []any{evInterrupted{}}, aborted, "order 2 abort", []troubleKind{canceled}},
	} {
		s := upTo(t, c.from, testRules)
		s.happens(evReported{"alice", c.others, s.state.orders, 0}, evSilent{"bob", quiet})
		s.happens(c.events...)
		var kinds []troubleKind
		for _, trouble := range s.state.troubles {
			kinds = append(kinds, trouble.kind)
		}
		if last := s.effects[len(s.effects)-1]; s.state.phase != c.phase || last != c.says || !slices.Equal(kinds, c.kinds) {
			t.Errorf("%s: %s, %q, %v, want %s, %q, %v", c.name, s.state.phase, last, kinds, c.phase, c.says, c.kinds)
		}
	}
}

// A lead that a node's answer cannot keep is refused before the instant, with one that it can.
func TestLeadIsLongEnoughForTheWay(t *testing.T) {
	for _, c := range []struct {
		lead, trip time.Duration
		phase      phase
		hint       string
	}{
		{500 * time.Millisecond, 0, armed, ""},
		{500 * time.Millisecond, 374 * time.Millisecond, armed, ""},
		{500 * time.Millisecond, 400 * time.Millisecond, failed, "write a trigger.lead of 1.6s or more; the longest is 1m0s"},
		{500 * time.Millisecond, maxTrip, failed, "write a trigger.lead of 4m0s or more; the longest is 1m0s"},
		{8 * time.Second, 2010 * time.Millisecond, armed, ""},
	} {
		r := testRules
		r.lead = c.lead
		s := upTo(t, arming, r).happens(evReported{"alice", wire.Armed, 1, 0}, evReported{"bob", wire.Armed, 1, c.trip})
		if s.state.phase != c.phase {
			t.Errorf("lead %v, %v away: %s, want %s", c.lead, c.trip, s.state.phase, c.phase)
		}
		if c.hint != "" && (s.state.troubles[0].node != "bob" || s.state.troubles[0].failure.Hint != c.hint) {
			t.Errorf("lead %v, %v away: %+v", c.lead, c.trip, s.state.troubles)
		}
	}
	r := testRules
	r.lead = time.Second
	s := upTo(t, arming, r).happens(evReported{"alice", wire.Armed, 1, 0}, evReported{"bob", wire.Armed, 1, 700 * time.Millisecond}, evOverdue{})
	if hint := s.state.troubles[0].failure.Hint; !strings.Contains(hint, "an answer takes 700ms, for which a lead of 2.8s is enough") {
		t.Errorf("not acknowledged: %q", hint)
	}
}

// The instant is at least twenty of the longest round trips ahead, and the deadline of
// its acknowledgement goes with it.
func TestInstantIsFarEnoughAhead(t *testing.T) {
	for _, c := range []struct{ lead, trip, want time.Duration }{
		{100 * time.Millisecond, 0, 100 * time.Millisecond},
		{100 * time.Millisecond, 5 * time.Millisecond, 100 * time.Millisecond},
		{100 * time.Millisecond, 50 * time.Millisecond, time.Second},
		{time.Minute, 30 * time.Second, time.Minute},
	} {
		r := testRules
		r.lead = c.lead
		s := upTo(t, arming, r).happens(evReported{"alice", wire.Armed, 1, time.Millisecond}, evReported{"bob", wire.Armed, 1, c.trip})
		deadline := fmt.Sprintf("deadline %v", c.want-ackGuard(c.want))
		if c.trip < c.lead-ackGuard(c.lead) && (s.state.phase != armed || s.state.lead != c.want || s.effects[len(s.effects)-1] != deadline) {
			t.Errorf("lead %v, %v away: %s, %v ahead, want %v", c.lead, c.trip, s.state.phase, s.state.lead, c.want)
		}
	}
}

// A start is called off only while an order still comes in time, however short the lead.
func TestAStartIsNotCalledOffTooLate(t *testing.T) {
	for _, lead := range []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, time.Minute} {
		c := &conductor{members: map[string]*member{"bob": {trip: time.Millisecond}}, book: &book{manifest: &run.Manifest{}, recipe: &recipe.Recipe{}}}
		c.state.phase = armed
		guard := ackGuard(lead)
		c.book.instant(time.Now().Add(guard).UnixNano(), lead) // the deadline has just passed
		if left, listens := c.untilRecall(), c.patience(); left < guard/3 || left > guard || listens > left || listens < 0 || listens > patience {
			t.Errorf("lead %v: %v to call it off, listens for %v", lead, left, listens)
		}
		c.book.manifest.Trigger.InstantNs = time.Now().Add(time.Millisecond).UnixNano()
		if left, listens := c.untilRecall(), c.patience(); left > 0 || listens != 0 {
			t.Errorf("lead %v, 1 ms before the instant: %v to call it off, listens for %v", lead, left, listens)
		}
	}
}

// seen keeps what a conductor shows.
type seen struct{ events []event.Event }

func (s *seen) Observe(e event.Event) { s.events = append(s.events, e) }

// The conductor tells of a node that is away, once, and of its return; a pause of its
// own is nobody's silence, and moves its deadline.
func TestSilenceIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shown := &seen{}
		c := newConductor(Options{Recipe: parsedJoinRecipe(t), Observer: shown})
		c.state, _ = newState(c.names(), c.rules())
		defer c.deadline.Stop()
		ctx := context.Background()
		for _, name := range c.names() {
			c.members[name] = &member{heard: time.Now()}
			c.applyEvent(ctx, evJoined{name})
		}
		c.setDeadline(time.Minute)
		due := c.due
		watch := func(d time.Duration, heard ...string) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(watchEvery) {
				for _, name := range heard {
					c.hear(ctx, name, c.members[name])
				}
				c.findSilentNodes(ctx, time.Now())
			}
		}
		told := func(want string) {
			t.Helper()
			var got []string
			for _, e := range shown.events {
				switch e := e.(type) {
				case event.Away:
					got = append(got, fmt.Sprintf("%s away %v", e.Node, e.Silent.Round(time.Second)))
				case event.Back:
					got = append(got, fmt.Sprintf("%s back %v", e.Node, e.Silent.Round(time.Second)))
				}
			}
			shown.events = nil
			if strings.Join(got, ", ") != want {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		watch(4*time.Second, "alice")
		told("")
		time.Sleep(time.Hour) // this process is stopped
		watch(500 * time.Millisecond)
		told("")
		if c.state.phase != joining || c.due.Sub(due) < time.Hour || c.due.Sub(due) > time.Hour+time.Second {
			t.Errorf("%s, the deadline was moved by %v", c.state.phase, c.due.Sub(due))
		}
		watch(5*time.Second, "alice")
		told("bob away 5s")
		watch(5*time.Second, "alice")
		told("")
		watch(time.Second, "alice", "bob")
		told("bob back 14s")
	})
}
