package master

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// entry is one record of a run's journal: what resume needs of it beside the
// recipe and the first manifest. One of its fields is set.
type entry struct {
	Ports   *ports        `json:"ports,omitempty"` // the first record
	Joined  *joined       `json:"joined,omitempty"`
	Phase   phase         `json:"phase,omitempty"`
	Order   *wire.Order   `json:"order,omitempty"` // before it is published
	Node    *stands       `json:"node,omitempty"`
	Trouble *keptTrouble  `json:"trouble,omitempty"`
	Reason  *run.Reason   `json:"reason,omitempty"` // noticed, and seen in nothing else
	News    *told         `json:"news,omitempty"`   // before the node hears that it was seen
	Seen    *acknowledged `json:"seen,omitempty"`   // with lines of the log, which are kept elsewhere
	Counts  *counted      `json:"counts,omitempty"`
}

// ports are those that slaves have been told.
type ports struct{ Trigger, Status, Files int }

type joined struct {
	Node     string
	Token    string
	Instance string
	Host     string
	PID      int
	Version  string
}

// stands is where a node stands.
type stands struct {
	Node  string
	Phase wire.Phase
	Order uint64
	Gone  bool `json:",omitempty"`
}

type keptTrouble struct {
	Kind    troubleKind
	Node    string `json:",omitempty"`
	Failure sdk.Failure
}

type told struct {
	Node string
	wire.News
}

type acknowledged struct {
	Node string
	Seq  uint64
}

type counted struct {
	Node   string
	Counts []fact.StreamCounts
}

// keep appends a record to the journal, and returns its length. It waits for no disk.
func (c *conductor) keep(e entry) (bytes int) {
	if c.journal == nil {
		return 0
	}
	text, err := json.Marshal(e)
	if err != nil { // an entry holds nothing that cannot be encoded
		panic(err)
	}
	c.journal.Append(text)
	switch err := c.journal.Err(); {
	case err != nil && !c.unkept:
		c.unkept = true
		c.log.Error("journal not written", "error", err)
		c.observe(event.Warning{Message: err.Error(), Hint: "the run goes on, and it is tried again; if this process is killed before the disk takes it, the run cannot be resumed from here"})
	case err == nil && c.unkept:
		c.unkept = false
		c.log.Info("journal written again")
	}
	return len(text)
}

// keepState keeps what an event has changed.
func (c *conductor) keepState(before state) {
	for _, t := range c.state.troubles[len(before.troubles):] {
		c.keep(entry{Trouble: &keptTrouble{t.kind, t.node, t.failure}})
	}
	for name, n := range c.state.nodes {
		if was := before.nodes[name]; n.phase != was.phase || n.order != was.order || n.gone != was.gone {
			c.keep(entry{Node: &stands{name, n.phase, n.order, n.gone}})
		}
	}
	if c.state.phase != before.phase {
		c.keep(entry{Phase: c.state.phase})
		c.quieten()
	}
}

// quieten keeps the journal from flushing between arming and the instant, because a
// flush may take as long as the lead.
func (c *conductor) quieten() {
	quiet := c.state.phase == arming || c.state.phase == armed || c.state.phase == running && time.Now().Before(c.instant)
	if c.journal == nil || quiet == c.quiet {
		return
	}
	if c.quiet = quiet; quiet {
		c.journal.Hold()
	} else {
		c.journal.Release()
	}
}

// settleWithin is how long a disk that takes nothing keeps a run from its end.
const settleWithin = 30 * time.Second

// settleJournal waits until the journal on the disk knows that every file is here: nodes
// delete theirs when they are released, and whoever finished the run after a kill or a
// loss of power would wait for them in vain.
func (c *conductor) settleJournal(ctx context.Context) {
	if c.journal == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if err := c.journal.Settle(ctx); err != nil {
		c.log.Warn("the nodes are released, and the journal does not know it", "error", err)
	}
}

// notice records a reason against the run.
func (c *conductor) notice(r run.Reason) {
	c.keep(entry{Reason: &r})
	c.book.manifest.Notice(r)
}

// past is what the journal of a run says of it, beside what it enters in the book.
type past struct {
	ports    *ports
	phase    phase
	order    *wire.Order
	fires    int // orders to start
	fire     *wire.Order
	nodes    map[string]stands
	joined   map[string]joined
	seen     map[string]uint64
	troubles []trouble
}

// recall enters a record of the journal.
func (c *conductor) recall(p *past, record []byte) error {
	var e entry
	if err := json.Unmarshal(record, &e); err != nil {
		return err
	}
	switch {
	case e.Ports != nil:
		p.ports = e.Ports
	case e.Joined != nil:
		if c.book.manifest.Nodes[e.Joined.Node] == nil {
			return fmt.Errorf("the recipe of the run has no node %.70q", e.Joined.Node)
		}
		if e.Joined.Token != p.joined[e.Joined.Node].Token { // another session
			p.seen[e.Joined.Node] = 0
		}
		p.joined[e.Joined.Node] = *e.Joined
		c.book.spend(e.Joined.Node, len(record))
		c.book.joined(e.Joined.Node, &wire.Join{Host: e.Joined.Host, PID: e.Joined.PID, Version: e.Joined.Version})
	case e.Phase != "":
		p.phase = e.Phase
	case e.Order != nil:
		if e.Order.Shared {
			c.book.shareEarly(e.Order.SharedNs)
		}
		if p.order = e.Order; e.Order.Kind == wire.Fire {
			p.fire = e.Order
			p.fires++
			c.book.instant(e.Order.Instant, time.Duration(e.Order.Instant-e.Order.Sent))
		}
	case e.Node != nil:
		p.nodes[e.Node.Node] = *e.Node
	case e.Trouble != nil:
		p.troubles = append(p.troubles, trouble{e.Trouble.Kind, e.Trouble.Node, e.Trouble.Failure})
	case e.Reason != nil:
		c.book.manifest.Notice(*e.Reason)
	case e.News != nil:
		c.book.spend(e.News.Node, len(record))
		return c.recallNews(p, e.News)
	case e.Seen != nil:
		p.seen[e.Seen.Node] = e.Seen.Seq
	case e.Counts != nil:
		c.book.progress(e.Counts.Node, e.Counts.Counts)
	}
	return nil
}

func (c *conductor) recallNews(p *past, t *told) error {
	if c.book.manifest.Nodes[t.Node] == nil {
		return fmt.Errorf("the recipe of the run has no node %.70q", t.Node)
	}
	if t.Segment != nil && c.book.unplanned(t.Node, t.Segment) != nil {
		t.Segment = nil // an earlier release took it
	}
	c.book.enter(t.Node, &t.News)
	if t.Controller != nil {
		c.book.boundFiles(t.Node)
	}
	p.seen[t.Node] = t.Seq
	return nil
}

// token returns the token of a session.
func (j joined) token() (token [16]byte, err error) {
	b, err := hex.DecodeString(j.Token)
	if err != nil || len(b) != len(token) {
		return token, errors.New("a token that is none")
	}
	return [16]byte(b), nil
}
