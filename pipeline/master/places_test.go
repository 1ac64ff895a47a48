package master

import (
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/wire"
)

// remote makes bob a node of another PC.
func remote(r *recipe.Recipe) { r.Nodes[1].Host = "remote" }

// asBob asks for bob's place: change makes of an honest slave's question another.
func asBob(t *testing.T, c *conductor, instance string, i *wire.Identity, certificate string) wire.Reply {
	t.Helper()
	j := &wire.Join{Protocol: wire.Protocol, Instance: instance, Host: "pc"}
	if i != nil {
		i.Sign("bob", j)
	}
	return c.join(t.Context(), request{peer: wire.Peer{Name: certificate}, body: wire.Request{Node: "bob", Join: j}})
}

// A place is kept for the slave that had it first: another process has it only with
// the identity of the first, or with a certificate, however long nothing was heard.
func TestPlaceIsKeptForItsSlave(t *testing.T) {
	own, other := wire.NewIdentity(), wire.NewIdentity()
	for _, test := range []struct {
		name   string
		first  *wire.Identity
		second func(c *conductor) wire.Reply
		has    map[phase]string // "": welcome
	}{
		{"itself", &own, func(c *conductor) wire.Reply { return asBob(t, c, "2", &own, "") },
			map[phase]string{joining: "", arming: "", armed: "a run is under way", running: "a run is under way without this process"}},
		{"another", &own, func(c *conductor) wire.Reply { return asBob(t, c, "2", &other, "") },
			map[phase]string{joining: "name-kept", arming: "name-kept", armed: "a run is under way", running: "a run is under way"}},
		{"one without identity", &own, func(c *conductor) wire.Reply { return asBob(t, c, "2", nil, "") },
			map[phase]string{joining: "name-kept", arming: "name-kept", armed: "a run is under way", running: "a run is under way"}},
		{"one that guesses the process", &own, func(c *conductor) wire.Reply { return asBob(t, c, "1", nil, "") },
			map[phase]string{joining: "name-kept", arming: "name-kept", armed: "a run is under way", running: "a run is under way"}},
		{"one that repeats what it has heard", &own, func(c *conductor) wire.Reply {
			j := &wire.Join{Protocol: wire.Protocol, Instance: "1", Host: "pc"}
			own.Sign("bob", j)
			j.Instance = "2"
			return c.join(t.Context(), request{body: wire.Request{Node: "bob", Join: j}})
		}, map[phase]string{joining: "name-kept", arming: "name-kept", armed: "a run is under way", running: "a run is under way"}},
		{"a slave of an earlier release", nil, func(c *conductor) wire.Reply { return asBob(t, c, "2", nil, "") },
			map[phase]string{joining: "name-kept", running: "a run is under way"}},
		{"one with its certificate", nil, func(c *conductor) wire.Reply { return asBob(t, c, "2", nil, "bob") },
			map[phase]string{joining: "", running: "a run is under way without this process"}},
		{"one with another certificate", nil, func(c *conductor) wire.Reply { return asBob(t, c, "2", nil, "carol") },
			map[phase]string{joining: "certificate", running: "certificate"}},
	} {
		for at, want := range test.has {
			c := listening(t, remote)
			first := asBob(t, c, "1", test.first, "")
			if first.Welcome == nil {
				t.Fatalf("%s: the first: %+v", test.name, first)
			}
			c.state.phase = at
			c.members["bob"].heard = time.Now().Add(-time.Hour)
			got := test.second(c)
			switch {
			case got.Refused != nil && (got.Refused.Code != want || got.Refused.Hint == "") || got.Refused == nil && got.Welcome == nil && got.Wait != want && !strings.HasPrefix(got.Wait, want+";") && !strings.HasPrefix(got.Wait, want+" without"),
				got.Welcome != nil && want != "":
				t.Errorf("%s, %s: %+v, want %q", test.name, at, got, want)
			}
			lost := want == "a run is under way without this process"
			report := c.answer(t.Context(), request{body: wire.Request{Node: "bob", Token: first.Welcome.Token, Report: &wire.Report{}}})
			if believed := report.Refused == nil; believed != (want != "" && !lost) || c.state.nodes["bob"].gone != lost {
				t.Errorf("%s, %s: the first is believed: %v, gone: %v", test.name, at, believed, c.state.nodes["bob"].gone)
			}
		}
	}
}

// What a stranger calls himself is repeated to nobody at length, nor what a terminal obeys.
func TestNamesOfStrangersAreCut(t *testing.T) {
	c := listening(t, remote)
	evil := "\x1b[2J\n" + strings.Repeat("é", 1<<10)
	for _, r := range []wire.Request{
		{Node: evil, Join: &wire.Join{Protocol: wire.Protocol, Instance: evil, Host: evil, Version: evil}},
		{Node: "bob", Join: &wire.Join{Protocol: wire.Protocol, Instance: evil, Host: evil, Version: evil}},
	} {
		c.join(t.Context(), request{body: r})
	}
	told := c.join(t.Context(), request{body: wire.Request{Node: "bob", Join: &wire.Join{Protocol: wire.Protocol, Instance: "2", Host: "pc"}}})
	n := c.book.manifest.Nodes["bob"]
	for what, said := range map[string]string{"answer": told.Wait, "manifest's host": n.Hostname, "manifest's version": n.Version} {
		if said == "" || len(said) > 4*maxName+200 || strings.ContainsFunc(said, func(r rune) bool { return r < ' ' }) {
			t.Errorf("%s: %q", what, said)
		}
	}
}
