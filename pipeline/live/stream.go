package live

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
)

// maxInbox is how much waits for a stream; of what comes beyond that it is not told.
const maxInbox = 4096

// Stream is a live sink while a run goes on.
type Stream struct {
	sink      recipe.Live
	publisher *publisher
	inbox     chan any // Segment or Followed
	missed    atomic.Int64
	closing   sync.Once
	stop      context.CancelFunc // nil: not started
	done      chan struct{}      // closed when all is sent
	totals    Totals             // once done
	taker     *taker             // nil: whoever subscribes
	warn      func(message, hint string)
}

// Listen opens the socket of a live sink. Nothing is sent until it is started.
func Listen(sink recipe.Live) (*Stream, error) {
	network, address, ok := sink.Config.Network()
	if !ok || sink.Config.Queue < 1 {
		return nil, fmt.Errorf("sink %s: %.120q is no address of a live sink", sink.Name, sink.Config.Address)
	}
	p, err := listen(network, address, sink.Config.Queue)
	if err != nil {
		return nil, err
	}
	return &Stream{sink: sink, publisher: p, inbox: make(chan any, maxInbox), done: make(chan struct{})}, nil
}

// Begin is what a stream is told of its run.
type Begin struct {
	Dir       string // the run directory
	Run       string
	Simulated bool
	Recipe    *recipe.Recipe
	Warn      func(message, hint string) // returns at once
}

// Start starts to send what is offered from now on.
func (s *Stream) Start(b Begin) error {
	m, err := s.merger(b)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background()) // ended by Close
	s.stop, s.warn = stop, b.Warn
	go s.loop(ctx, m)
	return nil
}

// Started reports whether it was.
func (s *Stream) Started() bool { return s.stop != nil }

// Offer hands over a proven segment. It never waits; nothing is offered after End.
func (s *Stream) Offer(segment Segment) { s.give(segment) }

// Follow hands over what was found of a clock. It never waits.
func (s *Stream) Follow(f Followed) { s.give(f) }

func (s *Stream) give(what any) {
	select {
	case s.inbox <- what:
	default:
		s.missed.Add(1)
	}
}

// End says that nothing more comes.
func (s *Stream) End() { s.closing.Do(func() { close(s.inbox) }) }

// Close waits until all is sent, though not for ever, and says what was.
func (s *Stream) Close(within time.Duration) run.LiveRecord {
	s.End()
	if s.taker != nil {
		s.taker.over.Store(true)
	}
	if s.stop == nil {
		s.publisher.close(context.Background(), nil)
	} else {
		select {
		case <-s.done:
		case <-time.After(within):
		}
		s.stop()
		<-s.done
	}
	t := s.totals
	record := run.LiveRecord{Sink: s.sink.Name, Address: s.sink.Config.Address, Messages: t.Messages, Tags: t.Tags, Withheld: t.Withheld,
		Late: t.Late, Missed: t.Missed, Broken: t.Broken, Dropped: s.publisher.dropped, Subscribers: s.publisher.most}
	if s.taker != nil {
		record.Address = ""
		record.Taken = s.taken(t.Messages)
	}
	return record
}

// taken is what the plugin of the sink has made of what was sent. The run is what it is
// without it.
func (s *Stream) taken(sent uint64) *run.TakenRecord {
	r, hint := s.taker.close(sent)
	if s.warn != nil && (r.Missing > 0 || r.Failed != "") {
		words := fmt.Sprintf("sink %s: %d of %d messages are missing on %s", s.sink.Name, r.Missing, sent, cmp.Or(r.Where, "what "+r.Plugin+" brings them to"))
		if r.Failed != "" {
			words += ": " + r.Failed
		}
		s.warn(words, cmp.Or(hint, restIsThere))
	}
	return &r
}

func (s *Stream) loop(ctx context.Context, m *merger) {
	defer close(s.done)
	defer m.close()
	for more := true; more && ctx.Err() == nil; {
		if m.step(ctx) {
			more = s.takeWaiting(m)
			continue
		}
		m.hold(ctx)
		select {
		case <-ctx.Done():
		case what, open := <-s.inbox:
			if more = open; open {
				m.take(what)
				more = s.takeWaiting(m)
			}
		}
	}
	if ctx.Err() == nil {
		m.flush(ctx)
	}
	s.finish(ctx, m)
}

// takeWaiting takes all that waits, before each window: what came while a clock was not known
// takes long to send, and the inbox would be full of what many nodes bring meanwhile.
func (s *Stream) takeWaiting(m *merger) (more bool) {
	for {
		select {
		case what, open := <-s.inbox:
			if !open {
				return false
			}
			m.take(what)
		default:
			return true
		}
	}
}

// finish sends the last message.
func (s *Stream) finish(ctx context.Context, m *merger) {
	m.totals.Missed = s.missed.Load()
	s.totals = m.totals
	s.totals.Messages++
	h := m.header(KindEnd)
	h.Totals = &s.totals
	last, err := encode(h, nil, nil)
	if err != nil {
		m.begin.Warn(fmt.Sprintf("sink %s: %v", s.sink.Name, err), "")
	}
	s.publisher.close(ctx, last)
}

// merger makes messages of what a stream is given.
func (s *Stream) merger(b Begin) (*merger, error) {
	stages, err := stage.AlignStages(b.Recipe)
	if err != nil {
		return nil, err
	}
	var follows [][2]string
	var by []string
	for _, st := range stages {
		for _, f := range st.Follows(b.Recipe) {
			follows, by = append(follows, f), append(by, st.Name)
		}
	}
	m := &merger{begin: b, sink: s.sink.Name, publisher: s.publisher, length: uint64(b.Recipe.Acquire.Segment),
		several: b.Recipe.Acquire.Shots() > 1, duration: uint64(b.Recipe.Acquire.Duration), starts: map[int]uint64{}}
	m.reference = b.Recipe.ClockOf(b.Recipe.LiveReference(s.sink, follows))
	for _, name := range b.Recipe.Sends(s.sink) {
		c := &channel{name: name, dir: b.Dir, here: map[place]Segment{}, last: place{nth: -1}, late: &m.totals.Late, failed: m.failed}
		if its := b.Recipe.ClockOf(name); its != m.reference {
			c.clock = m.clock(its, follows, by)
		}
		m.channels = append(m.channels, c)
	}
	return m, nil
}

// clock returns the clock of a controller, made when a channel is the first to have it.
// One that is not followed against the reference's is behind those on the way there.
func (m *merger) clock(name string, follows [][2]string, by []string) (c *clock) {
	known := func(name string) *clock {
		i := slices.IndexFunc(m.clocks, func(c *clock) bool { return c.name == name })
		if i < 0 {
			m.clocks = append(m.clocks, &clock{name: name, state: together})
			i = len(m.clocks) - 1
		}
		return m.clocks[i]
	}
	for _, i := range m.begin.Recipe.LiveWay(m.reference, name, follows) {
		f, via := follows[i], c
		if c = known(m.begin.Recipe.ClockOf(f[1])); c.stage == "" {
			c.via, c.stage, c.reference, c.target, c.state = via, by[i], f[0], f[1], searching
		}
	}
	if c == nil {
		c = known(name)
	}
	return c
}
