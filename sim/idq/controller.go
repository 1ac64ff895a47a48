// Package idq is a simulated Time Controller of ID Quantique: an ID1000 and
// the DataLinkTargetService of the PC it is attached to, in one process,
// spoken to over the vendor's own protocols.
//
//	SCPI text  ──ZeroMQ REP──▶ message ── grammar ──▶ device: settings, counters
//	                                                    │ REC:PLAY, REC:TRIG:ARM, START edge
//	sky.Source ──▶ lane: clock, delay, records ──▶ recording ──▶ histograms
//	                                                    │ one message per record
//	DLT text   ──ZeroMQ REP──▶ hub ──▶ target ◀─────────┘──▶ file, or ZeroMQ PAIR stream
//
// [New] listens, [Controller.Run] serves until its context ends, and
// [Controller.Truth] tells what a real device could not. Where the sources on
// the device are silent the simulator does what makes a careless client fail.
// Everything it sends is simulated and Truth says so.
package idq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strconv"

	"golang.org/x/sync/errgroup"

	"tsrun/sdk/quantity"
	"tsrun/sdk/realtime"
	"tsrun/sim/sky"
)

// Ports of the real thing.
const (
	SCPIPort = 5555
	DLTPort  = 6060
)

// MaxBuffered is how many tags of one record are buffered before a message is
// sent without waiting for the record's end.
const MaxBuffered = 100_000_000

// Config describes one simulated Time Controller.
type Config struct {
	Listen   string // address of both ports and of the streams; empty: 127.0.0.1
	SCPIPort int    // of the Time Controller; 0: any free one
	DLTPort  int    // of the DataLinkTargetService; 0: any free one

	Sky        sky.Settings
	Controller sky.Controller
	// StartWander is by how much the start delay changes from one start by a command to
	// the next, rms: it walks at random, and is never below 0.
	StartWander quantity.Time

	// Pulses are those of the detectors; the zero value crosses every threshold.
	Pulses Pulses

	// Serial is the serial number that *IDN? reports. It also keys what the
	// inputs detect, so controllers of one experiment need different ones.
	Serial string

	// Priority is the real-time priority of the threads that wait for requests to the Time
	// Controller and start its record, where the system grants it; 0: none. A real device has a processor
	// of its own and is at once at work.
	Priority int

	Folder   string      // where start-save puts files with relative names; empty: the working directory
	Strict   bool        // refuse a header that only exists at the root, instead of falling back to it
	Buffer   int         // tags; 0: MaxBuffered
	Acquired func(Truth) // called after each acquisition, from a goroutine of the controller; may be nil
	Log      *slog.Logger
}

// Controller is a simulated Time Controller that listens.
type Controller struct {
	config Config
	log    *slog.Logger
	faults faults
	device *device
	hub    *hub
	scpi   *server
	dlt    *server
}

// New checks the configuration, reads a recording to replay, and listens.
// Requests are answered once Run is called; Run must be called to close.
func New(config Config) (*Controller, error) {
	if config.Listen == "" {
		config.Listen = "127.0.0.1"
	}
	if config.Buffer <= 0 {
		config.Buffer = MaxBuffered
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if err := errors.Join(config.Sky.Check(), config.Controller.Check(), config.Pulses.Check()); err != nil {
		return nil, err
	}
	f, err := Faults.Parse(config.Controller.Faults)
	if err != nil {
		return nil, err
	}
	c := &Controller{config: config, faults: f, log: config.Log}
	var replay *sky.Recording
	if r := config.Controller.Replay; r != nil {
		if replay, err = sky.OpenReplay(*r); err != nil {
			return nil, err
		}
	}
	c.hub = newHub(config, f)
	c.device = newDevice(config, f, replay, c.hub)
	c.scpi = &server{name: "scpi", answer: c.device.answer, prompt: c.prefer(), silent: f.silent, slow: f.slowReply, log: c.log}
	c.dlt = &server{name: "dlt", answer: c.hub.answer, silent: f.silent, slow: f.slowReply, log: c.log}
	if err := c.scpi.listen(config.Listen, config.SCPIPort); err != nil {
		return nil, fmt.Errorf("simulate the Time Controller: %w", err)
	}
	if err := c.dlt.listen(config.Listen, config.DLTPort); err != nil {
		c.scpi.close()
		return nil, fmt.Errorf("simulate the DataLinkTargetService: %w", err)
	}
	return c, nil
}

// Prompt is the priority to ask for: above that of drivers, which spin at theirs.
const Prompt = realtime.DefaultPriority + 10

// prefer asks for the priority by doing, and returns what was granted.
func (c *Controller) prefer() realtime.Settings {
	s := realtime.Settings{Priority: c.config.Priority}
	for _, g := range s.Probe() {
		c.log.Debug("real-time priority of the simulated device", "asked", g.Asked, "granted", g.Granted, "got", g.Got, "why", g.Why)
		if !g.Granted {
			return realtime.Settings{}
		}
	}
	return s
}

// Prompt reports whether the simulated device answers at a real-time priority.
func (c *Controller) Prompt() bool { return c.scpi.prompt.Priority > 0 }

// SCPIAddr returns host:port of the Time Controller's SCPI service.
func (c *Controller) SCPIAddr() string { return c.scpi.addr() }

// DLTAddr returns host:port of the DataLinkTargetService.
func (c *Controller) DLTAddr() string { return c.dlt.addr() }

// Truth tells about the latest acquisition, also while it goes on.
func (c *Controller) Truth() Truth { return c.device.truth() }

// Run serves until ctx ends, ends what is recording, closes everything and
// returns nil; any other return is an error. It must be called once.
func (c *Controller) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	tasks := &tasks{g: g, ctx: ctx}
	c.device.tasks, c.hub.tasks = tasks, tasks
	c.hub.begin()
	g.Go(func() error { return c.scpi.serve(ctx, tasks) })
	g.Go(func() error { return c.dlt.serve(ctx, tasks) })
	g.Go(func() error { return c.device.count(ctx) })
	err := g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	return err
}

// tasks starts goroutines that Run waits for. Only goroutines that Run waits
// for may use it.
type tasks struct {
	g   *errgroup.Group
	ctx context.Context // ends when the controller is to stop
}

func (t *tasks) run(f func(ctx context.Context)) {
	t.g.Go(func() error {
		f(t.ctx)
		return nil
	})
}

// hostPort joins an address and a port for listening.
func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// awaitExactly waits until the instant has come or ctx ends, to the microsecond: it
// watches the clock in the end.
func awaitExactly(ctx context.Context, t sky.Instant) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ns, _ := t.Unix()
	_, _ = realtime.Await(ctx, ns+1) // an error is the end of ctx
}
