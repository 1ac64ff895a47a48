package master

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// TestResumedState: where a run stands that is resumed follows from how far it was.
func TestResumedState(t *testing.T) {
	now := time.Unix(100, 0)
	fire := &wire.Order{Kind: wire.Fire, Seq: 2, Instant: now.Add(-400 * time.Millisecond).UnixNano()}
	for _, test := range []struct {
		was, is phase
		fire    *wire.Order
		effects []string
	}{
		{joining, aborted, nil, []string{"order 3 abort"}},
		{arming, aborted, nil, []string{"order 3 abort"}},
		{armed, aborted, nil, []string{"order 3 abort"}},
		{armed, running, fire, []string{"deadline 1m0.6s"}},
		{running, running, fire, []string{"deadline 1m0.6s"}},
		{draining, draining, fire, []string{"deadline 1m0s"}},
		{transferring, transferring, fire, []string{"deadline 10m0s"}},
		{analysing, transferring, fire, []string{"deadline 10m0s"}},
		{done, transferring, fire, []string{"deadline 10m0s"}},
		{aborted, transferring, fire, []string{"deadline 10m0s"}},
	} {
		p := &past{phase: test.was, fire: test.fire, order: &wire.Order{Seq: 2}, nodes: map[string]stands{"alice": {Order: 2, Phase: wire.Done, Gone: true}},
			troubles: []trouble{{missing, "bob", sdk.Failure{Code: "node-lost"}}, {missing, "bob", sdk.Failure{Code: "device-lost"}}, {canceled, "", sdk.Failure{}}}}
		s := &story{}
		var effects []any
		s.state, effects = resumedState([]string{"alice", "bob"}, func(name string) bool { return name == "alice" }, testRules, p, now)
		s.note(effects)
		if s.state.phase != test.is || !cmp.Equal(s.effects, test.effects) {
			t.Errorf("%s: %s, %v, want %s, %v", test.was, s.state.phase, s.effects, test.is, test.effects)
		}
		if n := s.state.nodes["alice"]; n.order != 2 || n.phase != wire.Preparing || n.gone != (test.fire == nil) {
			t.Errorf("%s: alice %+v", test.was, n)
		}
		if codes := s.state.troubles; codes[0].failure.Code != "device-lost" || len(codes) > 1 != (test.fire == nil) {
			t.Errorf("%s: troubles %+v", test.was, codes)
		}
	}
}

// TestSlaveThatHolds files of the run is let in at any time after the instant was given,
// and only with a proof of its session.
func TestSlaveThatHolds(t *testing.T) {
	c := listening(t)
	first := joins(t, c, "bob", "1", wire.Protocol)
	token, _ := wire.ParseID(first.Welcome.Token)
	offer := func(token [16]byte, run, node, instance string) wire.Reply {
		return c.join(t.Context(), request{body: wire.Request{Node: node, Join: &wire.Join{Protocol: wire.Protocol, Instance: instance, Host: "pc", Key: c.key,
			Held: []wire.Held{{Run: "other"}, {Run: run, Proof: wire.Prove(token, wire.HeldBySlave, run, node, instance)}}}}})
	}
	id := c.run.String()
	if r := offer(token, id, "bob", "2"); r.Welcome != nil {
		t.Errorf("before anything was recorded: %+v", r)
	}
	c.members["bob"].news = 5
	for _, p := range []phase{armed, running, draining, transferring, analysing} {
		c.state.phase = p
		r := offer(token, id, "bob", "2")
		if r.Welcome == nil || !r.Welcome.Deliver || r.Welcome.Seen != 5 || r.Welcome.Token != "" || r.Welcome.Recipe != nil ||
			!wire.Proven(r.Welcome.Proof, token, wire.ResumedByMaster, id, "bob", "2") {
			t.Errorf("%s: %+v", p, r)
		}
		for what, r := range map[string]wire.Reply{
			"another token": offer([16]byte{1}, id, "bob", "3"), "another run": offer(token, "0123", "bob", "3"), "another node": offer(token, id, "alice", "3"),
		} {
			if r.Welcome != nil {
				t.Errorf("%s: %s: %+v", p, what, r)
			}
		}
	}
	c.state.phase = done
	if r := offer(token, id, "bob", "4"); r.Welcome != nil {
		t.Errorf("when the run is over: %+v", r)
	}
}
