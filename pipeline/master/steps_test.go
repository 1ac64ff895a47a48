package master

import (
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// started are two nodes that report to a master.
type started struct {
	*conductor
	t      *testing.T
	tokens map[string]string
	news   map[string]uint64
}

// report reports of a node, with news.
func (s *started) report(node string, p wire.Phase, order uint64, news ...wire.News) wire.Reply {
	s.t.Helper()
	for i := range news {
		s.news[node]++
		news[i].Seq = s.news[node]
	}
	return s.answer(s.t.Context(), request{body: wire.Request{Node: node, Token: s.tokens[node],
		Report: &wire.Report{Phase: p, Beacon: true, Order: order, ClockNs: time.Now().UnixNano(), News: news}}})
}

// twoArmed are two nodes that are armed, and the instant is so far ahead.
func twoArmed(t *testing.T, change func(*recipe.Recipe)) *started {
	t.Helper()
	s := &started{conductor: listening(t, change), t: t, tokens: map[string]string{}, news: map[string]uint64{}}
	t.Cleanup(s.saver.wait) // the link to the latest run
	for _, name := range s.names() {
		s.tokens[name] = joins(t, s.conductor, name, name, wire.Protocol).Welcome.Token
	}
	for _, p := range []wire.Phase{wire.Ready, wire.Armed} {
		for _, name := range s.names() {
			s.report(name, p, 0)
		}
	}
	if s.state.phase != armed {
		t.Fatalf("the run is %s", s.state.phase)
	}
	return s
}

// reasonsOf are the reasons of a run that ended.
func reasonsOf(s *started) string {
	s.book.close(s.state, s.steps, time.Now())
	s.book.manifest.Judge()
	var all []string
	for _, r := range s.book.manifest.Reasons {
		all = append(all, string(r.Condition)+" "+r.Node+" "+r.Message)
	}
	return strings.Join(all, "\n")
}

// TestClockSet sets clocks before and after the instant.
func TestClockSet(t *testing.T) {
	back, ahead := clock.Step{At: 1e18, By: -1e9}, clock.Step{At: 1e18, By: 3600e9}
	for name, c := range map[string]struct {
		node     string
		step     clock.Step
		both     bool // have acknowledged the instant
		passed   bool // the instant has
		method   string
		want     phase
		says     string
		tainted  bool
		repeated int
	}{
		"a node's, armed":               {node: "alice", step: back, want: failed, says: "its clock was set back by 1s"},
		"the master's, armed":           {step: ahead, want: failed, says: "the master's clock was set forward by 1h0m0s"},
		"all have the instant":          {node: "bob", step: ahead, both: true, want: failed, says: "its clock was set forward"},
		"while it runs":                 {node: "bob", step: back, both: true, passed: true, want: running, says: "TAINTED bob its clock was set back by 1s, at 01:46:40.000000 UTC, while the run went on", tainted: true},
		"the master's, while it runs":   {step: back, both: true, passed: true, want: running, says: "TAINTED  the master's clock", tainted: true},
		"after the instant, unheard of": {node: "alice", step: back, passed: true, want: armed, says: "TAINTED alice", tainted: true},
		"a pulse starts all":            {node: "alice", step: back, method: "hardware", want: armed, says: "TAINTED alice", tainted: true},
		"all the time":                  {node: "bob", step: back, both: true, passed: true, want: running, says: "TAINTED bob", tainted: true, repeated: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			s := twoArmed(t, func(r *recipe.Recipe) {
				r.Trigger.Lead = 60e9
				if c.method != "" {
					r.Trigger.Method = c.method
				}
			})
			if c.both {
				for _, n := range s.names() {
					s.report(n, wire.Running, s.state.fire)
				}
			}
			if c.passed {
				s.instant = time.Now().Add(-time.Second)
			}
			for range 1 + c.repeated {
				if c.node == "" {
					s.applyInput(t.Context(), c.step)
					continue
				}
				s.report(c.node, s.state.nodes[c.node].phase, s.state.nodes[c.node].order, wire.News{ClockSet: &c.step})
			}
			why := reasonsOf(s)
			if s.state.phase != c.want || !strings.Contains(why, c.says) || strings.Contains(why, "TAINTED") != c.tainted {
				t.Errorf("the run is %s, want %s, with %q:\n%s", s.state.phase, c.want, c.says, why)
			}
			if n := strings.Count(why, "TAINTED"); n > mostSteps {
				t.Errorf("told %d times", n)
			}
			if c.want == failed && (s.order == nil || s.conductor.order.Kind != wire.Abort) {
				t.Errorf("the last order is %+v", s.conductor.order)
			}
		})
	}
}

// TestClockSetBeforeAllAreArmed: the clocks are compared again, so it matters to nobody.
func TestClockSetBeforeAllAreArmed(t *testing.T) {
	l := listening(t, func(r *recipe.Recipe) { r.Clock.Source, r.Nodes[1].Host = "none", "remote" })
	token := joins(t, l, "bob", "1", wire.Protocol).Welcome.Token
	hour := time.Now().Add(-time.Hour).UnixNano()
	var answered *wire.Answered
	ask := func(ns int64, news ...wire.News) {
		reply := l.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: token, Report: &wire.Report{Phase: wire.Preparing, ClockNs: ns, Answered: answered, News: news}}})
		answered = &wire.Answered{SentNs: reply.SentNs, CameNs: ns}
	}
	ask(hour)
	ask(time.Now().UnixNano(), wire.News{Seq: 1, ClockSet: &clock.Step{At: 1, By: 3600e9}})
	for range 5 {
		answered.CameNs = time.Now().UnixNano()
		ask(time.Now().UnixNano())
	}
	l.book.close(l.state, l.steps, time.Now())
	l.book.manifest.Judge()
	for _, r := range l.book.manifest.Reasons {
		if r.Condition == run.Tainted || strings.Contains(r.Message, "clock") {
			t.Errorf("%+v", r)
		}
	}
	if l.state.phase != joining {
		t.Errorf("the run is %s", l.state.phase)
	}
}

// TestNodeThatCannotMakeIt: it says so before the instant, and nobody starts; after the
// instant nobody is called back.
func TestNodeThatCannotMakeIt(t *testing.T) {
	for name, c := range map[string]struct {
		passed bool
		want   phase
		says   string
	}{
		"before": {false, failed, "ABORTED bob it cannot start at the instant: the order came 20ms before it, and a start takes 50ms; the start was called off for all before it"},
		"after":  {true, armed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := twoArmed(t, func(r *recipe.Recipe) { r.Trigger.Lead = 60e9 })
			s.report("alice", wire.Running, s.state.fire)
			if c.passed {
				s.instant = time.Now().Add(-time.Millisecond)
			}
			s.report("bob", wire.Armed, 0, wire.News{Short: &wire.Short{LeftNs: 20e6, NeedsNs: 50e6}})
			if why := reasonsOf(s); s.state.phase != c.want || !strings.Contains(why, c.says) {
				t.Errorf("the run is %s, want %s:\n%s", s.state.phase, c.want, why)
			}
		})
	}
}

// TestFailureAfterTheInstant: a node that fails when the instant has passed, before the
// master has heard of who started, ends no recording of the others.
func TestFailureAfterTheInstant(t *testing.T) {
	s := twoArmed(t, func(r *recipe.Recipe) { r.Trigger.Lead = 60e9 })
	s.instant = time.Now().Add(-time.Second)
	s.report("bob", wire.Armed, 0, wire.News{Failure: &sdk.Failure{Code: "failed", Message: "device gone"}})
	if s.state.phase != running || s.conductor.order.Kind != wire.Fire {
		t.Errorf("the run is %s, the last order %+v", s.state.phase, s.conductor.order)
	}
	s.report("alice", wire.Running, s.state.fire)
	if why := reasonsOf(s); !strings.Contains(why, "INCOMPLETE bob device gone") || strings.Contains(why, "ABORTED") {
		t.Error(why)
	}
}
