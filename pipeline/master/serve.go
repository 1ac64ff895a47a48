package master

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// request is a slave's question on its way to the conductor.
type request struct {
	peer   string
	body   wire.Request
	answer chan wire.Reply
}

// maxUnknown is how many bytes are read of one who shows no token of this run. A
// Join has a few hundred.
const maxUnknown = 4 << 10

// serve answers one message of the status port. It is called by a goroutine of
// each slave's connection. What concerns the run is answered by the conductor, to
// one slave at a time; questions of the file transfer, which come over
// connections of their own, by the receiver, which has locks of its own.
func (c *conductor) serve(peer string, body []byte) []byte {
	if len(body) > maxUnknown && !c.admitted(body) {
		return encode(unknown())
	}
	var r wire.Request
	c.turn.Lock() // a message takes far more memory when it has been decoded
	err := json.Unmarshal(body, &r)
	if err == nil && len(r.File) == 0 {
		defer c.turn.Unlock()
		return encode(c.askConductor(request{peer: peer, body: r, answer: make(chan wire.Reply, 1)}))
	}
	c.turn.Unlock()
	if err != nil {
		return encode(wire.Reply{Refused: &sdk.Failure{Code: "malformed", Message: fmt.Sprintf("read status request: %v", err)}})
	}
	return encode(c.answerFile(r))
}

// askConductor passes a request to the conductor and returns its answer, unless the run is over.
func (c *conductor) askConductor(r request) wire.Reply {
	select {
	case c.requests <- r:
		return <-r.answer
	case <-c.stopped:
		if r.body.Join != nil {
			return wire.Reply{Wait: "the run is over"}
		}
		return wire.Reply{Refused: &sdk.Failure{Code: "over", Message: "the run is over"}}
	}
}

// admitted reports whether a message has the token of a session. It decodes
// nothing else.
func (c *conductor) admitted(body []byte) bool {
	var shown struct{ Token string }
	if json.Unmarshal(body, &shown) != nil {
		return false
	}
	token, ok := wire.ParseID(shown.Token)
	return ok && c.receiver.Admitted(token)
}

func encode(r wire.Reply) []byte {
	body, err := json.Marshal(r)
	if err != nil { // a Reply holds nothing that cannot be encoded
		panic(err)
	}
	return body
}

func (c *conductor) answerFile(r wire.Request) wire.Reply {
	var file transfer.File
	token, ok := wire.ParseID(r.Token)
	if !ok {
		return wire.Reply{Refused: &sdk.Failure{Code: "token", Message: "ask about a file: not a token of this run"}}
	}
	if err := json.Unmarshal(r.File, &file); err != nil {
		return wire.Reply{Refused: &sdk.Failure{Code: "malformed", Message: fmt.Sprintf("ask about a file: %v", err)}}
	}
	answer, err := json.Marshal(c.receiver.Ask(token, file))
	if err != nil {
		return wire.Reply{Refused: &sdk.Failure{Code: "malformed", Message: fmt.Sprintf("ask about a file: %v", err)}}
	}
	return wire.Reply{File: answer}
}

// answer returns the reply to a slave. A request may come twice; answering it
// again changes nothing.
func (c *conductor) answer(ctx context.Context, r request) wire.Reply {
	if r.body.Join != nil {
		return c.join(ctx, r)
	}
	m := c.members[r.body.Node]
	if m == nil || hex.EncodeToString(m.token[:]) != r.body.Token || r.body.Report == nil {
		return unknown()
	}
	if c.state.nodes[r.body.Node].gone {
		return refuse("node-lost", "report: the run went on without this node", "the recorded files are kept on its disk")
	}
	m.heard = time.Now()
	c.applyReport(ctx, r.body.Node, m, r.body.Report)
	return wire.Reply{Seen: m.news, Order: c.order}
}

// unknown refuses one who shows no token of this run.
func unknown() wire.Reply {
	return refuse("token", "report: this is not a session of the run that is under way",
		"another slave of that name, or another master at that address? A slave that is not --once joins the next run by itself")
}

func refuse(code, message, hint string) wire.Reply {
	return wire.Reply{Refused: &sdk.Failure{Code: code, Message: message, Hint: hint}}
}

// join lets a slave in, and tells the user of one that it turned away.
func (c *conductor) join(ctx context.Context, r request) wire.Reply {
	reply := c.welcome(ctx, r)
	if f := reply.Refused; f != nil && len(c.turned) < maxTurned && !c.turned[cut(r.body.Node)+" "+f.Code] {
		c.turned[cut(r.body.Node)+" "+f.Code] = true
		c.log.Warn("slave refused", "about", cut(r.body.Node), "host", cut(r.body.Join.Host), "address", r.peer, "code", f.Code)
		c.observe(event.Warning{Message: fmt.Sprintf("a slave %q on %s (%s) was refused: %s", cut(r.body.Node), cut(r.body.Join.Host), r.peer, f.Message), Hint: f.Hint})
	}
	return reply
}

const (
	maxTurned = 64 // slaves that the user is told of
	maxName   = 64 // bytes of what a stranger calls himself that are repeated
)

func cut(text string) string { return text[:min(len(text), maxName)] }

// isLocal reports whether the master starts the slave of a node itself.
func (c *conductor) isLocal(name string) bool {
	return slices.ContainsFunc(c.recipe.Nodes, func(n recipe.Node) bool { return n.Name == name && n.Host == "local" })
}

// welcome lets a slave in, once, under a name of the recipe.
func (c *conductor) welcome(ctx context.Context, r request) wire.Reply {
	name, j := r.body.Node, r.body.Join
	if j.Protocol != wire.Protocol {
		return refuse("protocol", fmt.Sprintf("join: the slave speaks protocol %d, this master %d", j.Protocol, wire.Protocol),
			"install the same release of tsrun on both PCs")
	}
	if names := c.names(); !slices.Contains(names, name) {
		return refuse("unknown-node", fmt.Sprintf("join: the recipe has no node %q", cut(name)),
			"start the slave with --node and one of: "+strings.Join(names, ", "))
	}
	m := c.members[name]
	switch {
	case c.isLocal(name) && j.Key != c.key:
		return refuse("name-local", fmt.Sprintf("join: %s is a node of the master's own PC, which starts it by itself", name),
			"check --node: it names this PC in the recipe")
	case c.state.phase != joining: // also for one that was in this run and is back for the next
		return wire.Reply{Wait: "a run is under way"}
	case m != nil && m.instance != j.Instance:
		return refuse("name-taken", fmt.Sprintf("join: a slave named %s has joined already (on %s)", name, c.book.manifest.Nodes[name].Hostname),
			"each slave needs a name of its own: check --node here and there")
	case m != nil: // its first answer was lost
		m.heard = time.Now()
		return wire.Reply{Welcome: m.welcome}
	}
	m, err := c.admit(name, j)
	if err != nil {
		return wire.Reply{Refused: &sdk.Failure{Code: "admit", Message: fmt.Sprintf("join: %v", err)}}
	}
	c.members[name] = m
	c.book.joined(name, j)
	c.log.Info("node joined", "about", name, "host", j.Host, "address", r.peer, "pid", j.PID)
	c.observe(event.NodeJoined{Node: name, Host: c.book.manifest.Nodes[name].Host, Hostname: j.Host, Address: r.peer, PID: j.PID})
	if j.Version != c.options.Version {
		c.observe(event.Warning{Node: name, Message: fmt.Sprintf("tsrun %s is at work there, %s here; they speak the same protocol, %d", cut(j.Version), c.options.Version, wire.Protocol),
			Hint: "install the same release of tsrun on both PCs"})
	}
	c.applyEvent(ctx, evJoined{name})
	return wire.Reply{Welcome: m.welcome}
}

func (c *conductor) admit(name string, j *wire.Join) (*member, error) {
	m := &member{instance: j.Instance, heard: time.Now()}
	rand.Read(m.token[:]) // never fails
	part, err := json.Marshal(c.recipe.ForNode(name))
	if err != nil {
		return nil, fmt.Errorf("encode recipe: %w", err)
	}
	if _, err := c.dir.Raw(name); err != nil {
		return nil, err
	}
	c.receiver.Admit(m.token, name, c.dir.Path())
	m.welcome = &wire.Welcome{
		Run: c.run.String(), Token: hex.EncodeToString(m.token[:]), Recipe: part,
		TriggerPort: portOf(c.trigger.Addr()), FilesPort: portOf(c.receiver.Addr()),
	}
	return m, nil
}

func portOf(a net.Addr) int {
	_, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(port)
	return n
}

// applyReport applies a report: its news first, then the phase of the node.
func (c *conductor) applyReport(ctx context.Context, name string, m *member, r *wire.Report) {
	for _, n := range r.News {
		if n.Seq != m.news+1 {
			continue // known already
		}
		if c.analysis.done != nil && entersManifest(n) {
			break // which is the stages' own until they are done; the node tells it again
		}
		m.news = n.Seq
		c.applyNews(ctx, name, n)
	}
	if c.book.progress(name, r.Progress) {
		c.observe(c.book.progressEvent(name))
	}
	c.compareClocks(ctx, name, m, r)
	phase := r.Phase
	if phase == wire.Ready && !r.Beacon {
		phase = wire.Preparing // it could not be triggered
		c.warnOfDeafness(ctx, name, m)
	}
	before := c.state.nodes[name]
	if phase == wire.Armed && before.phase != wire.Armed {
		c.observe(event.Armed{Node: name})
	}
	if phase != before.phase || r.Order != before.order {
		c.applyEvent(ctx, evReported{node: name, phase: phase, order: r.Order})
	}
}

// warnOfDeafness tells the user, once, that a node is ready but for the trigger port.
func (c *conductor) warnOfDeafness(ctx context.Context, name string, m *member) {
	if m.deaf.IsZero() {
		m.deaf = m.heard
	}
	if c.state.nodes[name].deaf || m.heard.Sub(m.deaf) < deafAfter {
		return
	}
	c.applyEvent(ctx, evDeaf{name})
	why := c.state.deafness()
	c.observe(event.Warning{Node: name, Message: why.Message, Hint: why.Hint})
}

// entersManifest reports whether a piece of news is kept in the manifest.
func entersManifest(n wire.News) bool { return n.Failure == nil && n.Log == nil && !n.Stopped }

// checkLock gives a node up whose plugin is not the program that is pinned: on
// another PC nobody has looked before, and here it may have changed since.
func (c *conductor) checkLock(ctx context.Context, node, plugin string, p fact.Plugin) {
	if refusal := c.options.Lock.Check(plugin, p.SHA256, "node "+node); refusal != nil {
		c.applyEvent(ctx, evFailed{node, *refusal})
	}
}

// applyNews enters one piece of news in the book, shows it, and applies what it means for the run.
func (c *conductor) applyNews(ctx context.Context, name string, n wire.News) {
	switch {
	case n.Controller != nil:
		c.book.controller(name, n.Controller)
		c.observe(event.DeviceIdentified{Node: name, Controller: n.Controller.Name, Device: n.Controller.Device})
		if controller := c.book.manifest.Nodes[name].Controllers[n.Controller.Name]; controller != nil {
			c.checkLock(ctx, name, controller.Driver, n.Controller.Plugin)
		}
	case n.Sink != nil:
		c.book.sink(name, n.Sink)
		for _, sink := range c.recipe.Sinks {
			if sink.Name == n.Sink.Name {
				c.checkLock(ctx, name, sink.Sink, n.Sink.Plugin)
			}
		}
	case n.Kept != nil:
		c.book.kept(name, n.Kept)
	case n.Shot != nil:
		c.book.shot(name, n.Shot)
	case n.Loss != nil:
		channel := c.book.loss(name, n.Loss)
		c.observe(event.TagsLost{Node: name, Channel: channel, Loss: n.Loss.Loss})
		c.applyEvent(ctx, evTagsLost{name})
	case n.Segment != nil:
		c.book.segment(name, n.Segment)
		c.saver.reserve(len(c.book.manifest.Segments), n.Segment.File)
		c.offerSegment(n.Segment.File, false)
		c.applyEvent(ctx, evProgress{})
	case n.Ended != nil:
		c.book.ended(name, n.Ended)
	case n.Failure != nil:
		c.applyEvent(ctx, evFailed{name, *n.Failure})
	case n.Stopped:
		c.applyEvent(ctx, evStopped{name})
	case n.Log != nil:
		if err := c.dir.Log().AppendRemote(name, n.Log); err != nil && !c.unlogged {
			c.unlogged = true
			c.observe(event.Warning{Node: name, Message: fmt.Sprintf("lines of the log are not kept: %v", err)})
		}
	}
}
