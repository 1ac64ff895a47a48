package master

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// join lets a slave in, and tells the user of one that it turned away.
func (c *conductor) join(ctx context.Context, r request) wire.Reply {
	said := *r.body.Join
	said.Instance, said.Version, said.Host = cut(said.Instance), cut(said.Version), cut(said.Host)
	r.body.Join = &said
	reply := c.welcome(ctx, r)
	name := cut(r.body.Node)
	if f := reply.Refused; f != nil {
		told := slaveRefused(r, f)
		c.applyEvent(ctx, evTurned{r.body.Node, sdk.Failure{Message: told.Message, Hint: f.Hint}})
		if c.turned.isNew(name, f.Code) {
			c.log.Warn("slave refused", "about", name, "host", said.Host, "address", r.peer.Address, "code", f.Code)
			c.observe(told)
		}
	}
	return reply
}

// slaveRefused says to the user of the master what a slave was told.
func slaveRefused(r request, f *sdk.Failure) event.Warning {
	return event.Warning{Message: fmt.Sprintf("a slave %q on %s (%s) was refused: %s", cut(r.body.Node), cut(r.body.Join.Host), r.peer.Address, f.Message), Hint: f.Hint}
}

const (
	maxTurned = 64 // slaves that the user is told of
	maxName   = 64 // bytes of what a stranger calls himself that are repeated
)

// cut returns what of a stranger's words is repeated: a line that moves no terminal's cursor.
func cut(said string) string { return text.Printable(said[:min(len(said), maxName)]) }

// isLocal reports whether the master starts the slave of a node itself.
func (c *conductor) isLocal(name string) bool {
	return slices.ContainsFunc(c.recipe.Nodes, func(n recipe.Node) bool { return n.Name == name && n.Host == "local" })
}

// certifiedAs returns the name that the certificate of a node's slave must have.
func (c *conductor) certifiedAs(node string) string { return wire.CertifiedAs(node, c.isLocal(node)) }

// welcome lets a slave in, once, under a name of the recipe. A process that was
// started anew, and shows that it is of the same slave, takes the place of the one
// before, once nothing is heard of that.
func (c *conductor) welcome(ctx context.Context, r request) wire.Reply {
	name, j := r.body.Node, r.body.Join
	if f := wire.OtherProtocol(j, c.options.Version); f != nil {
		return wire.Reply{Refused: f}
	}
	if names := c.names(); !slices.Contains(names, name) {
		return refuse("unknown-node", fmt.Sprintf("join: the recipe has no node %q", cut(name)),
			"start the slave with --node and one of: "+strings.Join(names, ", "))
	}
	if want := c.certifiedAs(name); !r.peer.MayBe(want) {
		return refuse("certificate", fmt.Sprintf("join: the certificate shown is that of %s, and node %s shows that of %s", wire.WhoseCertificate(r.peer.Name), name, wire.WhoseCertificate(want)),
			"check --node there, and host of that node in the recipe; a certificate for another name comes with: tsrun pair")
	}
	m := c.members[name]
	back, holds := c.welcomeBack(r, m)
	switch {
	case c.isLocal(name) && subtle.ConstantTimeCompare([]byte(j.Key), []byte(c.key)) != 1:
		return refuse("name-local", fmt.Sprintf("join: %s is a node of the master's own PC, which starts it by itself", name),
			"check --node: it names this PC in the recipe")
	case holds:
		return back
	case c.past != nil:
		return wire.Reply{Wait: "a run that was broken off is being finished; only slaves that hold files of it are let in"}
	case m != nil && !c.isSame(m, r):
		return c.stranger(name, m, j)
	case m != nil && m.instance == j.Instance && c.state.phase == joining: // its first answer was lost
		m.heard = time.Now()
		return wire.Reply{Welcome: m.welcome}
	case m != nil && m.instance != j.Instance && c.state.started() && c.unheard(m):
		return c.replaced(ctx, name, j)
	case m != nil && m.instance != j.Instance && !c.state.started() && !c.unheard(m):
		return c.rival(name, m, j)
	case c.state.shot > 1, c.state.phase != joining && (!c.state.phase.gathers() || m == nil || m.instance == j.Instance):
		return wire.Reply{Wait: "a run is under way"} // also for one that was in this run and is back for the next
	}
	m, err := c.admit(name, j)
	if err != nil {
		return wire.Reply{Refused: &sdk.Failure{Code: "admit", Message: fmt.Sprintf("join: %v", err)}}
	}
	if before := c.members[name]; before != nil {
		c.dismiss(before)
	}
	c.members[name] = m
	c.keepJoined(name, m, j)
	c.log.Info("node joined", "about", name, "host", j.Host, "address", r.peer.Address, "pid", j.PID)
	c.observe(event.NodeJoined{Node: name, Host: c.book.manifest.Nodes[name].Host, Hostname: j.Host, Address: r.peer.Address, PID: j.PID})
	if j.Local > 0 {
		c.observe(event.Warning{Node: name, Message: "it keeps " + quantity.Counted(j.Local, "recording") + " made without a master", Hint: "fetch with: tsrun collect RECIPE"})
	}
	if j.Version != c.options.Version {
		c.observe(event.Warning{Node: name, Message: fmt.Sprintf("tsrun %s is at work there, %s here; they speak the same protocol, %d", j.Version, c.options.Version, wire.Protocol),
			Hint: "install the same release of tsrun on both PCs"})
	}
	c.applyEvent(ctx, evJoined{name})
	return wire.Reply{Welcome: m.welcome}
}

// isSame reports whether a process is of the slave that has a place: its certificate
// says so, or the key that this master gave its own processes, which were both
// checked; or else the identity that the first process showed.
func (c *conductor) isSame(m *member, r request) bool {
	name, j := r.body.Node, r.body.Join
	return r.peer.Name != "" || c.isLocal(name) || m.owner != "" && m.owner == j.Owner && wire.OwnerOf(name, j) == m.owner
}

// stranger answers a process under the name of a slave that does not show that it is
// of that slave. The one that has the place keeps it, heard or not.
func (c *conductor) stranger(name string, m *member, j *wire.Join) wire.Reply {
	switch {
	case !c.state.phase.gathers():
		return wire.Reply{Wait: "a run is under way"}
	case !c.unheard(m):
		return c.rival(name, m, j)
	}
	return refuse("name-kept", fmt.Sprintf("join: a slave named %s has joined already (on %s); nothing is heard of it, and this process does not show that it is the same slave, started anew",
		name, c.book.manifest.Nodes[name].Hostname),
		"start it where the one before ran, with the same --data; or end this run and start it again; paired PCs (tsrun pair) are known by their certificates")
}

// unheard reports whether a slave has been silent for so long that another process
// may have its place.
func (c *conductor) unheard(m *member) bool { return time.Since(m.heard) >= wire.AwayAfter }

// rival answers a second process under the name of a slave that is heard. The one
// before may have ended just now, so it waits; where that is still heard after a
// while there are two.
func (c *conductor) rival(name string, m *member, j *wire.Join) wire.Reply {
	host := c.book.manifest.Nodes[name].Hostname
	if m.rival != j.Instance {
		m.rival, m.asked = j.Instance, time.Now()
	}
	if m.heard.Sub(m.asked) > wire.AwayAfter {
		return refuse("name-taken", fmt.Sprintf("join: a slave named %s has joined already (on %s)", name, host),
			"each slave needs a name of its own: check --node here and there")
	}
	return wire.Reply{Wait: fmt.Sprintf("a slave named %s has joined already (on %s), and has its place until nothing is heard of it for %v", name, host, wire.AwayAfter)}
}

// replaced gives up a node whose slave was started anew within the recording: the
// new process knows nothing of what the one before has recorded.
func (c *conductor) replaced(ctx context.Context, name string, j *wire.Join) wire.Reply {
	if c.state.rules.waits {
		return wire.Reply{Wait: "a run is under way, which waits for what the process before this one has recorded: start this one with the --data of that"}
	}
	if c.book.manifest.Nodes[name].Hostname == j.Host && !c.state.nodes[name].gone && c.state.nodes[name].phase != wire.Done {
		c.applyEvent(ctx, evGone{name, sdk.Failure{Code: "slave-restarted",
			Message: "its slave was started anew, so nobody sends what the one before had not yet sent",
			Hint:    "it is kept on that PC's disk"}})
	}
	return wire.Reply{Wait: "a run is under way without this process; what the one before it recorded is kept in its data directory"}
}

// dismiss ends what the process before had been admitted to by UDP.
func (c *conductor) dismiss(before *member) {
	if before.access != nil {
		c.clock.Dismiss(before.access)
	}
	if w := before.welcome; w != nil && w.Fast != nil {
		c.fast.Dismiss(w.Fast)
	}
}

func (c *conductor) admit(name string, j *wire.Join) (*member, error) {
	m := &member{owner: wire.OwnerOf(name, j), instance: j.Instance, heard: time.Now()}
	rand.Read(m.token[:]) // never fails
	part, err := json.Marshal(c.recipe.ForNode(name))
	if err != nil {
		return nil, fmt.Errorf("encode recipe: %w", err)
	}
	c.admitFiles(name, m.token)
	m.welcome = &wire.Welcome{
		Run: c.run.String(), Token: hex.EncodeToString(m.token[:]), Recipe: part, RecipeSum: c.book.manifest.Recipe.SHA256,
		TriggerPort: portOf(c.trigger.Addr()), FilesPort: portOf(c.receiver.Addr()), Master: c.id, Revoked: c.options.Revoked, Watch: c.options.Record != nil,
	}
	if c.clock != nil && !c.isLocal(name) {
		if m.access, err = c.clock.Admit(); err != nil {
			return nil, err
		}
		m.welcome.Clock = m.access
	}
	c.admitFast(name, m)
	return m, nil
}
