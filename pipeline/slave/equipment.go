package slave

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/core"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// closeTimeout bounds how long plugins may take to make their devices safe.
const closeTimeout = 10 * time.Second

// progressEvery is how often the observer hears how far a recording is.
const progressEvery = 200 * time.Millisecond

// equipment is what this node uses in one run: its controllers and sinks, each a
// plugin process, and the distribution core between them.
type equipment struct {
	s       *session
	log     *slog.Logger
	host    *host.Host
	core    *core.Core
	drivers []*controller
	sinks   []*sink

	elsewhere []wire.Kept // what sinks of the shots before have kept in no file, with those before; the last of each counts
	part      part        // of the record; mu is for when a shot begins, which is known late

	pumps    errgroup.Group // of the core and of every plugin's events; ended by finish or close
	coreDone chan error
	recorded chan struct{} // closed when the recording is over
	once     sync.Once
	closed   sync.Once
	life     context.Context    // of the core, from arm on
	halt     context.CancelFunc // ends it

	awake    awake
	begun    atomic.Bool  // its drivers were told when to start
	fired    atomic.Int64 // Unix time in ns of the instant from which its times count; 0: not yet
	stopping atomic.Bool  // its recording is ended early, as somebody wants it
	sent     atomic.Int64 // of a start on receipt: when its order was sent, by this PC's clock, Unix time in ns; 0: no such

	mu          sync.Mutex
	alive       int  // sinks that still take blocks
	failureTold bool // the master knows of a failure of a driver or a sink
}

// controller is one Time Controller of the recipe behind its driver.
type controller struct {
	recipe  recipe.Controller
	driver  *host.Driver
	streams []uint16
	ended   chan struct{} // closed when its events have ended
	failed  bool          // its driver is gone; owned by reportDriver, until it has ended
	started bool          // it has told when it began; owned by reportDriver, until it has ended
	early   early         // how much earlier than the instant it is fired

	noThresholds bool        // its inputs have none
	refused      atomic.Bool // a block of it was

	stands atomic.Pointer[error] // why it was ended by force; nil: it was not
}

// sink is one sink of the recipe that keeps channels of this node.
type sink struct {
	recipe   recipe.Sink
	process  atomic.Pointer[host.Sink] // nil before it is open
	streams  []uint16
	dir      string         // relative to the session's
	ring     string         // where its processes may get the core's memory; "": nowhere
	ended    chan struct{}  // closed when its events have ended
	failed   bool           // it takes no more blocks; owned by reportSink
	told     map[uint16]int // segments that it has told of, by stream; owned by reportSink
	failures int            // that it has told of; owned by reportSink
	resumed  int            // times that another process has gone on; owned by reportSink

	elsewhere []wire.Kept // what it has kept in no file, with what its like in the shots before had; known when it has ended
	keptTold  time.Time   // when the master was last told what it has kept elsewhere; owned by reportSink

	files      atomic.Int64          // that it has closed, and times that it told of tags kept elsewhere
	progressed atomic.Int64          // Unix time in ns when it last did
	stands     atomic.Pointer[error] // why it was given up; nil: it was not
}

func newEquipment(s *session) (*equipment, error) {
	eq := &equipment{s: s, log: s.log, recorded: make(chan struct{}), coreDone: make(chan error, 1), halt: func() {}}
	h, err := host.New(host.Options{Dirs: s.options.PluginDirs, Runtime: s.runtime.Path(), Confine: true, Log: s.log})
	if err != nil {
		return eq, err
	}
	eq.host = h
	eq.core = core.New(s.runtime.Path(), s.log)
	eq.core.RunID, eq.core.Origin = s.id, s.kept.part.origin()
	if eq.part = s.kept.part; s.recipe.Acquire.Shots() > 1 {
		eq.part.shot = 1
	}
	return eq, nil
}

// open starts every plugin and opens every device, all at once.
func (eq *equipment) open(ctx context.Context) error {
	eq.keepAwake()
	group, opening := errgroup.WithContext(ctx)
	for _, c := range eq.s.node.Controllers {
		d := &controller{recipe: c, streams: eq.streamsOf(c.Name), ended: make(chan struct{})}
		eq.drivers = append(eq.drivers, d)
		group.Go(func() error { return eq.openController(opening, d) })
	}
	if !eq.s.welcome.Watch || eq.s.watched { // then they are opened when something is to be kept
		group.Go(func() error { return eq.openSinks(opening) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	eq.compensate(ctx)
	return nil
}

func (eq *equipment) openController(ctx context.Context, c *controller) error {
	var err error
	c.driver, err = eq.host.StartDriver(ctx, host.Spec{
		Plugin: c.recipe.Driver, Instance: eq.s.node.Name + "." + c.recipe.Name,
		Config: c.recipe.Config, Simulation: eq.simulation(), Realtime: eq.s.recipe.Realtime.Settings(),
	})
	if err != nil {
		return err
	}
	c.noThresholds = c.driver.Component().NoThresholds
	device := c.driver.Identity()
	up := &wire.ControllerUp{Name: c.recipe.Name, Device: device, Plugin: c.driver.Plugin(), Realtime: eq.granted(c)}
	unsuited := eq.checkDevice(c, c.driver.Device())
	eq.s.reporter.queueNews(wire.News{Controller: up})
	eq.s.observe(event.DeviceIdentified{Node: eq.s.node.Name, Controller: c.recipe.Name, Device: device})
	return unsuited
}

// simulation is what a driver whose device is simulated gets to know. Whether it
// is simulated only its plugin can say, which may be on this PC alone.
func (eq *equipment) simulation() sdk.Simulation {
	s := sdk.Simulation{Light: sdk.DefaultLight()}
	if simulate := eq.s.recipe.Simulate; simulate != nil {
		s.Light, s.Controller = simulate.Light, simulate.Nodes[eq.s.node.Name]
	}
	if s.Controller == nil {
		s.Controller = json.RawMessage("{}")
	}
	return s
}

func (eq *equipment) method() sdk.StartMethod {
	if eq.s.recipe.Trigger.Method == "hardware" {
		return sdk.Hardware
	}
	return sdk.Scheduled
}

// sinkFor is the recipe's sink as far as it concerns this node; nil: not at all.
func (eq *equipment) sinkFor(r recipe.Sink) *sink {
	node := eq.s.node
	if r.At != "source" && r.At != node.Name {
		return nil
	}
	k := &sink{recipe: r, ended: make(chan struct{}), dir: eq.s.rawDir(), told: map[uint16]int{}}
	if len(eq.s.recipe.Sinks) > 1 {
		k.dir = filepath.Join(k.dir, r.Name)
	}
	k.dir = filepath.Join(k.dir, eq.part.dir())
	for i, c := range node.Channels {
		if r.Keeps(node.Name + "." + c.Name) {
			k.streams = append(k.streams, uint16(i))
			if eq.part.goesOn() {
				k.told[uint16(i)] = eq.part.before(eq.s.recipe.Acquire.Segment)
			}
		}
	}
	if len(k.streams) == 0 {
		return nil
	}
	return k
}

func (eq *equipment) openSink(ctx context.Context, k *sink) error {
	dir := filepath.Join(eq.s.dir, k.dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	plugin, err := eq.host.StartSink(ctx, host.Spec{
		Plugin: k.recipe.Sink, Instance: eq.s.node.Name + "." + k.recipe.Name, Config: k.recipe.Config, Writes: []string{dir},
	})
	if err != nil {
		return err
	}
	k.process.Store(plugin)
	if eq.part.goesOn() && !k.resumable() {
		return &sdk.Failure{Code: "sink-begins-once", Message: fmt.Sprintf("sink %s cannot go on with a recording that another process began", k.recipe.Name),
			Hint: "faults.lost_node: restart needs sinks that can, as sink-file does"}
	}
	eq.s.reporter.queueNews(wire.News{Sink: &wire.SinkUp{Name: k.recipe.Name, Plugin: plugin.Plugin(), Keeps: plugin.Component().Keeps}})
	return nil
}

func (eq *equipment) streamsOf(controller string) (streams []uint16) {
	for i, c := range eq.s.node.Channels {
		if c.Controller == controller {
			streams = append(streams, uint16(i))
		}
	}
	return streams
}

// progress is how far every channel has come.
func (eq *equipment) progress() (progress []fact.StreamCounts) {
	part := eq.stretch()
	for _, c := range eq.core.Counts() {
		progress = append(progress, part.added(c.StreamCounts))
	}
	return progress
}

// showProgress shows the observer how far the recording is until f, which waits
// for its end, returns.
func (eq *equipment) showProgress(f func() error) error {
	ended := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				eq.observeProgress()
				return
			case <-tick.C:
				eq.observeProgress()
			}
		}
	})
	defer showing.Wait()
	defer close(ended)
	return f()
}

func (eq *equipment) observeProgress() {
	e := event.Progress{Node: eq.s.node.Name, Duration: eq.s.recipe.Acquire.Total().Duration()}
	slowest := ^uint64(0)
	counts := eq.progress()
	for _, c := range counts {
		e.Tags += c.Tags
		slowest = min(slowest, c.Until)
	}
	if len(counts) > 0 {
		e.Elapsed = time.Duration(slowest / 1000)
	}
	eq.s.observe(e)
}

// sendFile tells the master of a finished file and queues its bytes for the
// transfer.
func (eq *equipment) sendFile(k *sink, closed host.Closed) {
	if !eq.begun.Load() {
		eq.log.Info("a file that was closed before the start holds nothing and goes", "file", closed.File)
		return
	}
	path := filepath.Join(eq.s.dir, k.dir, closed.File)
	segment := closed.Segment
	segment.Sink, segment.File = k.recipe.Name, filepath.ToSlash(filepath.Join(k.dir, closed.File))
	segment.Part = eq.part.number
	counts := eq.progress()
	eq.mu.Lock()
	told := wire.Segment{Number: uint32(len(eq.s.files) + 1), Stream: uint16(closed.Stream), Segment: segment}
	file, _ := transfer.FileOf(told.Number, told.Segment) // its SHA-256 was made here
	file.Path = path
	eq.s.files = append(eq.s.files, file)
	until := eq.s.kept.add(&told, eq.s.recipe.Acquire.Segment, counts)
	eq.mu.Unlock()
	eq.s.reporter.queueNews(wire.News{Segment: &told})
	eq.s.ledger.keep(entry{Counts: counts, KeptPs: until})
	eq.s.clock.record.Segment(told.File)
	eq.s.sender.Queue(file)
}

// close ends whatever still runs and waits for it.
func (eq *equipment) close() {
	if eq == nil || eq.host == nil {
		return
	}
	eq.closed.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		eq.markRecorded()
		defer eq.awake.close()
		var group errgroup.Group
		for _, c := range eq.drivers {
			if c.driver != nil {
				group.Go(func() error { return c.driver.Close(ctx) })
			}
		}
		for _, k := range eq.sinks {
			if plugin := k.plugin(); plugin != nil {
				group.Go(func() error { return plugin.Close(ctx) })
			}
		}
		err := errors.Join(group.Wait(), eq.host.Close())
		eq.halt()
		eq.pumps.Wait()
		if err != nil {
			eq.log.Warn("plugins did not stop cleanly", "error", err)
		}
	})
}

// reportFailure tells the master that a driver or a sink has failed. It returns how
// many sinks still take blocks.
func (eq *equipment) reportFailure(err error, isSink bool) (alive int) {
	eq.s.reporter.queueFailure(err)
	eq.mu.Lock()
	defer eq.mu.Unlock()
	eq.failureTold = true
	if isSink {
		eq.alive--
	}
	return eq.alive
}

// failureReported reports whether the master knows of a failure already: what
// follows from that is not reported as another.
func (eq *equipment) failureReported() bool {
	eq.mu.Lock()
	defer eq.mu.Unlock()
	return eq.failureTold
}

func (eq *equipment) markRecorded() { eq.once.Do(func() { close(eq.recorded) }) }
