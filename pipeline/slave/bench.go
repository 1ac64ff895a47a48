package slave

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
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
	"tsrun/sdk/quantity"
)

// closeTimeout bounds how long a bench is given to make its devices safe.
const closeTimeout = 10 * time.Second

// progressEvery is how often the observer hears how far a recording is.
const progressEvery = 200 * time.Millisecond

// bench is what stands on this node's table for one run: its controllers and
// sinks, each a plugin process, and the distribution core between them.
type bench struct {
	s       *session
	log     *slog.Logger
	host    *host.Host
	core    *core.Core
	drivers []*controller
	sinks   []*sink

	pumps    errgroup.Group // of the core and of every plugin's events; ended by finish or close
	coreDone chan error
	recorded chan struct{} // closed when the recording is over
	once     sync.Once
	closed   sync.Once
	halt     context.CancelFunc // ends the core

	fileClosed atomic.Int64 // Unix time in ns when a sink last closed a file

	mu    sync.Mutex
	alive int  // sinks that still take blocks
	told  bool // the master knows of a failure of a driver or a sink
}

// controller is one Time Controller of the recipe behind its driver.
type controller struct {
	recipe  recipe.Controller
	driver  *host.Driver
	streams []uint16
	ended   chan struct{} // closed when its events have ended

	noThresholds bool // its inputs have none
}

// sink is one sink of the recipe that keeps channels of this node.
type sink struct {
	recipe  recipe.Sink
	plugin  *host.Sink
	streams []uint16
	dir     string        // relative to the session's
	ended   chan struct{} // closed when its events have ended
	failed  bool          // it takes no more blocks; owned by collect
}

func newBench(s *session) (*bench, error) {
	b := &bench{s: s, log: s.log, recorded: make(chan struct{}), coreDone: make(chan error, 1), halt: func() {}}
	h, err := host.New(host.Options{Dirs: s.options.PluginDirs, Runtime: s.runtime, Log: s.log})
	if err != nil {
		return b, err
	}
	b.host = h
	b.core = core.New(s.runtime, s.log)
	b.core.RunID = s.id
	return b, nil
}

// open starts every plugin and opens every device, all at once.
func (b *bench) open(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range b.s.node.Controllers {
		d := &controller{recipe: c, streams: b.streamsOf(c.Name), ended: make(chan struct{})}
		b.drivers = append(b.drivers, d)
		group.Go(func() error { return b.openController(ctx, d) })
	}
	for _, r := range b.s.recipe.Sinks {
		if k := b.sinkFor(r); k != nil {
			b.sinks = append(b.sinks, k)
			group.Go(func() error { return b.openSink(ctx, k) })
		}
	}
	b.alive = len(b.sinks)
	return group.Wait()
}

func (b *bench) openController(ctx context.Context, c *controller) error {
	var err error
	c.driver, err = b.host.StartDriver(ctx, host.Spec{
		Plugin: c.recipe.Driver, Instance: b.s.node.Name + "." + c.recipe.Name,
		Config: c.recipe.Config, Simulation: b.simulation(),
	})
	if err != nil {
		return err
	}
	c.noThresholds = c.driver.Component().NoThresholds
	device := c.driver.Identity()
	b.s.reporter.tell(wire.News{Controller: &wire.ControllerUp{Name: c.recipe.Name, Device: device, Plugin: c.driver.Plugin()}})
	b.s.observe(event.DeviceIdentified{Node: b.s.node.Name, Controller: c.recipe.Name, Device: device})
	return b.suits(c, c.driver.Device())
}

// simulation is what a driver whose device is simulated gets to know. Whether it
// is simulated only its plugin can say, which may be on this PC alone.
func (b *bench) simulation() sdk.Simulation {
	s := sdk.Simulation{Light: sdk.DefaultLight()}
	if simulate := b.s.recipe.Simulate; simulate != nil {
		s.Light, s.Controller = simulate.Light, simulate.Nodes[b.s.node.Name]
	}
	if s.Controller == nil {
		s.Controller = json.RawMessage("{}")
	}
	return s
}

// suits checks that the device can do what the recipe asks of it.
func (b *bench) suits(c *controller, d sdk.Device) error {
	refuse := func(format string, args ...any) error {
		return &sdk.Failure{Code: "device-unsuited", Message: fmt.Sprintf("controller %s: ", c.recipe.Name) + fmt.Sprintf(format, args...),
			Hint: "change the recipe, or use another controller"}
	}
	if b.method() == sdk.Hardware && !d.Can.HardwareStart {
		return refuse("the device has no START input, trigger.method: hardware needs one")
	}
	if b.method() == sdk.Scheduled && !d.Can.ScheduledStart {
		return refuse("the device cannot be started at an instant, trigger.method: scheduled needs that")
	}
	inputs := map[int]sdk.Input{}
	for _, in := range d.Inputs {
		inputs[in.Number] = in
	}
	for _, i := range c.streams {
		ch := b.s.node.Channels[i]
		in, ok := inputs[ch.Input]
		switch {
		case !ok:
			return refuse("channel %s is on input %d, the device has %d inputs", ch.Name, ch.Input, len(inputs))
		case ch.Threshold == nil && !c.noThresholds:
			return refuse("channel %s has no threshold, and the device needs one", ch.Name)
		case ch.Threshold != nil && c.noThresholds:
			return refuse("channel %s has a threshold of %v, and the device has no thresholds", ch.Name, ch.Threshold)
		case ch.Threshold != nil && (in.ThresholdMin != 0 || in.ThresholdMax != 0) && // both 0: the range is not known
			(ch.Microvolts() < in.ThresholdMin || ch.Microvolts() > in.ThresholdMax):
			return refuse("threshold %v of channel %s is outside %d mV to %d mV", ch.Threshold, ch.Name, in.ThresholdMin/1000, in.ThresholdMax/1000)
		case ch.Delay != 0 && !d.Can.InputDelay:
			return refuse("the device has no input delays, channel %s asks for %v", ch.Name, ch.Delay)
		case in.DelayMax > 0 && max(int64(ch.Delay), -int64(ch.Delay)) > in.DelayMax:
			return refuse("delay %v of channel %s is beyond the %v of the device", ch.Delay, ch.Name, quantity.Time(in.DelayMax))
		}
	}
	if least := b.leastRate(c); d.MaxRateHz > 0 && least/1000 >= d.MaxRateHz && least > d.MaxRateHz*1000 {
		return refuse("expect wants at least %v of its channels, the device records at most %v over all inputs", quantity.Frequency(least), quantity.Frequency(d.MaxRateHz*1000))
	}
	return nil
}

// leastRate is what the channels of a controller must count together, in mHz, for
// a run that is as expect says; what it says nothing of counts as nothing.
func (b *bench) leastRate(c *controller) (least int64) {
	for _, i := range c.streams {
		for _, e := range b.s.recipe.Expect {
			if e.Channel == b.s.node.Name+"."+b.s.node.Channels[i].Name && e.RateMin != nil {
				least += min(max(0, int64(*e.RateMin)), math.MaxInt64-least)
			}
		}
	}
	return least
}

func (b *bench) method() sdk.StartMethod {
	if b.s.recipe.Trigger.Method == "hardware" {
		return sdk.Hardware
	}
	return sdk.Scheduled
}

// sinkFor is the recipe's sink as far as it concerns this node; nil: not at all.
func (b *bench) sinkFor(r recipe.Sink) *sink {
	node := b.s.node
	if r.At != "source" && r.At != node.Name {
		return nil
	}
	k := &sink{recipe: r, ended: make(chan struct{}), dir: b.s.rawDir()}
	if len(b.s.recipe.Sinks) > 1 {
		k.dir = filepath.Join(k.dir, r.Name)
	}
	for i, c := range node.Channels {
		if r.Keeps(node.Name + "." + c.Name) {
			k.streams = append(k.streams, uint16(i))
		}
	}
	if len(k.streams) == 0 {
		return nil
	}
	return k
}

func (b *bench) openSink(ctx context.Context, k *sink) (err error) {
	k.plugin, err = b.host.StartSink(ctx, host.Spec{
		Plugin: k.recipe.Sink, Instance: b.s.node.Name + "." + k.recipe.Name, Config: k.recipe.Config,
	})
	if err != nil {
		return err
	}
	b.s.reporter.tell(wire.News{Sink: &wire.SinkUp{Name: k.recipe.Name, Plugin: k.plugin.Plugin(), Keeps: k.plugin.Component().Keeps}})
	return nil
}

func (b *bench) streamsOf(controller string) (streams []uint16) {
	for i, c := range b.s.node.Channels {
		if c.Controller == controller {
			streams = append(streams, uint16(i))
		}
	}
	return streams
}

// progress is how far every channel has come.
func (b *bench) progress() (progress []fact.StreamCounts) {
	for _, c := range b.core.Counts() {
		progress = append(progress, c.StreamCounts)
	}
	return progress
}

// showProgress tells the observer how far the recording is while f, which waits
// for its end, is at work.
func (b *bench) showProgress(f func() error) error {
	ended := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				b.observeProgress()
				return
			case <-tick.C:
				b.observeProgress()
			}
		}
	})
	defer showing.Wait()
	defer close(ended)
	return f()
}

func (b *bench) observeProgress() {
	e := event.Progress{Node: b.s.node.Name, Duration: b.s.recipe.Acquire.Duration.Duration()}
	slowest := ^uint64(0)
	counts := b.core.Counts()
	for _, c := range counts {
		e.Tags += c.Tags
		slowest = min(slowest, c.Until)
	}
	if len(counts) > 0 {
		e.Elapsed = time.Duration(slowest / 1000)
	}
	b.s.observe(e)
}

// closedFile passes a finished file on: its facts to the master, its bytes to
// the transfer.
func (b *bench) closedFile(k *sink, closed host.Closed) {
	path := filepath.Join(b.s.dir, k.dir, closed.File)
	b.mu.Lock()
	b.s.queued = append(b.s.queued, path)
	number := uint32(len(b.s.queued))
	b.mu.Unlock()
	segment := closed.Segment
	segment.Sink, segment.File = k.recipe.Name, filepath.ToSlash(filepath.Join(k.dir, closed.File))
	b.s.reporter.tell(wire.News{Segment: &wire.Segment{Number: number, Stream: uint16(closed.Stream), Segment: segment}})
	file, _ := transfer.FileOf(number, segment) // its SHA-256 was made here
	file.Path = path
	b.s.sender.Queue(file)
}

// close ends whatever still runs and waits for it.
func (b *bench) close() {
	if b == nil || b.host == nil {
		return
	}
	b.closed.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		b.markRecorded()
		var group errgroup.Group
		for _, c := range b.drivers {
			if c.driver != nil {
				group.Go(func() error { return c.driver.Close(ctx) })
			}
		}
		for _, k := range b.sinks {
			if k.plugin != nil {
				group.Go(func() error { return k.plugin.Close(ctx) })
			}
		}
		err := errors.Join(group.Wait(), b.host.Close())
		b.halt()
		b.pumps.Wait()
		if err != nil {
			b.log.Warn("plugins did not stop cleanly", "error", err)
		}
	})
}

// fail tells the master that a driver or a sink has failed. It returns how
// many sinks still take blocks.
func (b *bench) fail(err error, isSink bool) (alive int) {
	b.s.reporter.fail(err)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = true
	if isSink {
		b.alive--
	}
	return b.alive
}

// failed says whether the master knows of a failure already, so that what
// follows from it is not told as another.
func (b *bench) failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told
}

func (b *bench) markRecorded() { b.once.Do(func() { close(b.recorded) }) }
