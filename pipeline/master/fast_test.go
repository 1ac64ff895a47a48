package master

import (
	"net"
	"strings"
	"testing"

	"tsrun/pipeline/event"
	"tsrun/pipeline/wire"
)

// TestBroadcast: nodes that fire on receipt are fired at once, however far they are, and
// once the order is out nobody is called back.
func TestBroadcast(t *testing.T) {
	r := testRules
	r.onReceipt = true
	s := upTo(t, done, r)
	if got := strings.Join(s.effects[3:6], ", "); got != "order 2 fire, deadline 400ms, deadline 1m16.4s" {
		t.Errorf("effects %s", got)
	}
	if far := upTo(t, arming, r).happens(evReported{"alice", wire.Armed, 1, wire.AwayAfter}, evReported{"bob", wire.Armed, 1, 0}); far.state.phase != armed || far.state.lead != 0 {
		t.Errorf("with a node that is far: %s, %v ahead", far.state.phase, far.state.lead)
	}
	late := upTo(t, armed, r).happens(evReported{"alice", wire.Running, 2, 0}, evOverdue{fired: true})
	if late.state.phase != running || len(late.state.troubles) != 0 {
		t.Errorf("with a node that has not acknowledged: %s, %v", late.state.phase, late.state.troubles)
	}
}

// warnings are those that a user was told.
type warnings []string

func (w *warnings) Observe(e event.Event) {
	if warning, ok := e.(event.Warning); ok {
		*w = append(*w, warning.Message)
	}
}

// TestNoDatagrams: a UDP port that cannot be had is told, and the run goes on without.
func TestNoDatagrams(t *testing.T) {
	taken, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var told warnings
	resolved := loneRecipe(t)
	resolved.Recipe.Trigger.Method, resolved.Recipe.Trigger.Fast = "broadcast", "udp"
	resolved.Recipe.Network.Ports.Trigger = taken.LocalAddr().(*net.UDPAddr).Port
	c := newConductor(Options{Recipe: resolved, Observer: &told})
	m := &member{welcome: &wire.Welcome{}}
	c.listenFast()
	c.admitFast("bob", m)
	if c.fast != nil || m.welcome.Fast != nil || len(told) != 1 || !strings.Contains(told[0], "already in use: the order to start goes by the other ways alone") {
		t.Errorf("told %q, admitted %v", told, m.welcome.Fast)
	}
	if err := c.hearHellos(t.Context()); err != nil {
		t.Error(err)
	}
	taken.Close()
	if c.listenFast(); c.fast == nil {
		t.Fatalf("told %q", told)
	}
	defer c.fast.Close()
	if c.admitFast("bob", m); m.welcome.Fast == nil || m.welcome.Fast.Port != resolved.Recipe.Network.Ports.Trigger {
		t.Errorf("admitted %+v", m.welcome.Fast)
	}
	c.dismiss(m)
	c.dismiss(&member{}) // of a run that was resumed
	resolved.Recipe.Trigger.Method = "scheduled"
	other := newConductor(c.options)
	if other.listenFast(); other.fast != nil {
		t.Error("datagrams of a start at an instant")
	}
}
