package master

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

var testRules = rules{lead: 400 * time.Millisecond, duration: time.Second, join: 10 * time.Second, patience: 10 * time.Minute, trigger: 5557}

const (
	quiet = wire.AwayAfter // of a node that is away
	lost  = 11 * time.Minute
)

// story plays events against the state machine and notes what it did.
type story struct {
	state   state
	effects []string
}

func newStory(r rules, names ...string) *story {
	s := &story{}
	var effects []any
	s.state, effects = newState(names, r)
	s.note(effects)
	return s
}

func (s *story) note(effects []any) {
	for _, e := range effects {
		switch e := e.(type) {
		case doOrder:
			s.effects = append(s.effects, fmt.Sprintf("order %d %v", e.seq, e.kind))
		case doDeadline:
			s.effects = append(s.effects, fmt.Sprintf("deadline %v", e.after))
		case doAnalyse:
			s.effects = append(s.effects, "analyse")
		case doWarn:
			s.effects = append(s.effects, "warn "+e.message)
		}
	}
}

func (s *story) happens(events ...any) *story {
	for _, e := range events {
		var effects []any
		s.state, effects = next(s.state, e)
		s.note(effects)
	}
	return s
}

// all makes every node report a phase with the last order carried out.
func (s *story) all(p wire.Phase) *story {
	for _, name := range []string{"alice", "bob"} {
		s.happens(evReported{name, p, s.state.orders, 0})
	}
	return s
}

// upTo plays a good run as far as a phase.
func upTo(t *testing.T, p phase, r rules) *story {
	t.Helper()
	s := newStory(r, "alice", "bob").happens(evJoined{"alice"}, evJoined{"bob"})
	steps := []struct {
		phase phase
		play  func()
	}{
		{joining, func() {}},
		{arming, func() { s.all(wire.Ready) }},
		{armed, func() { s.all(wire.Armed) }},
		{running, func() { s.all(wire.Armed); s.all(wire.Running) }},
		{draining, func() { s.all(wire.Draining) }},
		{transferring, func() { s.all(wire.Transferring) }},
		{analysing, func() { s.all(wire.Done) }},
		{done, func() { s.happens(evAnalysed{}) }},
	}
	for _, step := range steps {
		step.play()
		if s.state.phase != step.phase {
			t.Fatalf("phase %s, want %s", s.state.phase, step.phase)
		}
		if step.phase == p {
			break
		}
	}
	return s
}

func TestGoodRun(t *testing.T) {
	s := upTo(t, done, testRules)
	want := []string{
		"deadline 10s",
		"order 1 arm", "deadline 1m0s",
		"order 2 fire", "deadline 300ms",
		"deadline 1m16.4s",
		"deadline 1m15s",
		"deadline 10m0s",
		"deadline 0s", "analyse",
		"order 3 release",
	}
	if diff := cmp.Diff(want, s.effects); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
	if len(s.state.troubles) != 0 {
		t.Errorf("troubles in a good run: %v", s.state.troubles)
	}
}

func TestNobodyArmsBeforeAllAreReady(t *testing.T) {
	s := upTo(t, joining, testRules).happens(evReported{"alice", wire.Ready, 0, 0}, evReported{"alice", wire.Armed, 0, 0})
	if s.state.phase != joining || s.state.orders != 0 {
		t.Errorf("phase %s after %d orders with bob absent", s.state.phase, s.state.orders)
	}
}

func TestTroubles(t *testing.T) {
	broken := sdk.Failure{Code: "plugin-crashed", Message: "driver died", Hint: "look"}
	strict := testRules
	strict.abortOnAbsent, strict.abortOnLoss = true, true
	waits := testRules
	waits.waits = true
	tests := []struct {
		name      string
		rules     rules
		from      phase
		events    []any
		phase     phase
		lastOrder string
		trouble   troubleKind
		says      string
	}{
		{"absent node", testRules, joining, []any{evOverdue{}}, failed, "abort", refusal, "still"},
		{"ready but for the trigger port", testRules, joining, []any{evReported{"alice", wire.Ready, 0, 0}, evDeaf{"bob"}, evOverdue{}}, failed, "abort", refusal, "is ready, but hears nothing from the trigger port of this PC, 5557"},
		{"heard after all", testRules, joining, []any{evDeaf{"bob"}, evReported{"bob", wire.Ready, 0, 0}, evReported{"bob", wire.Preparing, 0, 0}, evOverdue{}}, failed, "abort", refusal, "the same holds for bob"},
		{"device refuses", testRules, joining, []any{evFailed{"bob", broken}}, failed, "abort", refusal, "driver died"},
		{"arming takes too long", testRules, arming, []any{evOverdue{}}, failed, "abort", refusal, "the same holds for bob"},
		{"trigger not acknowledged", testRules, armed, []any{evReported{"alice", wire.Running, 2, 0}, evOverdue{}}, failed, "abort", refusal, "not acknowledged in time, so"},
		{"node dies before the instant", testRules, armed, []any{evSilent{"bob", lost}}, failed, "abort", refusal, "nothing heard for 11m0s"},
		{"driver dies while recording", testRules, running, []any{evFailed{"bob", broken}}, running, "fire", missing, "driver died"},
		{"the same, strict", strict, running, []any{evFailed{"bob", broken}}, draining, "stop", policy, "faults.lost_node is abort"},
		{"a node's user stops it before all have the instant", testRules, armed, []any{evStopped{"bob"}}, armed, "fire", stopped, "ended by its user there"},
		{"and before there is one", testRules, arming, []any{evStopped{"bob"}}, arming, "arm", "", ""},
		{"a node's user stops it", testRules, running, []any{evStopped{"bob"}}, running, "fire", stopped, "ended by its user there"},
		{"the same, strict", strict, running, []any{evStopped{"bob"}}, draining, "stop", policy, "faults.lost_node is abort"},
		{"acknowledged late, but before anyone looked", testRules, armed, []any{evReported{"alice", wire.Running, 2, 0}, evOverdue{fired: true}}, running, "fire", "", ""},
		{"files arrive slowly", testRules, transferring, []any{evProgress{}}, transferring, "fire", "", ""},
		{"node lost while recording", testRules, running, []any{evSilent{"bob", lost}}, running, "fire", missing, "nothing heard"},
		{"the same, waited for", waits, running, []any{evSilent{"bob", lost}}, running, "fire", "", ""},
		{"the same, before the start", waits, arming, []any{evSilent{"bob", lost}}, failed, "abort", refusal, "nothing heard"},
		{"waited for, and the user is not", waits, transferring, []any{evReported{"alice", wire.Done, 2, 0}, evSilent{"bob", lost}, evInterrupted{}, evInterrupted{}}, analysing, "fire", missing, "did not wait"},
		{"its process ends while recording", testRules, running, []any{evGone{"bob", broken}, evSilent{"bob", lost}}, running, "fire", missing, "driver died"},
		{"its process ends before the start", testRules, arming, []any{evGone{"bob", broken}}, failed, "abort", refusal, "driver died"},
		{"the same, strict", strict, running, []any{evSilent{"bob", lost}}, draining, "stop", policy, "faults.lost_node is abort"},
		{"tags lost, strict", strict, running, []any{evTagsLost{"bob"}}, draining, "stop", policy, "faults.lost_tags is abort"},
		{"disk nearly full", testRules, running, []any{evDiskLow{sdk.Failure{Message: "the disk is nearly full"}}}, draining, "stop", missing, "nearly full"},
		{"disk nearly full, recorded", testRules, transferring, []any{evDiskLow{}}, transferring, "fire", "", ""},
		{"tags lost", testRules, running, []any{evTagsLost{"bob"}}, running, "fire", "", ""},
		{"first Ctrl-C", testRules, running, []any{evInterrupted{}}, draining, "stop", stopped, "stopped by the user"},
		{"second Ctrl-C", testRules, running, []any{evInterrupted{}, evInterrupted{}}, aborted, "abort", canceled, "aborted"},
		{"Ctrl-C before the start", testRules, arming, []any{evInterrupted{}}, aborted, "abort", canceled, "aborted"},
		{"Ctrl-C while files travel", testRules, transferring, []any{evInterrupted{}}, transferring, "fire", "", ""},
		{"the second then", testRules, transferring, []any{evInterrupted{}, evInterrupted{}}, aborted, "abort", canceled, "aborted"},
		{"all nodes lost", testRules, running, []any{evSilent{"bob", lost}, evSilent{"alice", lost}}, analysing, "fire", missing, "nothing heard"},
		{"transfer stuck", testRules, transferring, []any{evReported{"alice", wire.Done, 2, 0}, evOverdue{}}, analysing, "fire", missing, "not finished transferring"},
		{"a stranger", testRules, running, []any{evFailed{"carol", broken}, evSilent{"carol", lost}, evHeard{"carol"}}, running, "fire", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := upTo(t, test.from, test.rules).happens(test.events...)
			if s.state.phase != test.phase {
				t.Errorf("phase %s, want %s", s.state.phase, test.phase)
			}
			if got := lastOrder(s.effects); got != test.lastOrder {
				t.Errorf("last order %q, want %q", got, test.lastOrder)
			}
			if test.trouble == "" {
				if len(s.state.troubles) > 0 {
					t.Errorf("troubles %v, want none", s.state.troubles)
				}
				return
			}
			if len(s.state.troubles) == 0 {
				t.Fatal("no trouble noted")
			}
			last := s.state.troubles[len(s.state.troubles)-1]
			if last.kind != test.trouble || !strings.Contains(last.failure.Message, test.says) {
				t.Errorf("trouble %s %q, want %s with %q", last.kind, last.failure.Message, test.trouble, test.says)
			}
		})
	}
}

// TestDeadlinesAreRenewedByProgress: a backlog may take longer than any deadline
// as long as files come.
func TestDeadlinesAreRenewedByProgress(t *testing.T) {
	s := upTo(t, transferring, testRules)
	s.effects = nil
	s.happens(evProgress{}, evProgress{})
	if diff := cmp.Diff([]string{"deadline 10m0s", "deadline 10m0s"}, s.effects); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
	closing := upTo(t, draining, testRules)
	closing.effects = nil
	if diff := cmp.Diff([]string{"deadline 1m15s"}, closing.happens(evProgress{}).effects); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
	running := upTo(t, running, testRules)
	running.effects = nil
	if running.happens(evProgress{}); len(running.effects) > 0 {
		t.Errorf("files renew the deadline of the recording: %v", running.effects)
	}
}

// TestRecordingThatComesFartherIsAwaited: long after its end as well, and not the one beside it
// that stands still.
func TestRecordingThatComesFartherIsAwaited(t *testing.T) {
	for _, p := range []phase{running, draining} {
		s := upTo(t, p, testRules)
		s.effects = nil
		s.happens(evOverdue{farther: []string{"alice"}}, evOverdue{farther: []string{"alice"}})
		if diff := cmp.Diff([]string{"deadline 1m15s", "deadline 1m15s"}, s.effects); diff != "" || s.state.phase != p {
			t.Errorf("%v: it is %v then, effects (-want +got):\n%s", p, s.state.phase, diff)
		}
		if s.state.nodes["alice"].gone || !s.state.nodes["bob"].gone {
			t.Errorf("%v: nodes %+v", p, s.state.nodes)
		}
		if s.happens(evOverdue{}); !s.state.nodes["alice"].gone || s.state.phase == p {
			t.Errorf("%v: it comes no farther, and the run is still %v", p, s.state.phase)
		}
	}
	if s := upTo(t, arming, testRules).happens(evOverdue{farther: []string{"alice", "bob"}}); s.state.phase != failed {
		t.Errorf("what was recorded before renews the deadline of arming: %v", s.state.phase)
	}
}

// TestNoShotWithoutAFailedNode: a node that could not be armed for another shot sends its
// files, and says why a moment later. Nobody is fired without it.
func TestNoShotWithoutAFailedNode(t *testing.T) {
	rules := testRules
	rules.shots = 3
	s := upTo(t, running, rules)
	s.all(wire.Ready)
	if s.state.phase != arming || s.state.shot != 2 {
		t.Fatalf("%v, shot %d", s.state.phase, s.state.shot)
	}
	s.effects = nil
	s.happens(evReported{"alice", wire.Armed, s.state.orders, 0}, evReported{"bob", wire.Transferring, s.state.orders - 1, 0},
		evFailed{"bob", sdk.Failure{Message: "arm: it has not answered"}})
	if slices.ContainsFunc(s.effects, func(e string) bool { return strings.HasSuffix(e, "fire") }) || s.state.phase != draining {
		t.Errorf("%v, effects %q", s.state.phase, s.effects)
	}
}

// TestEveryWaitHasADeadline: every phase that waits for nodes begins with a
// deadline, and when that has passed the run goes on to another phase, and to
// its end though nothing else happens.
func TestEveryWaitHasADeadline(t *testing.T) {
	for _, p := range []phase{joining, arming, armed, running, draining, transferring} {
		s := upTo(t, p, testRules)
		last := s.effects[len(s.effects)-1]
		if after, has := strings.CutPrefix(last, "deadline "); !has || after == "0s" {
			t.Errorf("%s begins with %q, not with a deadline", p, last)
		}
		if after, _ := next(s.state, evOverdue{}); after.phase == p {
			t.Errorf("%s stays when its deadline has passed", p)
		}
		for _, fired := range []bool{false, true} {
			if end := waitedOut(s.state, fired); !end.phase.over() && end.phase != analysing {
				t.Errorf("%s ends in %s when nothing happens but its deadlines", p, end.phase)
			}
		}
	}
}

// waitedOut lets deadlines pass and nodes that are away be silent, and nothing else
// happen, until no phase waits for nodes any more, or more often than there are
// phases. fired: the instant passes as well.
func waitedOut(s state, fired bool) state {
	for range 9 {
		s, _ = next(s, evOverdue{fired: fired})
		for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
			if s.nodes[name].away {
				s, _ = next(s, evSilent{name, lost})
			}
		}
	}
	return s
}

// TestReleaseIsAcknowledged: the master waits for that, so it must notice it.
func TestReleaseIsAcknowledged(t *testing.T) {
	s := upTo(t, done, testRules).all(wire.Done)
	for name, n := range s.state.nodes {
		if n.order != s.state.orders {
			t.Errorf("%s carried out order %d of %d", name, n.order, s.state.orders)
		}
	}
}

func lastOrder(effects []string) string {
	for _, e := range slices.Backward(effects) {
		if rest, ok := strings.CutPrefix(e, "order "); ok {
			return strings.Fields(rest)[1]
		}
	}
	return ""
}

// TestStateNeverFiresAnUnarmedNode plays random events: no order is numbered
// twice, Fire is given at most once and only when every node has said that it
// is armed, a finished run stays finished, and every phase that waits for nodes
// has a deadline, which ends it.
func TestStateNeverFiresAnUnarmedNode(t *testing.T) {
	phases := []wire.Phase{wire.Preparing, wire.Ready, wire.Armed, wire.Running, wire.Draining, wire.Transferring, wire.Done}
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"alice", "bob", "carol"}
		rules := testRules
		rules.shots = rapid.IntRange(0, 4).Draw(t, "shots")
		s, _ := newState(names, rules)
		wasArmed := map[string]bool{}
		fires, last := 0, uint64(0)
		waits := true // the phase has a deadline
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			node := rapid.SampledFrom(names).Draw(t, "node")
			var event any
			switch rapid.IntRange(0, 16).Draw(t, "kind") {
			case 0:
				event = evOverdue{fired: s.phase == armed && rapid.Bool().Draw(t, "fired"), farther: names[:rapid.IntRange(0, 2).Draw(t, "farther")]}
			case 6:
				event = evProgress{}
			case 7:
				event = evStopped{node}
			case 1:
				event = evSilent{node, rapid.SampledFrom([]time.Duration{quiet, lost}).Draw(t, "silent")}
			case 8:
				event = evHeard{node}
			case 9:
				event = evDiskLow{sdk.Failure{Message: "x"}}
			case 2:
				event = evFailed{node, sdk.Failure{Message: "x"}}
			case 3:
				event = evInterrupted{}
			case 4:
				event = evAnalysed{}
			case 5:
				event = evJoined{node}
			case 10:
				event = evTurned{node, sdk.Failure{Message: "x"}}
			default:
				p := rapid.SampledFrom(phases).Draw(t, "phase")
				wasArmed[node] = slices.Index(phases, p) >= slices.Index(phases, wire.Armed)
				event = evReported{node, p, uint64(rapid.IntRange(0, int(s.orders)).Draw(t, "order")), 0}
			}
			over, before := s.phase.over(), s.phase
			var effects []any
			s, effects = next(s, event)
			if over && len(effects) > 0 {
				t.Fatalf("a finished run still did %v", effects)
			}
			if s.phase != before {
				waits = false
			}
			for _, e := range effects {
				if d, ok := e.(doDeadline); ok {
					waits = d.after > 0
				}
			}
			if !waits && !s.phase.over() && s.phase != analysing { // the stages may take their time
				t.Fatalf("%s has no deadline after %T", s.phase, event)
			}
			for _, e := range effects {
				order, ok := e.(doOrder)
				if !ok {
					continue
				}
				if order.seq != last+1 {
					t.Fatalf("order %d after %d", order.seq, last)
				}
				last = order.seq
				if order.kind == wire.Arm {
					clear(wasArmed)
					for name, n := range s.nodes { // a report may carry it further
						wasArmed[name] = slices.Index(phases, n.phase) >= slices.Index(phases, wire.Armed)
					}
				}
				if order.kind == wire.Fire {
					fires++
					for _, n := range names {
						if !wasArmed[n] {
							t.Fatalf("fired with %s not armed", n)
						}
					}
				}
			}
		}
		if fires > max(1, rules.shots) {
			t.Fatalf("fired %d times for %d shots", fires, rules.shots)
		}
		if end := waitedOut(s, rapid.Bool().Draw(t, "fired")); !end.phase.over() && end.phase != analysing {
			t.Fatalf("deadlines alone do not end %s: %s", s.phase, end.phase)
		}
	})
}

// Whatever one report carries a run through is told of.
func TestPhasesThatARunComesThrough(t *testing.T) {
	for _, c := range []struct {
		before, now phase
		want        []phase
	}{
		{joining, joining, nil},
		{joining, arming, []phase{arming}},
		{armed, transferring, []phase{running, draining, transferring}},
		{running, analysing, []phase{draining, transferring, analysing}},
		{transferring, done, []phase{analysing, done}},
		{joining, failed, []phase{failed}},
		{draining, aborted, []phase{aborted}},
	} {
		if got := c.now.since(c.before); !slices.Equal(got, c.want) {
			t.Errorf("from %s to %s: %v, want %v", c.before, c.now, got, c.want)
		}
	}
}
