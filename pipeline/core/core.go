// Package core is a node's distribution core: it takes blocks of tags from the
// drivers and hands each to every sink that wants its stream.
//
//	New ─▶ Core ─ Inlet  ─▶ endpoint, for a driver to PUSH to
//	            ─ Outlet ─▶ endpoint, for a sink to PULL from
//	            ─ Run         until every stream has ended
//	            ─ Abandon     when a driver is gone
//	            ─ Resume      when another process goes on for a sink that died
//	            ─ Counts, GivenUp at any time
//
// Inlets and outlets are made before Run, and Run is under way before drivers
// are armed and sinks begin.
//
// Each block is checked (checksum of its header, run, numbering, order of its
// tags) and then forwarded as it came, from the memory it was received into;
// there is no queue. A slow sink therefore slows the driver down: that is wanted, because
// the driver has the only buffer that was made for it. A sink that takes
// nothing for longer than Patience fails, loudly, and the others go on. Of a sink
// that may be resumed the core keeps what it has not acknowledged: when its process
// dies, another one is sent that again, and then goes on with the others. Where such
// a sink is the only one of a driver's streams, longer blocks are received into a ring of
// shared memory, are kept there, and the sink may read them there.
//
// Every stream that a sink was promised ends with an End block, whatever
// happens to its driver: when the driver's connection breaks or a block is
// bad, the core makes the End itself, after what was good.
package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/fact"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// DefaultPatience is how long a sink may take for one block.
const DefaultPatience = 5 * time.Second

const (
	// abandonedDrain is how long what a dead driver has left in its socket may
	// take to arrive, abandonedRest how many bytes that may be, more than a socket holds, and
	// abandonedConnect how long its connection may take.
	abandonedDrain   = 2 * time.Second
	abandonedRest    = 64 << 20
	abandonedConnect = 300 * time.Millisecond
)

// Core distributes blocks. Its fields are set before Run.
type Core struct {
	RunID    tag.RunID // of the blocks that are let through
	Origin   uint64    // ps: where the drivers' time 0 lies; added to all times that they send
	Patience time.Duration
	Retained int // bytes that are kept at most for each sink that may be resumed

	// Refused is told of a driver whose block was refused, before the driver
	// can notice; it may be nil.
	Refused func(*Fault)

	// Tap is shown every block that is let through, on the goroutine of its inlet,
	// while the tags are there: it keeps none of them. It may be nil.
	Tap func(head tag.Header, payload []byte)

	dir string
	log *slog.Logger

	mu      sync.Mutex
	inlets  []*inlet
	outlets []*outlet
	streams map[uint16]*stream
	running bool

	life     context.Context // of Run; nil before it
	resuming sync.WaitGroup  // of sinks that go on for others
}

// stream is one stream on its way from its inlet to its outlets.
type stream struct {
	in    *inlet
	out   []*outlet
	seq   tag.Sequence // of its inlet's goroutine alone
	count Count        // guarded by Core.mu
}

// Count says what has come on one stream.
type Count struct {
	fact.StreamCounts
	Inlet  string
	Blocks uint64
	Ended  bool
	Err    error // why the stream ended early; nil as long as all is well
}

// Fault says what went wrong with one inlet or outlet; the errors that Run
// returns consist of Faults.
type Fault struct {
	Name string // as given to Inlet or Outlet
	Sink bool   // an outlet, not an inlet
	Err  error
}

func (f *Fault) Error() string {
	side := "driver"
	if f.Sink {
		side = "sink"
	}
	return fmt.Sprintf("distribute blocks: %s %s: %v", side, f.Name, f.Err)
}

func (f *Fault) Unwrap() error { return f.Err }

// New returns a core without inlets and outlets, whose sockets will be in dir;
// dir is private and has a short path.
func New(dir string, log *slog.Logger) *Core {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Core{Patience: DefaultPatience, Retained: DefaultRetained, dir: dir, log: log, streams: map[uint16]*stream{}}
}

// Progressed renews the patience for a sink, because it has done something with
// what it was given, such as closing a file.
func (c *Core) Progressed(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.outlets {
		if o.name == name {
			o.progressed(c.Patience)
		}
	}
}

// GivenUp returns why a sink gets no more blocks; nil as long as it does.
func (c *Core) GivenUp(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.outlets {
		if o.name == name {
			return o.failure()
		}
	}
	return nil
}

// HoldsUp names a sink that drivers have waited for nearly all of the time, while it looked:
// "" where there is none. It looks for about a second.
func (c *Core) HoldsUp(ctx context.Context) string {
	const looks = 50
	c.mu.Lock()
	outlets := slices.Clone(c.outlets)
	c.mu.Unlock()
	busy := make([]int, len(outlets))
	for range looks {
		for i, o := range outlets {
			if o.sending.Load() {
				busy[i]++
			}
		}
		select {
		case <-ctx.Done():
			return ""
		case <-time.After(time.Second / looks):
		}
	}
	for i, o := range outlets {
		if busy[i] > looks*9/10 {
			return o.name
		}
	}
	return ""
}

// Inlet makes an endpoint for one driver, which brings the named streams. A
// stream has one inlet.
func (c *Core) Inlet(name string, streams []uint16) (endpoint string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check(name, streams); err != nil {
		return "", err
	}
	for _, id := range streams {
		if c.streams[id] != nil {
			return "", fmt.Errorf("make inlet %s: stream %d comes from %s already", name, id, c.streams[id].in.name)
		}
	}
	l, endpoint, err := c.listen("in-"+name, zmq4.Pull)
	if err != nil {
		return "", err
	}
	in := &inlet{name: name, listener: l, streams: slices.Clone(streams), drain: abandonedDrain, rest: abandonedRest}
	in.life, in.end = context.WithCancel(context.Background())
	for _, id := range streams {
		c.streams[id] = &stream{in: in, seq: tag.Sequence{Stream: id}, count: Count{StreamCounts: fact.StreamCounts{Stream: id}, Inlet: name}}
	}
	c.inlets = append(c.inlets, in)
	return endpoint, nil
}

// Outlet makes an endpoint for one sink, which gets the named streams. Their
// inlets may be made later, but before Run.
func (c *Core) Outlet(name string, streams []uint16) (endpoint string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check(name, streams); err != nil {
		return "", err
	}
	l, endpoint, err := c.listen("out-"+name, zmq4.Push)
	if err != nil {
		return "", err
	}
	c.outlets = append(c.outlets, &outlet{name: name, listener: l, streams: slices.Clone(streams), ready: make(chan struct{})})
	return endpoint, nil
}

func (c *Core) check(name string, streams []uint16) error {
	switch {
	case c.running:
		return fmt.Errorf("make endpoint %s: the core is running already", name)
	case name == "" || filepath.Base(name) != name:
		return fmt.Errorf("make endpoint %q: not a file name", name)
	case len(streams) == 0:
		return fmt.Errorf("make endpoint %s: it has no streams", name)
	}
	for i, id := range streams {
		if slices.Contains(streams[:i], id) {
			return fmt.Errorf("make endpoint %s: stream %d is named twice", name, id)
		}
	}
	return nil
}

func (c *Core) listen(name string, typ zmq4.SocketType) (*zmtp.Listener, string, error) {
	path := filepath.Join(c.dir, name)
	l, err := zmtp.Listen("unix", path, typ, zmtp.Options{MaxConns: 1, MaxFrame: tag.MaxPayload})
	if err != nil {
		return nil, "", err
	}
	return l, "ipc://" + path, nil
}

// Run distributes blocks until every stream has ended and every sink has been
// given everything, or until ctx ends. It returns the [Fault]s of drivers and
// sinks that failed meanwhile, joined. Run is called once; it closes all
// endpoints.
func (c *Core) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.connectStreams(ctx); err != nil {
		c.closeAll()
		return err
	}
	c.makeRings()
	// The end of ctx wakes whoever is blocked in a read or a write.
	unhook := context.AfterFunc(ctx, c.closeAll)
	defer unhook()
	var accepting, serving sync.WaitGroup
	for _, out := range c.outlets {
		accepting.Go(func() { out.accept(ctx) })
		if out.lending != nil {
			accepting.Go(func() { out.lending.serve(ctx, out.blame) })
		}
	}
	faults := make([]error, len(c.inlets))
	for i, in := range c.inlets {
		serving.Go(func() { faults[i] = c.serveInlet(ctx, in) })
	}
	serving.Wait()
	for _, out := range c.outlets {
		out.settle(ctx, c.Patience)
	}
	stopped := context.Cause(ctx)
	c.mu.Lock() // no sink is resumed after this
	cancel()
	c.mu.Unlock()
	accepting.Wait()
	c.resuming.Wait()
	c.closeAll()
	c.freeRings()
	if stopped != nil {
		return fmt.Errorf("distribute blocks: %w", stopped)
	}
	for _, out := range c.outlets {
		if err := out.failure(); err != nil {
			faults = append(faults, &Fault{Name: out.name, Sink: true, Err: err})
		}
	}
	return errors.Join(faults...)
}

// connectStreams gives each stream its outlets.
func (c *Core) connectStreams(life context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		return errors.New("distribute blocks: the core has run already")
	}
	c.running, c.life = true, life
	for _, out := range c.outlets {
		for _, id := range out.streams {
			if c.streams[id] == nil {
				return fmt.Errorf("distribute blocks: sink %s wants stream %d, which no driver brings", out.name, id)
			}
			c.streams[id].out = append(c.streams[id].out, out)
		}
	}
	return nil
}

// makeRings makes a ring for each sink that may have one: it may be resumed, and is the
// only one of all streams of a driver. Where the system has no memory for it, there is none.
func (c *Core) makeRings() {
	for _, in := range c.inlets {
		out := c.onlyOutlet(in)
		if out == nil || out.lending == nil {
			continue
		}
		if out.lending.ring == nil {
			r, err := newRing(c.Retained)
			if err != nil {
				c.log.Info("blocks go over sockets alone", "outlet", out.name, "reason", err)
				continue
			}
			out.lending.ring = r
		}
		in.ring = out.lending.ring
	}
}

// onlyOutlet is the outlet that all streams of an inlet go to, and nowhere else; nil:
// there is no such.
func (c *Core) onlyOutlet(in *inlet) *outlet {
	first := c.streams[in.streams[0]].out
	for _, id := range in.streams {
		if out := c.streams[id].out; len(out) != 1 || out[0] != first[0] {
			return nil
		}
	}
	return first[0]
}

func (c *Core) freeRings() {
	for _, out := range c.outlets {
		if out.lending != nil {
			out.lending.ring.close()
		}
	}
}

func (c *Core) closeAll() {
	for _, in := range c.inlets {
		in.close()
	}
	for _, out := range c.outlets {
		out.close()
	}
}

// Abandon ends all streams of the driver that brings a stream, because it is gone
// for good. The blocks that it left in its socket are still forwarded.
func (c *Core) Abandon(id uint16) {
	c.mu.Lock()
	s := c.streams[id]
	c.mu.Unlock()
	if s != nil {
		s.in.abandon()
	}
}

// Counts returns what has come on each stream, by ascending stream.
func (c *Core) Counts() []Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := make([]Count, 0, len(c.streams))
	for _, s := range c.streams {
		counts = append(counts, s.count)
	}
	slices.SortFunc(counts, func(a, b Count) int { return int(a.Stream) - int(b.Stream) })
	return counts
}

var (
	errGone = errors.New("the driver is gone")
	errLeft = errors.New("the driver left")
)
