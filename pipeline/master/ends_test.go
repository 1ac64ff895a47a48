package master

import (
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/host"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// TestDismissalEndsWithTheLastAnswer: when every slave has said that it knows
// the end, nobody is waited for any more.
func TestDismissalEndsWithTheLastAnswer(t *testing.T) {
	c := listening(t)
	tokens := map[string]string{}
	for _, name := range c.names() {
		tokens[name] = joins(t, c, name, name, wire.Protocol).Welcome.Token
	}
	c.state.phase, c.state.orders, c.order = done, 3, &wire.Order{Kind: wire.Release, Seq: 3}
	tell := func(name string, order uint64) {
		t.Helper()
		reply := c.answer(t.Context(), request{body: wire.Request{Node: name, Token: tokens[name], Report: &wire.Report{Phase: wire.Done, Order: order}}})
		if reply.Order == nil || reply.Order.Kind != wire.Release {
			t.Errorf("%s is told %+v", name, reply)
		}
	}
	tell("alice", 3)
	tell("bob", 2)
	if c.dismissed() {
		t.Error("bob has not heard of the end")
	}
	tell("bob", 3)
	if !c.dismissed() {
		t.Error("all have heard of the end, and it is waited for them")
	}
}

// TestSlaveThatHasNotJoinedIsEnded: the run that it was started for is over, and nobody
// waits until it has joined.
func TestSlaveThatHasNotJoinedIsEnded(t *testing.T) {
	c := listening(t)
	joins(t, c, "alice", "1", wire.Protocol)
	for _, name := range c.names() {
		k := &child{node: name, cmd: exec.Command("sleep", "600"), done: make(chan struct{})}
		if err := host.Spawn(k.cmd); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = k.cmd.Process.Kill() // one has ended
			<-k.done
		})
		go func() { _ = k.cmd.Wait(); close(k.done) }() // it is killed
		c.children = append(c.children, k)
	}
	c.endUnjoined()
	<-c.children[1].done
	if c.childEnded("alice") {
		t.Error("the slave that has joined was ended before it was told why")
	}
}

// TestSlavesAreToldBeforeTheyAreKilled: all have the whole time to end their plugins, and
// only who does not end is ended by force.
func TestSlavesAreToldBeforeTheyAreKilled(t *testing.T) {
	for text, test := range map[string]struct {
		within time.Duration
		by     syscall.Signal
	}{
		"echo; exec sleep 600":               {time.Minute, syscall.SIGTERM},
		"trap '' TERM; echo; exec sleep 600": {time.Millisecond, syscall.SIGKILL},
	} {
		c := listening(t)
		for range 3 {
			k := &child{cmd: exec.Command("sh", "-c", text), done: make(chan struct{})}
			out, err := k.cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := host.Spawn(k.cmd); err != nil {
				t.Fatal(err)
			}
			_, _ = out.Read(make([]byte, 1)) // it is ready
			go func() { _ = k.cmd.Wait(); close(k.done) }()
			c.children = append(c.children, k)
		}
		c.endSlaves(test.within)
		for _, k := range c.children {
			<-k.done
			if by := k.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); by != test.by {
				t.Errorf("%q was ended by %v, want %v", text, by, test.by)
			}
		}
	}
}

// TestWhatEachTroubleMakesOfARun: the words are those of docs/run-directory.md.
func TestWhatEachTroubleMakesOfARun(t *testing.T) {
	strict := testRules
	strict.abortOnAbsent, strict.abortOnLoss = true, true
	for name, test := range map[string]struct {
		rules  rules
		from   phase
		events []any
		want   []run.Condition
	}{
		"a node that is lost":          {testRules, running, []any{evSilent{"bob", lost}}, []run.Condition{run.Incomplete}},
		"the same, strict":             {strict, running, []any{evSilent{"bob", lost}}, []run.Condition{run.Aborted, run.Incomplete}},
		"a driver that fails, strict":  {strict, running, []any{evFailed{"bob", sdk.Failure{Message: "x"}}}, []run.Condition{run.Aborted, run.Incomplete}},
		"a node that leaves, strict":   {strict, running, []any{evStopped{"bob"}}, []run.Condition{run.Aborted, run.Interrupted}},
		"tags that are lost, strict":   {strict, running, []any{evTagsLost{"bob"}}, []run.Condition{run.Aborted}},
		"the user":                     {testRules, running, []any{evInterrupted{}}, []run.Condition{run.Interrupted}},
		"the user, twice":              {testRules, running, []any{evInterrupted{}, evInterrupted{}}, []run.Condition{run.Aborted, run.Interrupted}},
		"the user, after it":           {testRules, transferring, []any{evInterrupted{}}, nil},
		"the user, twice after it":     {testRules, transferring, []any{evInterrupted{}, evInterrupted{}}, []run.Condition{run.Aborted}},
		"a node that never joins":      {testRules, joining, []any{evOverdue{}}, []run.Condition{run.Aborted}},
		"a transfer that stands still": {testRules, transferring, []any{evOverdue{}}, []run.Condition{run.Incomplete}},
	} {
		t.Run(name, func(t *testing.T) {
			c := listening(t)
			c.book.close(upTo(t, test.from, test.rules).happens(test.events...).state, nil, time.Now())
			c.book.manifest.Judge()
			got := slices.DeleteFunc(c.book.manifest.Condition, func(k run.Condition) bool {
				return k == run.Good || k == run.Incomplete && !slices.Contains(test.want, run.Incomplete) // nothing is recorded in this test
			})
			if !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v: %+v", got, test.want, c.book.manifest.Reasons)
			}
		})
	}
}

// TestDriversCountIsCompared with what has arrived, and its start with the instant.
func TestDriversCountIsCompared(t *testing.T) {
	c := listening(t)
	token := joins(t, c, "alice", "1", wire.Protocol).Welcome.Token
	report := wire.Report{Phase: wire.Draining, Progress: []fact.StreamCounts{{Stream: 0, Counts: fact.Counts{Tags: 41, Until: 1e12}}}, News: []wire.News{
		{Seq: 1, Shot: &wire.ShotFired{Controller: "tc", Shot: fact.Shot{Asked: 1e9, Called: 3e9, Returned: 3e9, Late: true}}},
		{Seq: 2, Ended: &wire.Ended{Controller: "tc", Sent: []fact.StreamCounts{{Stream: 0, Counts: fact.Counts{Tags: 42, Lost: 3}}, {Stream: 999, Counts: fact.Counts{Tags: 1}}}}},
	}}
	if reply := c.answer(t.Context(), request{body: wire.Request{Node: "alice", Token: token, Report: &report}}); reply.Seen != 2 {
		t.Fatalf("reply %+v", reply)
	}
	c.book.close(c.state, nil, time.Now())
	m := c.book.manifest
	m.Judge()
	for _, want := range []string{"the driver delivered 42 tags, 41 arrived at its node", "the driver lost 3 tags, its blocks tell of 0",
		`controller "tc" was started 2s after its instant`} {
		if !slices.ContainsFunc(m.Reasons, func(r run.Reason) bool { return r.Node == "alice" && r.Message == want }) {
			t.Errorf("no reason says %q: %+v", want, m.Reasons)
		}
	}
	if !m.Has(run.Unverified) || !m.Has(run.Tainted) {
		t.Errorf("condition %v", m.Condition)
	}
}

// TestStartThatNobodySaw makes a run TAINTED, with the controller's name, each once.
func TestStartThatNobodySaw(t *testing.T) {
	const rest = ", and its driver told of no start: nobody knows when it began"
	for name, test := range map[string]struct {
		told []wire.Unstarted
		want []string
	}{
		"all were seen":      {nil, nil},
		"of one":             {[]wire.Unstarted{{Controller: "tc", Tags: 1000}}, []string{`controller "tc" brought 1000 tags` + rest}},
		"told twice":         {[]wire.Unstarted{{Controller: "tc"}, {Controller: "tc"}}, []string{`controller "tc" brought 0 tags` + rest}},
		"of two shots":       {[]wire.Unstarted{{Controller: "tc", Shot: 1, Tags: 1}, {Controller: "tc", Shot: 3, Tags: 1}}, []string{`shot 1: controller "tc" brought 1 tag` + rest, `shot 3: controller "tc" brought 1 tag` + rest}},
		"of what is no such": {[]wire.Unstarted{{Controller: "nobody", Tags: 1 << 63}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := listening(t)
			for _, u := range test.told {
				c.applyNews(t.Context(), "alice", wire.News{Unstarted: &u})
			}
			c.book.manifest.Judge()
			var got []string
			for _, r := range c.book.manifest.Reasons {
				if r.Condition == run.Tainted && r.Node == "alice" {
					got = append(got, r.Message)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
