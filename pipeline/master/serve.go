package master

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// request is a slave's question on its way to the conductor.
type request struct {
	peer   wire.Peer
	body   wire.Request
	answer chan wire.Reply
}

// keptWithin is how long an answer waits for the journal. Later, it says of no news
// that they were seen, and the slave tells them again.
const keptWithin = 20 * time.Millisecond

// maxTrip bounds what a node says of the round trip to it.
const maxTrip = time.Minute

// serve answers one message of the status port. It is called by a goroutine of
// each slave's connection. What concerns the run is answered by the conductor, to
// one slave at a time; questions of the file transfer, which come over
// connections of their own, by the receiver, which has locks of its own.
func (c *conductor) serve(peer wire.Peer, body []byte) []byte {
	if len(body) > wire.MaxStranger { // over a connection on which a token was shown before, or now
		_, token := wire.Shown(body[:wire.MaxStranger])
		if _, ok := c.admits(peer, token); !ok {
			return encode(unknown())
		}
	}
	c.turn.Lock() // a message takes far more memory when it has been decoded
	r, err := wire.DecodeRequest(body)
	if err == nil && len(r.File) == 0 {
		reply := c.askConductor(request{peer: peer, body: r, answer: make(chan wire.Reply, 1)})
		c.turn.Unlock()
		if c.journal != nil && !c.journal.Await(c.journal.Last(), keptWithin) {
			reply.Seen = 0
		}
		return encode(reply)
	}
	c.turn.Unlock()
	if err != nil {
		return encode(wire.Reply{Refused: &sdk.Failure{Code: "malformed", Message: fmt.Sprintf("read status request: %v", err)}})
	}
	return encode(answerFile(c.receiver, peer, r))
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

// admits returns the node whose session has a token, where the peer may be that node.
func (c *conductor) admits(peer wire.Peer, token string) (node string, ok bool) {
	return admittedTo(c.receiver, peer, token)
}

func admittedTo(receiver *transfer.Receiver, peer wire.Peer, token string) (node string, ok bool) {
	id, ok := wire.ParseID(token)
	if !ok {
		return "", false
	}
	certified, ok := receiver.CertifiedAs(id)
	if !ok || !peer.MayBe(certified) {
		return "", false
	}
	return receiver.NodeOf(id)
}

func encode(r wire.Reply) []byte {
	body, err := json.Marshal(r)
	if err != nil { // a Reply holds nothing that cannot be encoded
		panic(err)
	}
	return body
}

func answerFile(receiver *transfer.Receiver, peer wire.Peer, r wire.Request) wire.Reply {
	var file transfer.File
	token, ok := wire.ParseID(r.Token)
	if !ok {
		return wire.Reply{Refused: &sdk.Failure{Code: "token", Message: "ask about a file: not a token of this run"}}
	}
	if certified, ok := receiver.CertifiedAs(token); ok && !peer.MayBe(certified) {
		return wire.Reply{Refused: &sdk.Failure{Code: "certificate", Message: "ask about a file: it is of another node than this certificate"}}
	}
	if err := json.Unmarshal(r.File, &file); err != nil {
		return wire.Reply{Refused: &sdk.Failure{Code: "malformed", Message: fmt.Sprintf("ask about a file: %v", err)}}
	}
	answer, err := json.Marshal(receiver.Ask(token, file))
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
	token, ok := wire.ParseID(r.body.Token)
	if m == nil || !ok || subtle.ConstantTimeCompare(m.token[:], token[:]) != 1 || r.body.Report == nil || !r.peer.MayBe(c.certifiedAs(r.body.Node)) {
		return unknown()
	}
	if m.refused != nil {
		return wire.Reply{Refused: m.refused, Order: c.order}
	}
	if c.state.nodes[r.body.Node].gone {
		lost := refuse("node-lost", "report: the run went on without this node", "the recorded files are kept on its disk")
		lost.Order = c.order
		return lost
	}
	if c.neverFired(r.body.Report) {
		c.applyEvent(ctx, evGone{r.body.Node, sdk.Failure{Code: "never-fired", Message: "the master was killed before this node had the instant, so it recorded nothing"}})
		return refuse("never-fired", "report: the run was started without this node: its master was killed just then", "nothing was recorded here")
	}
	c.hear(ctx, r.body.Node, m)
	c.applyReport(ctx, r.body.Node, m, r.body.Report)
	if m.refused != nil {
		return wire.Reply{Refused: m.refused, Order: c.order}
	}
	return wire.Reply{Seen: m.seen, Order: c.order, Clocks: c.standings(m), Master: c.id, SentNs: m.clock.answer()}
}

// unknown refuses one who shows no token of this run.
func unknown() wire.Reply {
	return refuse("token", "report: this is not a session of the run that is under way",
		"another slave of that name, or another master at that address? A slave that is not --once joins the next run by itself")
}

func refuse(code, message, hint string) wire.Reply {
	return wire.Reply{Refused: &sdk.Failure{Code: code, Message: message, Hint: hint}}
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
	facts, passing := false, true
	r.Progress = r.Progress[:min(len(r.Progress), len(c.book.channels[name]))]
	for _, n := range r.News {
		if n.Seq != m.news+1 {
			continue // known already
		}
		if c.analysis.done != nil && entersManifest(n) {
			break // which is the stages' own until they are done; the node tells it again
		}
		m.news = n.Seq
		c.dropUnplanned(name, &n)
		passing = passing && c.book.passing(name, &n)
		facts = c.keepNews(name, n) || facts
		c.applyNews(ctx, name, n)
		if c.refuseOverspent(ctx, name, m) {
			return
		}
	}
	c.acknowledge(name, m, passing)
	if c.book.progress(name, r.Progress) {
		m.farther = time.Now()
		c.observe(c.progressEvent(name))
	}
	c.look(name, m, r.Glimpse)
	c.noteDisk(name, r)
	if facts {
		c.book.spend(name, c.keep(entry{Counts: &counted{name, r.Progress}}))
	}
	m.trip = min(max(time.Duration(r.RoundTripNs), 0), maxTrip)
	c.hearClock(name, m, r)
	c.compareClocks(ctx, name, m, r)
	phase := r.Phase
	if phase == wire.Ready && !r.Beacon {
		phase = wire.Preparing // it could not be triggered
		c.warnOfDeafness(ctx, name, m)
	}
	if phase == wire.Done && !c.settled(ctx, name, m, r) {
		phase = wire.Transferring
	}
	stood := c.state.nodes[name]
	if phase == wire.Armed && stood.phase != wire.Armed {
		c.observe(event.Armed{Node: name})
		if n := c.book.manifest.Nodes[name]; n.Armed.IsZero() { // of several shots the first
			n.Armed = moment()
		}
	}
	if phase != stood.phase || r.Order != stood.order {
		c.book.spend(name, factRoom)
		c.applyEvent(ctx, evReported{node: name, phase: phase, order: r.Order, trip: m.trip})
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

// keepNews keeps a piece of news in the journal, and reports whether it is a fact. A
// failure is kept as the trouble that it makes, a line of the log in the log.
func (c *conductor) keepNews(name string, n wire.News) bool {
	switch {
	case c.book.passing(name, &n):
		return false
	case entersManifest(n):
		c.book.spend(name, c.keep(entry{News: &told{name, n}}))
		return true
	case n.Failure != nil:
		c.book.spend(name, len(n.Failure.Message)+len(n.Failure.Hint)+len(n.Failure.Code)+len(n.Failure.Field))
	case n.Warning != nil:
		c.book.spend(name, len(n.Warning.Message)+len(n.Warning.Hint))
	}
	c.book.spend(name, failureRoom)
	return false
}

// entersManifest reports whether a piece of news is kept in the manifest.
func entersManifest(n wire.News) bool {
	return n.Failure == nil && n.Log == nil && n.Warning == nil && n.ClockSet == nil && n.Short == nil && !n.Stopped
}

// checkLock gives a node up whose plugin is not the program that is pinned: on
// another PC nobody has looked before, and here it may have changed since.
func (c *conductor) checkLock(ctx context.Context, node, plugin string, p fact.Plugin) {
	if refusal := c.options.Lock.Check(plugin, p.SHA256, "node "+node); refusal != nil {
		c.applyEvent(ctx, evFailed{node, *refusal})
	}
}

// applyNews enters one piece of news in the book, shows it, and applies what it means for the run.
func (c *conductor) applyNews(ctx context.Context, name string, n wire.News) {
	c.book.enter(name, &n)
	switch {
	case n.Controller != nil:
		c.receiver.Bound(c.members[name].token, c.book.boundFiles(name))
		c.observe(event.DeviceIdentified{Node: name, Controller: n.Controller.Name, Device: n.Controller.Device})
		if controller := c.book.manifest.Nodes[name].Controllers[n.Controller.Name]; controller != nil {
			c.checkLock(ctx, name, controller.Driver, n.Controller.Plugin)
		}
	case n.Sink != nil:
		for _, sink := range c.recipe.Sinks {
			if sink.Name == n.Sink.Name {
				c.checkLock(ctx, name, sink.Sink, n.Sink.Plugin)
			}
		}
	case n.Clock != nil:
		c.tellClock(name, n.Clock)
	case n.ClockSet != nil:
		c.hearStep(ctx, name, *n.ClockSet)
	case n.Short != nil:
		c.hearShort(ctx, name, *n.Short)
	case n.Shot != nil:
		c.tellCompensation(name, n.Shot)
		c.tellAlone(name, n.Shot)
	case n.Loss != nil:
		_, channel := c.book.channel(name, n.Loss.Stream)
		c.observe(event.TagsLost{Node: name, Channel: channel, Loss: n.Loss.Loss})
		c.applyEvent(ctx, evTagsLost{name})
	case n.Restart != nil:
		c.tellRestart(name, n.Restart)
	case n.Segment != nil:
		c.saver.reserve(len(c.book.manifest.Segments), n.Segment.File)
		c.offerSegment(n.Segment.File, false)
		c.applyEvent(ctx, evProgress{})
		c.members[name].farther = time.Now()
	case n.Kept != nil:
		c.applyEvent(ctx, evProgress{})
		c.members[name].farther = time.Now()
	case n.Failure != nil && c.past != nil && n.Failure.Code == wire.SlaveEnded && c.isLocal(name):
		c.applyEvent(ctx, evCut{name, sdk.Failure{Code: wire.SlaveEnded, Message: "its recording ended with the master, which was killed; the run was finished afterwards"}})
	case n.Failure != nil && c.past != nil && n.Failure.Code == wire.NotSent: // to this master, or to the one that was killed
		c.members[name].unsent = n.Failure
		c.observe(event.Warning{Node: name, Message: n.Failure.Message, Hint: "what is here in the end counts"})
	case n.Failure != nil:
		c.applyEvent(ctx, evFailed{name, *n.Failure})
	case n.Warning != nil:
		c.observe(event.Warning{Node: name, Message: n.Warning.Message, Hint: n.Warning.Hint})
	case n.Stopped:
		c.applyEvent(ctx, evStopped{name})
	case n.Log != nil:
		c.runLog.append(name, n.Log)
	}
}
