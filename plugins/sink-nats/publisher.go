package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"tsrun/sdk"
)

const (
	// again is how long after a failure the server is tried anew.
	again = 300 * time.Millisecond
	// mostMoved is how often in a row the stream may stand elsewhere than expected,
	// without a message that is taken.
	mostMoved = 10
	// keptEvery is how often the host is shown at the end that this is at work.
	keptEvery = time.Second
)

// publisher brings closed files into the stream of the node, in a goroutine of its
// own. What it has not sent yet is in the files, so it holds nothing but their names,
// and a process that goes on for one that died finds the rest there.
type publisher struct {
	config   config
	log      *slog.Logger
	record   sdk.Recording
	name     string // of the stream
	subjects string // all that are in it
	channels []*channel

	life context.Context
	end  context.CancelFunc
	wake chan struct{} // something was offered, or finish was called
	done chan struct{} // closed when run has returned

	mu        sync.Mutex
	finishing bool
	moved     time.Time // when the server last acknowledged something
	err       error     // why run has given up
	tally     tally
}

// tally is what the report counts.
type tally struct {
	Messages  uint64 `json:"messages"`   // acknowledged
	Tags      uint64 `json:"tags"`       // in them
	Outages   uint64 `json:"outages"`    // times that the server was away or refused
	SentAgain uint64 `json:"sent_again"` // messages that the server had acknowledged and lost
	Left      bool   `json:"incomplete"` // not all was acknowledged
	says      promise
	number    uint64 // of the last that was acknowledged
}

// channel is one channel on its way into the stream.
type channel struct {
	sdk.RecordedStream
	subject string
	closed  []sdk.Artifact // behind those that a process before has told of; guarded by publisher.mu
	place   place          // of the goroutine that publishes
	kept    uint64         // tags acknowledged; guarded by publisher.mu
	told    time.Time      // when the host was last shown so
}

func newPublisher(c config, node string, r sdk.Recording, log *slog.Logger) *publisher {
	p := &publisher{config: c, log: log, record: r, name: c.Prefix + "_" + r.Run.String() + "_" + node,
		wake: make(chan struct{}, 1), done: make(chan struct{})}
	before := c.Prefix + "." + r.Run.String() + "." + node + "."
	p.subjects = before + "*"
	for _, s := range r.Streams {
		p.channels = append(p.channels, &channel{RecordedStream: s, subject: before + s.Name})
	}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// offer takes a file that is closed.
func (p *publisher) offer(a sdk.Artifact) {
	p.mu.Lock()
	for _, c := range p.channels {
		if c.Stream == a.Stream && a.Kind == sdk.Tags {
			c.closed = append(c.closed, a)
		}
	}
	p.mu.Unlock()
	p.rouse()
}

func (p *publisher) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// connect opens a link and asks where the stream stands.
func (p *publisher) connect(ctx context.Context) (*link, error) {
	l, err := openLink(ctx, p.config, p.name, p.subjects)
	if err != nil {
		return nil, err
	}
	l.acked = p.acked
	if err := l.ask(ctx, p.channels); err != nil {
		l.close()
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.tally.says == (promise{}); first || p.tally.says != l.says {
		say := p.log.Info
		if !l.says.Durable {
			say = p.log.Warn
		}
		say("what the NATS server promises", "promise", l.says.Text, "server", l.says.Server, "storage", l.says.Storage, "replicas", l.says.Replicas, "sync_interval", l.says.Sync)
	}
	p.tally.says = l.says
	if lost := p.tally.number - min(l.last, p.tally.number); lost > 0 {
		p.log.Warn("the NATS server has lost messages that it had acknowledged; they are sent again from the files", "messages", lost)
		p.tally.SentAgain, p.tally.number = p.tally.SentAgain+lost, l.last
	}
	return l, nil
}

// run publishes until all is in the stream, or nothing more can be done; l is nil
// where there is no link yet.
func (p *publisher) run(l *link) {
	defer close(p.done)
	moved := 0
	for {
		var err error
		if l == nil {
			l, err = p.connect(p.life)
		}
		before := p.messages()
		if err == nil {
			err = p.work(l)
		}
		if l != nil {
			l.close()
			l = nil
		}
		if err == nil || p.life.Err() != nil {
			return
		}
		if moved++; !errors.Is(err, errMoved) || p.messages() > before {
			moved = 0
		}
		if err = p.hopeless(err, moved); err != nil {
			p.fail(err)
			return
		}
		select {
		case <-p.life.Done():
			return
		case <-time.After(again):
		}
	}
}

// hopeless says why trying again is of no use; nil where it is. It tells of the
// first failure after messages were taken.
func (p *publisher) hopeless(err error, moved int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := (*sdk.Failure)(nil); errors.As(err, &f) && (f.Code == "nats-foreign" || f.Code == "nats-payload" || f.Code == "nats-file") {
		return err
	}
	if moved > mostMoved {
		return &sdk.Failure{Code: "nats-foreign", Message: fmt.Sprintf("somebody else writes into the stream %s: %v", p.name, err),
			Hint: "its files are whole; give the sink a prefix or the server a user of its own"}
	}
	if p.finishing && time.Since(p.moved) > p.config.Patience.Duration() {
		return &sdk.Failure{Code: "nats-behind", Message: fmt.Sprintf("the NATS server has taken nothing for %v, and not all of the run is there: %v", p.config.Patience, err),
			Hint: "the files of the run are whole, nothing is lost here; look at the server"}
	}
	if p.tally.Outages == 0 || time.Since(p.moved) < again*3 {
		p.log.Warn("the NATS server takes no messages; the files grow, and are sent when it is back", "error", err)
	}
	p.tally.Outages++
	return nil
}

func (p *publisher) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.Error("no more messages are sent to the NATS server", "error", err)
	p.err, p.tally.Left = err, true
}

func (p *publisher) messages() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tally.Messages
}

// work sends what is closed, and ends when all is.
func (p *publisher) work(l *link) error {
	for {
		sent := false
		for _, c := range p.channels {
			a, is := p.next(c)
			if !is {
				continue
			}
			sent = true
			if err := p.sendFile(l, c, a); err != nil {
				return err
			}
		}
		if sent {
			continue
		}
		if p.allClosed() {
			return p.sendEnds(l)
		}
		if err := l.settle(p.life); err != nil {
			return err
		}
		select {
		case <-p.wake:
		case <-p.life.Done():
			return context.Cause(p.life)
		}
	}
}

// next is the file that a channel sends next; of one that a process before has told
// of only the name is known.
func (p *publisher) next(c *channel) (sdk.Artifact, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := c.place.segment
	switch {
	case c.place.ended || k >= c.Told+len(c.closed):
		return sdk.Artifact{}, false
	case k < c.Told:
		return sdk.Artifact{Path: fmt.Sprintf("%s-%06d.%s", c.Name, k, p.config.Format)}, true
	}
	return c.closed[k-c.Told], true
}

func (p *publisher) allClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.finishing {
		return false
	}
	for _, c := range p.channels {
		if !c.place.ended && c.place.segment < c.Told+len(c.closed) {
			return false
		}
	}
	return true
}

// sendEnds says of each channel that nothing follows.
func (p *publisher) sendEnds(l *link) error {
	for _, c := range p.channels {
		if c.place.ended {
			continue
		}
		h := p.head(c)
		h.segments, h.channels = c.place.segment, len(p.channels)
		if err := p.send(l, c, h, nil); err != nil {
			return err
		}
	}
	return l.settle(p.life)
}

// head is what the next message of a channel says in any case.
func (p *publisher) head(c *channel) head {
	return head{place: c.place, stream: c.Stream, format: p.config.Format, simulated: c.Simulated, segments: -1}
}

func (p *publisher) send(l *link, c *channel, h head, payload []byte) error {
	if err := l.send(p.life, message(c.subject, h, payload), c, h.count); err != nil {
		return err
	}
	c.place = h.after()
	return nil
}

// acked counts what the server has taken. The host is told how much of it is
// durable there: where that is not known, nothing; it is a sign of work at least.
func (p *publisher) acked(f flight) {
	p.mu.Lock()
	t, now := &p.tally, time.Now()
	t.Messages, t.Tags, t.number, p.moved = t.Messages+1, t.Tags+f.tags, f.number, now
	f.of.kept += f.tags
	tell := p.finishing && now.Sub(f.of.told) > keptEvery
	durable := uint64(0)
	if t.says.Durable {
		durable = f.of.kept
	}
	if tell {
		f.of.told = now
	}
	p.mu.Unlock()
	if tell {
		p.record.Kept(f.of.Stream, durable)
	}
}

// finish waits until all is in the stream, or nothing moves any more.
func (p *publisher) finish(ctx context.Context) error {
	p.mu.Lock()
	p.finishing, p.moved = true, time.Now()
	p.mu.Unlock()
	p.rouse()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.fail(fmt.Errorf("finish: %w", context.Cause(ctx)))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tally.says.Durable && !p.record.Resumed { // of one that goes on for another, the host has the tags of both
		for _, c := range p.channels {
			p.record.Kept(c.Stream, c.kept)
		}
	}
	return p.err
}

// stop ends the goroutine, whatever it does.
func (p *publisher) stop() {
	p.end()
	<-p.done
}

// report is what the file beside the tags says.
func (p *publisher) report() any {
	p.mu.Lock()
	defer p.mu.Unlock()
	why := ""
	if p.err != nil {
		why = p.err.Error()
	}
	return struct {
		Stream   string  `json:"stream"`
		Subjects string  `json:"subjects"`
		Server   promise `json:"server"`
		tally
		Why string `json:"why,omitempty"` // it is incomplete
	}{p.name, p.subjects, p.tally.says, p.tally, why}
}

// path is where a file of the recording is.
func (p *publisher) path(a sdk.Artifact) string {
	return filepath.Join(p.record.Dir, filepath.FromSlash(a.Path))
}
