package idq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tsrun/sdk/instrument"
	"tsrun/sim/sky"
)

// device is the Time Controller itself: what its blocks are set to, and what
// is recording.
type device struct {
	config Config
	faults faults
	replay *sky.Recording // nil: look at the sky
	hub    *hub
	line   *startLine
	tree   *mnemonic
	tasks  *tasks
	log    *slog.Logger

	// Of each channel, from 1 on; they are apart from mu because a recording
	// uses them too.
	send [channels + 1]atomic.Bool   // RAWn:SEND
	lost [channels + 1]atomic.Uint64 // RAWn:ERRORS?

	mu         sync.Mutex // held while a message is executed
	requests   uint64     // messages so far
	changes    uint64     // of settings so far
	generators [generators + 1]generator
	driver     int // the generator whose pulses are on the START line; 0: none
	values     map[string]value
	counters   map[string]*inputCounter
	plots      [channels + 1]*histogram // of the latest recording; nil: not linked
	rec        *recording               // the latest; nil: none yet
	recorded   int                      // acquisitions so far
	steps      *rand.Rand               // of its wandering start delay; nil before the first start
	wandered   int64                    // ps
	hold       sky.Instant              // the reply to the message waits until then
	deferred   func()                   // what an instruction has left to be done behind the reply; nil: nothing
}

func newDevice(config Config, f faults, replay *sky.Recording, h *hub) *device {
	d := &device{
		config: config, faults: f, replay: replay, hub: h, log: config.Log,
		line:     newStartLine(config.Controller.StartLine, config.Log),
		tree:     commandTree(),
		values:   map[string]value{},
		counters: map[string]*inputCounter{},
	}
	for n := range d.generators {
		d.generators[n].line = newStartLine("", config.Log)
	}
	return d
}

// maxInstructions bounds a message, so that its replies stay small.
const maxInstructions = 100

// answer executes one message and returns the replies of its instructions, one a line.
func (d *device) answer(message string) answer {
	d.mu.Lock()
	done := sync.OnceFunc(func() {
		d.settle()
		d.mu.Unlock()
	})
	d.requests++
	d.hold = sky.Instant{}
	var lines []string
	var at level
	instructions := parseMessage(message)
	if len(instructions) > maxInstructions {
		defer done()
		err := &scpiError{"PARAM_TYPE", fmt.Sprintf("a message of %d instructions, at most %d are taken", len(instructions), maxInstructions)}
		return answer{text: err.Error()}
	}
	for _, in := range instructions {
		d.settle()
		var reply string
		var err error
		if reply, at, err = d.execute(in, at); err != nil {
			d.log.Debug("instruction refused", "message", message, "error", err)
			reply = errorReply(err)
		}
		if reply != "" {
			lines = append(lines, reply)
		}
	}
	a := answer{text: strings.Join(lines, "\n"), after: d.hold, none: d.requests == d.faults.noReply}
	if a.then = done; d.deferred == nil {
		a.then = nil
		done()
	}
	return a
}

// settle does what an instruction has left to be done. The caller has locked d.
func (d *device) settle() {
	if later := d.deferred; later != nil {
		d.deferred = nil
		later()
	}
}

// errorReply writes any error as the device writes errors.
func errorReply(err error) string {
	var e *scpiError
	if !errors.As(err, &e) {
		e = &scpiError{"EXECUTION_ERROR", err.Error()}
	}
	return e.Error()
}

// execute carries out one instruction, read from the level of the one before it.
func (d *device) execute(in instruction, at level) (reply string, next level, err error) {
	p, next, err := d.tree.resolve(in, at, d.config.Strict)
	if err != nil {
		return "", next, err
	}
	if d.faults.scpiError == p.header {
		return "", next, &scpiError{"EXECUTION_ERROR", "this simulator was asked to refuse " + p.header}
	}
	if in.query {
		reply, err = d.query(p)
	} else {
		reply, err = d.perform(p, in.argument)
	}
	return reply, next, err
}

func (d *device) query(p path) (string, error) {
	c := p.command
	if c.kind == action {
		return "", unknown(p.header + "?")
	}
	if c.ask != nil {
		return c.ask(d, p.block)
	}
	return c.query(d.value(p)), nil
}

func (d *device) perform(p path, argument string) (string, error) {
	c := p.command
	if c.kind == reading {
		return "", unknown(p.header)
	}
	v, err := c.parse(argument)
	if err != nil {
		return "", err
	}
	if argument == "" && c.perBlock != nil {
		v = c.perBlock(p.block)
	}
	if c.check != nil {
		if err := c.check(d, p.block, v); err != nil {
			return "", err
		}
	}
	if c.kind == action {
		d.changes++
		return c.reply, c.act(d, p.block, v)
	}
	if err := d.keep(p, v); err != nil {
		return "", err
	}
	if c.act != nil {
		if err := c.act(d, p.block, v); err != nil {
			return "", err
		}
	}
	return "Value set to " + c.print(d.value(p)), nil
}

// keep keeps the value of a header, unless it would close a circle of links.
func (d *device) keep(p path, v value) error {
	before, had := d.values[p.header]
	d.values[p.header] = v
	d.changes++
	if !p.command.rewires {
		return nil
	}
	err := d.checkWired()
	if err != nil {
		delete(d.values, p.header)
		if had {
			d.values[p.header] = before
		}
	}
	return err
}

// value returns what a header is set to.
func (d *device) value(p path) value {
	if v, ok := d.values[p.header]; ok {
		return v
	}
	if p.command.perBlock != nil {
		return p.command.perBlock(p.block)
	}
	return p.command.def
}

// get returns what a canonical header of the simulator's own making is set to.
func (d *device) get(header string) value {
	p, err := d.tree.find(strings.Split(header, ":"))
	if err != nil {
		panic(err) // a header misspelt in this package
	}
	return d.value(p)
}

func (d *device) identity(int) (string, error) {
	if d.faults.wrongDevice {
		return "Unknown,Oscilloscope,0,0", nil
	}
	return fmt.Sprintf("ID Quantique,ID1000,%s,simulated", d.config.Serial), nil
}

// resolution returns the smallest bin in ps.
func (d *device) resolution() int64 {
	if d.get("DEVIce:RESolution").text == "LOWRES" {
		return 100
	}
	return 1
}

// freeRunning reports whether the controller's own clock is at work. An
// external clock input is fed with true time, so every controller locked to it
// runs alike.
func (d *device) freeRunning() bool { return d.get("DEVIce:SYNC").text != "EXT" }

// source returns the detections of an input from ps picoseconds after start on.
func (d *device) source(input int, start sky.Instant, from int64) sky.Source {
	if d.replay != nil {
		return d.replay.Input(input, from)
	}
	c := d.config.Controller
	if d.faults.highRate {
		c.Dark = highRate
	}
	return sky.NewInput(d.config.Sky, d.crossing(c, input), d.config.Serial, input, start, from)
}

// scene returns where signals play that count from an instant.
func (d *device) scene(start sky.Instant, c sky.Clock) scene {
	return scene{
		clock: c, start: start,
		source: func(input int, from int64) sky.Source { return d.source(input, start, from) },
		pulses: func(generator int) *train {
			t, _ := d.generators[generator].line.get()
			return t
		},
		edges: func() *train {
			t, _ := d.line.get()
			return t
		},
	}
}

// Under the fault high-rate each input sees more than its quarter of the 10
// million events per second that the device takes; the rest is lost.
const (
	highRate    = 4_000_000 * 1000 // mHz, of each input
	fullQuarter = 2_500_000        // events per second and channel
)

// enabled reports whether an input is switched on.
func (d *device) enabled(input int) bool {
	return d.get(fmt.Sprintf("INPUt%d:ENABle", input)).text == "ON"
}

func (d *device) truth() Truth {
	d.mu.Lock()
	rec := d.rec
	d.mu.Unlock()
	if rec == nil {
		return Truth{Simulated: true, Serial: d.config.Serial}
	}
	return rec.truth()
}

// count keeps accumulating counters up to date until ctx ends, so that asking
// for one after a long time takes no long time.
func (d *device) count(ctx context.Context) error {
	for instrument.Pause(ctx, time.Second) {
		d.mu.Lock()
		for _, c := range d.counters {
			c.advance()
		}
		d.mu.Unlock()
	}
	return nil
}
