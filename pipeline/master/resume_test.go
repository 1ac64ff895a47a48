package master

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/recipe"
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
		{armed, running, fire, []string{"deadline 1m15.6s"}},
		{running, running, fire, []string{"deadline 1m15.6s"}},
		{draining, draining, fire, []string{"deadline 1m15s"}},
		{transferring, transferring, fire, []string{"deadline 10m0s"}},
		{analysing, transferring, fire, []string{"deadline 10m0s"}},
		{done, transferring, fire, []string{"deadline 10m0s"}},
		{aborted, transferring, fire, []string{"deadline 10m0s"}},
	} {
		p := &past{phase: test.was, fire: test.fire, order: &wire.Order{Seq: 2}, nodes: map[string]stands{"alice": {Order: 2, Phase: wire.Done, Gone: true}},
			troubles: []trouble{{missing, "bob", sdk.Failure{Code: "node-lost"}}, {missing, "alice", sdk.Failure{Code: wire.NotSent}}, {missing, "bob", sdk.Failure{Code: "device-lost"}}, {canceled, "", sdk.Failure{}}}}
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

// TestMoveTo: a run is resumed at any address that a master may listen at, and what the
// recipe says of TLS holds there, too.
func TestMoveTo(t *testing.T) {
	for host, c := range map[string]struct {
		tls     string
		secured bool
		refused string
	}{
		"":              {tls: "auto", secured: false},
		"127.0.0.9":     {tls: "off", secured: false},
		"::1":           {tls: "auto", secured: false},
		"10.0.0.7":      {tls: "auto", secured: true},
		"fd00::7":       {tls: "auto", secured: true},
		"lab-pc":        {tls: "auto", secured: true},
		"10.0.0.8":      {tls: "off", refused: "need TLS"},
		"10.0.0.7:5557": {tls: "auto", refused: "without a port"},
		"a b":           {tls: "auto", refused: "listen at"},
		"-x":            {tls: "auto", refused: "listen at"},
	} {
		n := recipe.Network{Master: "127.0.0.1", TLS: c.tls}
		err := moveTo(&n, host)
		said := err != nil && strings.Contains(err.Error(), c.refused)
		switch {
		case c.refused == "" && (err != nil || n.Secured() != c.secured):
			t.Errorf("%q: %v, secured %v", host, err, n.Secured())
		case c.refused != "" && !said:
			t.Errorf("%q: %v, want %q", host, err, c.refused)
		}
	}
}
