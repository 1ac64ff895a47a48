package transfer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/fact"
	"tsrun/sdk/zmtp"
)

const (
	maxStreams   = 16
	maxOpen      = 16               // files under way at once
	sendTimeout  = 30 * time.Second // for one chunk; longer, and the connection is made anew
	patience     = time.Minute      // without any progress; longer, and Run gives up, where nobody says how long
	stillness    = 30 * time.Second // without a credit; longer, and the connection is made anew
	firstChunk   = 256 << 10        // bytes; the first chunks are no longer, whatever is asked for
	quickCredit  = time.Second      // where credit comes within that, chunks may be twice as long
	leastChunk   = 64 << 10         // bytes; chunks get no shorter where connections break
	redialPause  = 200 * time.Millisecond
	watchEvery   = time.Second
	maxTold      = 3  // files that could not be sent are named, others are counted
	maxUnchanged = 20 // times in a row that sending a file again made no less of it missing

	firstPoll = 5 * time.Millisecond // between questions about a file that is looked at; a quarter longer each time
	lastPoll  = 250 * time.Millisecond
)

// SenderOptions say where a Sender sends and whom it asks.
type SenderOptions struct {
	Addr     string         // of the files port, host:port
	Token    [16]byte       // of the session
	Security *zmtp.Security // nil: without TLS
	// Chunk is how many bytes are under one checksum at most; a slow link has
	// shorter chunks. 0: DefaultChunk
	Chunk int
	// Window is how many chunks of a connection may be on their way: sent, and no
	// credit come. So much is sent again when a connection breaks. 0: DefaultWindow
	Window  int
	Streams int // connections; 0: 1
	// Compress has chunks of tags packed where the link is slow beside that, as
	// measured.
	Compress bool
	// Ask asks the Receiver about a file, however that is reached. It tries
	// until it has an answer or ctx ends; an error ends the Sender.
	Ask func(ctx context.Context, f File) (Answer, error)
	Log *slog.Logger
	// Patience is how long nothing may move although something should before Run
	// gives up; 0: a minute.
	Patience time.Duration
	// Arrived hears of each file that the Receiver has proven; it returns at
	// once. nil: nobody wants to know.
	Arrived func(f File)
}

// Sender sends files until the Receiver has proven that it has them. Source
// files are only read.
type Sender struct {
	options SenderOptions
	wake    chan bool // holds at most one value

	mu       sync.Mutex
	queue    []File
	finished bool
	sent     fact.Sent
}

// NewSender returns a Sender; Run makes it work.
func NewSender(o SenderOptions) *Sender {
	if o.Chunk == 0 {
		o.Chunk = DefaultChunk
	}
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	if o.Streams == 0 {
		o.Streams = 1
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Patience == 0 {
		o.Patience = patience
	}
	if o.Arrived == nil {
		o.Arrived = func(File) {}
	}
	return &Sender{options: o, wake: make(chan bool, 1)}
}

// Reach returns nil as soon as a connection to the Receiver could be made, and
// what was in the way last when ctx ends before.
func (s *Sender) Reach(ctx context.Context) error {
	for {
		conn, err := zmtp.DialSecure(ctx, "tcp", s.options.Addr, zmq4.Pair, s.options.Security)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(redialPause):
		}
	}
}

// Queue hands over a closed file to be sent. It never waits, and may be called
// before Run and while it works.
func (s *Sender) Queue(f File) {
	s.mu.Lock()
	s.queue = append(s.queue, f)
	s.mu.Unlock()
	s.nudge()
}

// Finish says that no file will be queued any more.
func (s *Sender) Finish() {
	s.mu.Lock()
	s.finished = true
	s.mu.Unlock()
	s.nudge()
}

func (s *Sender) nudge() {
	select {
	case s.wake <- true:
	default:
	}
}

// next removes up to n files from the queue, and reports whether none will follow.
func (s *Sender) next(n int) (files []File, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = min(n, len(s.queue))
	files, s.queue = s.queue[:n], s.queue[n:]
	return files, s.finished && len(s.queue) == 0
}

// Run sends what is queued, the oldest first, and returns nil when Finish has
// been called and every file is verified. A file that cannot be read or is
// refused does not keep the others from being sent; Run then returns at the end
// an error that names the first such files and counts the others. It gives up
// when ctx ends, when Ask fails, and when nothing has moved for Patience
// although something should.
func (s *Sender) Run(ctx context.Context) error {
	o := s.options
	switch {
	case o.Chunk < 0 || o.Chunk > MaxChunk:
		return fmt.Errorf("send files: chunks of %d bytes; at most %d can be sent", o.Chunk, MaxChunk)
	case o.Window < 0 || o.Streams < 0 || o.Streams > maxStreams:
		return fmt.Errorf("send files: %d chunks on their way over %d connections; there can be %d connections", o.Window, o.Streams, maxStreams)
	}
	t := newTransmission(o, s.nudge)
	defer func(end func()) {
		t.close(end)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent = t.meter.summary(t.Streams)
	}(t.start(ctx))
	for {
		files, last := s.next(t.places())
		t.enter(files)
		if err := t.askAboutFiles(ctx); err != nil {
			return t.joinFailures(err)
		}
		underWay, due := t.next()
		if underWay == 0 && last {
			return t.joinFailures()
		}
		s.pause(ctx, underWay, due)
		if ctx.Err() != nil {
			return t.joinFailures(fmt.Errorf("send files: %w", context.Cause(ctx)))
		}
		if err := t.watch(); err != nil {
			return t.joinFailures(err)
		}
	}
}

// pause waits for something to do: a file there is room for, the end, or, while
// files are under way, until due.
func (s *Sender) pause(ctx context.Context, underWay int, due time.Time) {
	s.mu.Lock()
	ready := underWay < maxOpen && len(s.queue) > 0 || underWay == 0 && s.finished
	s.mu.Unlock()
	if ready {
		return
	}
	var tick <-chan time.Time
	if underWay > 0 {
		tick = time.After(time.Until(due))
	}
	select {
	case <-s.wake:
	case <-tick:
	case <-ctx.Done():
	}
}
