package slave

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

const (
	heartbeat = 200 * time.Millisecond
	// newsBatch and newsBytes bound what one report carries; the rest goes with the next.
	newsBatch = 200
	newsBytes = 256 << 10
	// maxNews is how large one piece of news may be, in bytes of JSON: what is
	// larger is cut, because what cannot be sent would hold up all that follows.
	maxNews = 64 << 10
	maxText = 4 << 10 // of one text within it
	// maxQueued is how many news may wait before lines of the log are dropped.
	maxQueued = 10_000
	// masterPatience is how long a finished node waits for a master that does not answer.
	masterPatience = 10 * time.Second
)

// reporter tells the master how the node stands: at every heartbeat, and at
// once when something changed. News stay queued until the master has them.
type reporter struct {
	node, token string
	status      *wire.StatusClient
	progress    func() []fact.StreamCounts
	orders      *inbox
	kick        chan struct{}

	mu       sync.Mutex
	phase    wire.Phase
	order    uint64
	beacon   bool
	news     []told // not yet seen by the master
	lastNews uint64
	dropped  int       // lines of the log, since one was last queued
	heard    time.Time // the master's last answer
	refused  *sdk.Failure
}

// told is a piece of news and how long it is as JSON.
type told struct {
	wire.News
	bytes int
}

func newReporter(node, token string, status *wire.StatusClient, orders *inbox) *reporter {
	return &reporter{node: node, token: token, status: status, orders: orders,
		kick: make(chan struct{}, 1), phase: wire.Preparing, heard: time.Now(),
		progress: func() []fact.StreamCounts { return nil }}
}

// Run reports until ctx ends or the master refuses this session for good.
func (r *reporter) Run(ctx context.Context) error {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		if err := r.report(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.kick:
		}
	}
}

func (r *reporter) report(ctx context.Context) error {
	reply, err := ask(ctx, r.status, wire.Request{Node: r.node, Token: r.token, Report: r.snapshot()})
	if err != nil {
		return nil // unheard of: the next heartbeat tries again, and silence is judged by heard
	}
	if reply.Refused != nil {
		r.mu.Lock()
		r.refused = reply.Refused
		r.mu.Unlock()
		r.orders.close(reply.Refused)
		return reply.Refused
	}
	r.mu.Lock()
	r.heard = time.Now()
	for len(r.news) > 0 && r.news[0].Seq <= reply.Seen {
		r.news = r.news[1:]
	}
	more := len(r.news) > 0
	r.mu.Unlock()
	if more {
		r.wake()
	}
	if reply.Order != nil {
		r.orders.put(*reply.Order)
	}
	return nil
}

// last tells the master the end and hangs up. Run has ended before.
func (r *reporter) last() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.report(ctx) // the master may be gone; it would notice the silence by itself
	r.status.Close()
}

func (r *reporter) snapshot() *wire.Report {
	r.mu.Lock()
	progress := r.progress
	r.mu.Unlock()
	counts := progress() // asks the core, which has locks of its own
	r.mu.Lock()
	defer r.mu.Unlock()
	var news []wire.News
	for i, bytes := 0, 0; i < min(len(r.news), newsBatch); i++ {
		if bytes += r.news[i].bytes; bytes > newsBytes && i > 0 {
			break
		}
		news = append(news, r.news[i].News)
	}
	return &wire.Report{Phase: r.phase, Order: r.order, Beacon: r.beacon, ClockNs: time.Now().UnixNano(), Progress: counts, News: news}
}

func (r *reporter) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// tell queues one piece of news.
func (r *reporter) tell(n wire.News) {
	t := fit(n)
	r.mu.Lock()
	r.lastNews++
	t.Seq = r.lastNews
	r.news = append(r.news, t)
	r.mu.Unlock()
	r.wake()
}

// fit cuts what is too long to be sent, and says so in its place.
func fit(n wire.News) told {
	if t, ok := measured(n); ok {
		return t
	}
	switch {
	case n.Failure != nil:
		f := *n.Failure
		f.Message, f.Hint = cut(f.Message), cut(f.Hint)
		n.Failure = &f
	case n.Loss != nil:
		l := *n.Loss
		l.Why = cut(l.Why)
		n.Loss = &l
	case n.Ended != nil:
		e := *n.Ended
		e.Report = fmt.Appendf(nil, `{"left_out":"a report of %d bytes; at most %d can be sent"}`, len(e.Report), maxNews)
		n.Ended = &e
	}
	if t, ok := measured(n); ok {
		return t
	}
	t, _ := measured(wire.News{Failure: &sdk.Failure{Code: "too-long",
		Message: fmt.Sprintf("a fact of this node takes more than %d bytes and was not sent; a plugin or device uses very long texts", maxNews)}})
	return t
}

// measured says how long a piece of news is; ok: it may be sent.
func measured(n wire.News) (t told, ok bool) {
	text, err := json.Marshal(n)
	return told{n, len(text)}, err == nil && len(text) <= maxNews
}

// cut shortens a text and says by how much.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return fmt.Sprintf("%s … (%d bytes in all)", strings.ToValidUTF8(text[:maxText], ""), len(text))
}

// fail reports something that will not mend by itself.
func (r *reporter) fail(err error) {
	f := sdk.Failure{Code: "failed"}
	if cause := (*sdk.Failure)(nil); errors.As(err, &cause) {
		f = *cause
	}
	f.Message = err.Error() // with what was wrapped around the cause
	if f.Hint != "" {
		f.Message = strings.TrimSuffix(f.Message, "; "+f.Hint)
	}
	r.tell(wire.News{Failure: &f})
}

func (r *reporter) enter(p wire.Phase) {
	r.mu.Lock()
	r.phase = p
	r.mu.Unlock()
	r.wake()
}

// carriedOut acknowledges an order.
func (r *reporter) carriedOut(seq uint64) {
	r.mu.Lock()
	r.order = max(r.order, seq) // a stop may take longer than what comes after it
	r.mu.Unlock()
	r.wake()
}

func (r *reporter) heardBeacon() {
	r.mu.Lock()
	r.beacon = true
	r.mu.Unlock()
}

func (r *reporter) setProgress(f func() []fact.StreamCounts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress = f
}

// silence is how long the master has not answered.
func (r *reporter) silence() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.heard)
}

// toldAll says that the master has all news.
func (r *reporter) toldAll() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.news) == 0
}

// Write takes one line of the node's log, so that the reporter can be the
// target of a slog handler. While the master is away, only so many wait for
// it: facts are never dropped, lines of the log are, and counted.
func (r *reporter) Write(line []byte) (int, error) {
	r.mu.Lock()
	full := len(r.news) >= maxQueued
	if full {
		r.dropped++
	}
	dropped := r.dropped
	if !full {
		r.dropped = 0
	}
	r.mu.Unlock()
	switch {
	case full || !json.Valid(line):
		return len(line), nil
	case dropped > 0:
		r.tell(wire.News{Log: fmt.Appendf(nil, `{"level":"WARN","msg":"log lines dropped while the master was away","lines":%d}`, dropped)})
	}
	r.tell(wire.News{Log: shortened(line)})
	return len(line), nil
}

// shortened is a line of the log as it is sent: a long one keeps when it was,
// how bad it is, and the begin of what it says.
func shortened(line []byte) json.RawMessage {
	if len(line) <= 2*maxText {
		return append(json.RawMessage(nil), line...)
	}
	var l struct {
		Time  time.Time `json:"time"`
		Level string    `json:"level"`
		Msg   string    `json:"msg"`
		Bytes int       `json:"bytes"`
	}
	_ = json.Unmarshal(line, &l) // what is of another type stays empty
	l.Level, l.Msg, l.Bytes = cut(l.Level), cut(l.Msg), len(line)
	text, _ := json.Marshal(l) // texts and numbers always encode
	return text
}

// inbox holds the newest order. Orders arrive twice, by publication and with
// the master's answers, and are believed once, by their number.
type inbox struct {
	mu   sync.Mutex
	last uint64
	ch   chan wire.Order
	err  error
	shut chan struct{}
}

func newInbox() *inbox {
	return &inbox{ch: make(chan wire.Order, 16), shut: make(chan struct{})}
}

func (b *inbox) put(o wire.Order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o.Seq <= b.last || o.Kind == wire.Beacon || b.err != nil {
		return
	}
	b.last = o.Seq
	select {
	case b.ch <- o:
	default: // 16 orders behind: a run has six
	}
}

// close ends every wait for an order.
func (b *inbox) close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		close(b.shut)
	}
}

func (b *inbox) closedBy() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
