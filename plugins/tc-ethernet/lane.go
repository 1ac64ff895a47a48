package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sdk/zmtp"
)

const (
	// holdTags is how many tags of undecided messages are kept before the
	// first one is given up: 64 MiB.
	holdTags = 8 << 20

	// largeMessage is from where on a message may have been sent before its
	// record was over: half of what the service is known to buffer.
	largeMessage = 50_000_000

	// beyond is how far a value may lie behind the end of its record. Delays
	// and offsets inside the device reach there; damaged times lie beyond.
	beyond = uint64(quantity.Second)
)

// output is where tags go: sdk.Stream.
type output interface {
	Send(stream uint16, tags []uint64) error
	Mark(stream uint16, until uint64) error
	Lost(stream uint16, n uint64, why string)
}

// lane is one channel during an acquisition. Its goroutine numbers messages
// and sends their tags on; everything here belongs to it, except what says
// otherwise.
type lane struct {
	channel sdk.Channel
	id      string // of the acquisition at the service
	conn    *zmtp.Conn

	plan   plan
	origin time.Time // of the times in numbering
	out    output
	ask    func(context.Context) (status, error) // after this channel, at the service
	number numbering
	queue  []waiting // what number holds, in the same order
	held   uint64    // tags in queue

	inside  bool   // a large message is under way
	record  int    // its record; -1: it is given up
	reached uint64 // ps: no tag before this can be sent

	report channelReport

	statuses chan news     // from the goroutine that watches; a new one replaces one not taken yet
	done     chan struct{} // closed when the goroutine has ended
	err      error         // why, once done is closed: sending failed
	ended    error         // why the stream ended, once done is closed; nil: by the service's mark

	received atomic.Uint64 // tags taken from the stream and dealt with
	busy     atomic.Bool   // waiting for the core
	waiting  atomic.Bool   // for the next message, with none before it in hand
	records  atomic.Int64  // counted by the service; set by the goroutine that watches
	stopped  atomic.Int64  // ns since origin when a stop was ordered; 0: not yet
}

// waiting is a message that has no number yet.
type waiting struct {
	buffer *buffer
	tags   []uint64
}

// news is a status for a lane.
type news struct {
	counted
	until uint64 // ps: the counted records end here
}

func newLane(c sdk.Channel, id string) *lane {
	return &lane{channel: c, id: id, report: channelReport{Channel: c.Name, Input: c.Input},
		statuses: make(chan news, 1), done: make(chan struct{})}
}

// begin tells the lane when the records began.
func (l *lane) begin(p plan, began span, out output) {
	l.plan, l.origin, l.out = p, began.called, out
	l.number = newNumbering(p, began.returned.Sub(began.called))
}

// tell gives the lane a status. Only one goroutine may.
func (l *lane) tell(c news) {
	select {
	case <-l.statuses: // older, and not taken yet
	default:
	}
	l.statuses <- c
}

// run numbers and sends until the stream has ended.
func (l *lane) run(ctx context.Context) {
	defer close(l.done)
	s := newStream(l.conn, &l.waiting)
	reading, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.read(reading)
	}()
	defer func() {
		stop()
		l.conn.Close()
		<-ended
		l.ended = s.err
	}()
	for {
		select {
		case c := <-l.statuses:
			l.err = l.note(c)
		case p, more := <-s.pieces:
			if !more {
				l.err = l.finish(s)
				return
			}
			select { // what it says came first
			case c := <-l.statuses:
				l.err = l.note(c)
			default:
			}
			if l.err == nil {
				l.err = l.take(ctx, s, p)
			}
		}
		if l.err != nil {
			return
		}
	}
}

// note takes a status in and marks the records that are complete.
func (l *lane) note(c news) error {
	l.number.note(c.counted)
	if len(l.queue) > 0 || l.inside || c.tags > l.number.received || c.until <= l.reached {
		return nil
	}
	l.reached = c.until
	return l.out.Mark(l.channel.Stream, c.until)
}

// take deals with one piece of a message.
func (l *lane) take(ctx context.Context, s *stream, p piece) error {
	defer func() { l.received.Add(uint64(len(p.tags))) }()
	if !slices.IsSorted(p.tags) {
		slices.Sort(p.tags)
		l.report.Sorted++
	}
	if !p.first {
		return l.takeMore(s, p)
	}
	m := message{at: p.at.Sub(l.origin), tags: p.size, first: p.tags[0], last: p.tags[len(p.tags)-1], count: -1}
	stopped := time.Duration(l.stopped.Load())
	m.begun = p.size > largeMessage || stopped > 0 && m.at >= stopped
	if p.last {
		// Not for a large message: the service may be busy sending it, and
		// would answer only when it has been read.
		if st, err := l.ask(ctx); err == nil {
			m.count = st.records
		}
	}
	l.report.Messages++
	l.inside, l.record = !p.last, -1
	err := l.number.take(m)
	l.report.ClockJumps = l.number.jumps
	if err != nil {
		l.giveUp(p.size, fmt.Sprintf("a message of %d tags fits no record: %v", p.size, err))
		s.recycle(p.buffer)
		return nil
	}
	l.queue = append(l.queue, waiting{p.buffer, p.tags})
	l.held += uint64(len(p.tags))
	if !p.last {
		return l.decideLarge(s, p)
	}
	if err := l.settle(s); err != nil {
		return err
	}
	for l.held > holdTags {
		l.dropFirst(s)
		if err := l.settle(s); err != nil {
			return err
		}
	}
	return nil
}

// decideLarge numbers a message whose rest is still to come, now or never.
func (l *lane) decideLarge(s *stream, p piece) error {
	if err := l.settle(s); err != nil {
		return err
	}
	if len(l.queue) == 0 {
		return nil // settle has noted its record
	}
	for len(l.queue) > 1 {
		l.dropFirst(s)
		if err := l.settle(s); err != nil {
			return err
		}
	}
	if len(l.queue) == 1 {
		low, high := l.number.drop()
		l.forget(s)
		l.giveUp(p.size, ambiguous(p.size, low, high))
		l.record = -1
	}
	return nil
}

// takeMore deals with the second and later pieces of a large message.
func (l *lane) takeMore(s *stream, p piece) error {
	defer s.recycle(p.buffer)
	l.number.extend(p.tags[len(p.tags)-1])
	record := l.record
	l.inside = !p.last
	if record < 0 {
		return nil // counted as lost with the first piece
	}
	return l.send(record, p.tags)
}

// settle sends the messages whose numbers are decided, and gives those up that
// will never have one.
func (l *lane) settle(s *stream) error {
	for {
		record, ok := l.number.next()
		if !ok && l.number.hopeless() {
			l.dropFirst(s)
			continue
		}
		if !ok {
			return nil
		}
		l.record = record
		if err := l.send(record, l.queue[0].tags); err != nil {
			return err
		}
		l.forget(s)
	}
}

// forget takes the first message out of the queue.
func (l *lane) forget(s *stream) {
	w := l.queue[0]
	l.queue = slices.Delete(l.queue, 0, 1)
	l.held -= uint64(len(w.tags))
	s.recycle(w.buffer)
}

// dropFirst gives up the first message in the queue.
func (l *lane) dropFirst(s *stream) {
	n := uint64(len(l.queue[0].tags))
	low, high := l.number.drop()
	l.forget(s)
	l.giveUp(n, ambiguous(n, low, high))
}

func ambiguous(tags uint64, low, high int) string {
	return fmt.Sprintf("a message of %d tags may be of record %d to %d: this PC was held up, or records were empty", tags, low, high)
}

// giveUp records the loss of a message that has no number.
func (l *lane) giveUp(tags uint64, why string) {
	l.report.Ambiguous++
	l.report.AmbiguousTags += tags
	l.out.Lost(l.channel.Stream, tags, why)
}

// send puts sorted tags of a record on the acquisition's time and sends them.
// What cannot be sent in order is a loss.
func (l *lane) send(record int, tags []uint64) error {
	begin := uint64(record) * l.plan.period
	end, _ := slices.BinarySearch(tags, l.plan.period+beyond)
	if n := len(tags) - end; n > 0 {
		defer l.out.Lost(l.channel.Stream, uint64(n), fmt.Sprintf("%s of record %d, far behind its end", quantity.Counted(n, "tag"), record))
		l.report.Beyond += uint64(n)
	}
	tags = tags[:end]
	if begin < l.reached {
		early, _ := slices.BinarySearch(tags, l.reached-begin)
		if early > 0 {
			l.report.OutOfOrder += uint64(early)
			l.out.Lost(l.channel.Stream, uint64(early), fmt.Sprintf("%s of record %d came after later ones", quantity.Counted(early, "tag"), record))
		}
		tags = tags[early:]
	}
	if len(tags) == 0 {
		return nil
	}
	for i := range tags {
		tags[i] += begin
	}
	l.reached = tags[len(tags)-1]
	l.report.Tags += uint64(len(tags))
	l.busy.Store(true)
	defer l.busy.Store(false)
	return l.out.Send(l.channel.Stream, tags)
}

// finish decides what it can when no message will come any more.
func (l *lane) finish(s *stream) error {
	l.number.finish(int(l.records.Load()))
	if err := l.settle(s); err != nil {
		return err
	}
	for len(l.queue) > 0 {
		l.dropFirst(s)
		if err := l.settle(s); err != nil {
			return err
		}
	}
	return nil
}
