package slave

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

const (
	heartbeat = 200 * time.Millisecond
	// newsBatch and newsBytes bound what one report carries; the rest goes with the next.
	// newsBytes is less where that takes longer than reportTimeout, down to leastBytes.
	newsBatch     = 200
	newsBytes     = 256 << 10
	leastBytes    = 4 << 10
	reportTimeout = 20 * time.Second
	// lastTimeout bounds the last report, and failureTimeout one that tells why the
	// node leaves: what is not told then the master takes for silence.
	lastTimeout    = time.Second
	failureTimeout = 5 * time.Second
	// maxNews is how large one piece of news may be, in bytes of JSON: what is
	// larger is cut, because what cannot be sent would hold up all that follows.
	maxNews = 64 << 10
	maxText = 4 << 10 // of one text within it
	// maxQueued is how many news may wait before lines of the log are dropped.
	maxQueued = 10_000
	// usualPatience is how long the master may be away where it does not say so itself.
	usualPatience = 10 * time.Minute
)

// reporter reports the state of the node to the master: at every heartbeat, and
// at once when something changed. News stay queued until the master has them.
type reporter struct {
	node, token string
	status      *wire.StatusClient
	progress    func() []fact.StreamCounts
	glimpse     func() *wire.Glimpse // nil: the node is not watched
	clock       func() *clock.Reading
	hearClocks  func([]clock.Standing) // of the master
	alive       func()                 // is told of each heartbeat
	orphaned    func() bool            // the master that has started this process has ended
	orders      *inbox
	kick        chan struct{}
	bytes       int // of news that the next report may carry; of the goroutine that reports
	ledger      *ledger

	mu       sync.Mutex
	phase    wire.Phase
	disk     *fact.Disk // nil: not watched
	offered  string     // the master that was offered everything; of the phase Done
	master   string     // the newest that has answered; empty: it does not say which it is
	order    uint64
	beacon   bool
	news     []queued // not yet seen by the master
	lastNews uint64
	dropped  int       // lines of the log, since one was last queued
	heard    time.Time // the master's last answer
	answered *wire.Answered
	watch    wire.Attention
}

// queued is a piece of news and its length as JSON.
type queued struct {
	wire.News
	bytes  int
	record uint64 // of the ledger, which has it before the master hears of it
}

func newReporter(node, token string, status *wire.StatusClient, orders *inbox) *reporter {
	return &reporter{node: node, token: token, status: status, orders: orders,
		kick: make(chan struct{}, 1), bytes: newsBytes, phase: wire.Preparing, heard: time.Now(),
		progress: func() []fact.StreamCounts { return nil }, clock: func() *clock.Reading { return nil }, hearClocks: func([]clock.Standing) {}, alive: func() {},
		orphaned: func() bool { return false }}
}

// Run reports until ctx ends or the master refuses this session for good.
func (r *reporter) Run(ctx context.Context) error {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		r.alive()
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
	try, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	reply, err := ask(try, r.status, wire.Request{Node: r.node, Token: r.token, Report: r.snapshot()})
	came := time.Now()
	if err != nil {
		r.bytes = max(r.bytes/2, leastBytes)
		return nil // the next heartbeat tries again, and silence counts from heard
	}
	r.bytes = min(2*r.bytes, newsBytes)
	if reply.Order != nil && reply.Refused != nil { // a node that was given up still carries out the last one
		r.orders.put(*reply.Order, fact.ByAnswer, time.Now())
	}
	if reply.Refused != nil {
		r.orders.close(reply.Refused)
		return reply.Refused
	}
	if reply.Order != nil { // before the news count as seen: confirm relies on it
		r.orders.put(*reply.Order, fact.ByAnswer, time.Now())
	}
	if id := plain(reply.Master); id != "" && id != r.answeredBy() {
		r.takenOver(id, reply.Seen)
	}
	r.mu.Lock()
	if r.heard = time.Now(); reply.SentNs != 0 {
		r.answered = &wire.Answered{SentNs: reply.SentNs, CameNs: came.UnixNano()}
	}
	waiting := len(r.news)
	for len(r.news) > 0 && r.news[0].Seq <= reply.Seen {
		r.news = r.news[1:]
	}
	more := len(r.news) > 0 && len(r.news) < waiting // a master whose disk is slow has seen none
	hearClocks := r.hearClocks
	r.mu.Unlock()
	hearClocks(reply.Clocks)
	if more {
		r.wake()
	}
	return nil
}

// reportLast sends the last report and closes the connection. Run has returned before.
func (r *reporter) reportLast() {
	defer r.status.Close()
	if r.orphaned() {
		return // nobody is there to be told
	}
	within := lastTimeout
	if r.failureQueued() {
		within = failureTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(within, 3*r.status.RoundTrip()))
	defer cancel()
	_ = r.report(ctx) // the master may be gone; it would notice the silence by itself
}

func (r *reporter) snapshot() *wire.Report {
	r.mu.Lock()
	progress, readClock, look := r.progress, r.clock, r.glimpse
	r.mu.Unlock()
	var glimpse *wire.Glimpse
	if look != nil {
		glimpse = look()
	}
	counts := progress() // asks the core, which has locks of its own
	reading := readClock()
	r.mu.Lock()
	defer r.mu.Unlock()
	var news []wire.News
	for i, bytes := 0, 0; i < min(len(r.news), newsBatch); i++ {
		if bytes += r.news[i].bytes; bytes > r.bytes && i > 0 || !r.ledger.written(r.news[i].record) {
			break
		}
		news = append(news, r.news[i].News)
	}
	report := &wire.Report{Phase: r.phase, Order: r.order, Beacon: r.beacon, ClockNs: time.Now().UnixNano(), Answered: r.answered, Clock: reading,
		Progress: counts, Glimpse: glimpse, News: news, Disk: r.disk, Offered: r.offered}
	if r.status != nil {
		report.RoundTripNs = int64(r.status.RoundTrip())
	}
	return report
}

func (r *reporter) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// queueNews queues one piece of news.
func (r *reporter) queueNews(n wire.News) {
	t := shorten(n)
	r.mu.Lock()
	r.lastNews++
	t.Seq = r.lastNews
	t.record = r.ledger.keepNews(t.News)
	r.news = append(r.news, t)
	r.mu.Unlock()
	r.wake()
}

// shorten cuts a piece of news that is too long to be sent, and writes that it did.
func shorten(n wire.News) queued {
	if t, ok := measured(n); ok {
		return t
	}
	switch {
	case n.Failure != nil:
		f := *n.Failure
		f.Message, f.Hint = cut(f.Message), cut(f.Hint)
		n.Failure = &f
	case n.Warning != nil:
		w := wire.Warning{Message: cut(n.Warning.Message), Hint: cut(n.Warning.Hint)}
		n.Warning = &w
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

// measured returns a piece of news with its length; ok: it may be sent.
func measured(n wire.News) (t queued, ok bool) {
	text, err := json.Marshal(n)
	return queued{News: n, bytes: len(text)}, err == nil && len(text) <= maxNews
}

// cut shortens a text, and writes how long it was.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return fmt.Sprintf("%s … (%d bytes in all)", strings.ToValidUTF8(text[:maxText], ""), len(text))
}

// queueFailure queues the news of a failure.
func (r *reporter) queueFailure(err error) {
	f := sdk.Failure{Code: "failed"}
	if cause := (*sdk.Failure)(nil); errors.As(err, &cause) {
		f = *cause
	}
	f.Message = err.Error() // with what was wrapped around the cause
	if f.Hint != "" {
		f.Message = strings.TrimSuffix(f.Message, "; "+f.Hint)
	}
	r.queueNews(wire.News{Failure: &f})
}

func (r *reporter) setPhase(p wire.Phase) { r.stand(p, "") }

// setDone reports that a master was offered everything, and that no more will come.
func (r *reporter) setDone(master string) { r.stand(wire.Done, master) }

func (r *reporter) stand(p wire.Phase, offered string) {
	r.mu.Lock()
	r.phase, r.offered = p, offered
	r.mu.Unlock()
	r.wake()
}

// answeredBy returns the master that has answered last.
func (r *reporter) answeredBy() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.master
}

// acknowledge reports that an order was carried out.
func (r *reporter) acknowledge(seq uint64) {
	r.mu.Lock()
	r.order = max(r.order, seq) // a stop may take longer than what comes after it
	r.mu.Unlock()
	r.wake()
}

// setBeacon records that the trigger port was heard.
func (r *reporter) setBeacon() {
	r.mu.Lock()
	r.beacon = true
	r.mu.Unlock()
}

// setLedger has the news from now on kept before the master hears of them.
func (r *reporter) setLedger(l *ledger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ledger = l
}

func (r *reporter) setProgress(f func() []fact.StreamCounts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress = f
}

// setGlimpse gives what the controllers of a node see that is watched; nil: it is not.
func (r *reporter) setGlimpse(f func() *wire.Glimpse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.glimpse = f
}

// setDisk records how full the disk of the node's files is.
func (r *reporter) setDisk(d fact.Disk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.disk = &d
}

// setClock gives what reads this PC's clock, and what hears how the master's stands.
func (r *reporter) setClock(read func() *clock.Reading, hear func([]clock.Standing)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock, r.hearClocks = read, hear
}

// silence returns for how long the master has not answered, while this process
// was at work to hear it.
func (r *reporter) silence() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.heard = wire.Forgive(r.heard, r.watch.Pause(now), now)
	return now.Sub(r.heard)
}

// roundTrip is the shortest time that an answer of the master took.
func (r *reporter) roundTrip() time.Duration { return r.status.RoundTrip() }

// newsSeen reports whether the master has all news.
func (r *reporter) newsSeen() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.news) == 0
}

// failureQueued reports whether the master has yet to hear of a failure.
func (r *reporter) failureQueued() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.news, func(q queued) bool { return q.Failure != nil })
}

// Write queues one line of the node's log, so that the reporter can be the
// target of a slog handler. While the master is away, at most maxQueued news
// wait: further lines of the log are dropped and counted, facts never are.
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
		r.queueNews(wire.News{Log: fmt.Appendf(nil, `{"level":"WARN","msg":"log lines dropped while the master was away","lines":%d}`, dropped)})
	}
	r.queueNews(wire.News{Log: shortened(line)})
	return len(line), nil
}

// shortened returns a line of the log as it is sent: a long one keeps its time,
// its level and the begin of its message.
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
