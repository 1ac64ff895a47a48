// Package tdc1 is a simulated S-Fifteen TDC1: a counter and time stamp unit with
// four inputs and steps of 2 ns, on a serial line.
//
//	commands ──▶ perform ──▶ replies
//	               │ COUNTS?
//	sky.Detections ──▶ gate ──▶ words of 32 bits, or counts at the end of the gate
//
// [New] opens the line, [Device.Run] serves until its context ends, and
// [Device.Truth] tells what a real unit could not.
package tdc1

import (
	"context"
	"errors"
	"sync"
	"time"

	"tsrun/sdk/instrument"
	"tsrun/sim/pty"
	"tsrun/sim/sky"
)

// Config describes one simulated unit.
type Config struct {
	pty.Config
	Reference bool // a 10 MHz reference is connected
	Acquired  func(sky.Truth)
}

// Device is a simulated unit on a serial line.
type Device struct {
	pty.Device
	config   Config
	faults   faults
	link     *link
	commands chan command

	mode   mode
	time   int64 // ms of the gate; 0: without end
	level  string
	refclk string
	gate   *gate // nil: idle

	mu    sync.Mutex
	truth sky.Truth
	open  *gate // what truth is about, while it goes on
}

// command is what came on the line: a text, or that the program has gone.
type command struct {
	at   time.Time
	text string
	gone bool
}

// beat is how often the words of an open gate are sent.
const beat = time.Millisecond

// New checks the configuration and opens the line; Run must be called to close it.
func New(config Config) (*Device, error) {
	f, err := Faults.Parse(config.Controller.Faults)
	if err != nil {
		return nil, err
	}
	line, err := pty.NewDevice("TDC1", config.Config)
	if err != nil {
		return nil, err
	}
	d := &Device{Device: line, config: config, faults: f, link: newLink(line.Line, f), commands: make(chan command, 64)}
	d.truth = sky.Truth{Simulated: true, Serial: config.Serial}
	d.reset()
	return d, nil
}

// Truth tells about the latest acquisition, also while it goes on.
func (d *Device) Truth() sky.Truth {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != nil {
		return d.open.told()
	}
	return d.truth
}

// Run serves until ctx ends, or a fault unplugs the unit. It must be called once.
func (d *Device) Run(ctx context.Context) error {
	var s splitter
	return d.Serve(ctx, func(at time.Time, b []byte) {
		for _, text := range s.take(b) {
			d.Log.Debug("command", "text", text)
			pty.Tell(ctx, d.commands, command{at: at, text: text})
		}
	}, func(attached bool) {
		if !attached {
			s = splitter{}
			pty.Tell(ctx, d.commands, command{at: time.Now(), gone: true})
		}
	}, d.serve)
}

func (d *Device) serve(ctx context.Context) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	defer d.end(true)
	for {
		beat := tick.C
		if d.gate == nil && d.faults.unplugged == 0 && d.link.empty() {
			beat = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case c := <-d.commands:
			if err := d.advance(ctx, c.at); err != nil {
				return err
			}
			if c.gone {
				d.end(true)
				d.link.clear()
				continue
			}
			if err := d.perform(ctx, c); err != nil && !errors.Is(err, pty.ErrDetached) {
				return err
			}
		case <-beat:
			if d.After(d.faults.unplugged) {
				return pty.ErrUnplugged
			}
			if err := d.advance(ctx, time.Now()); err != nil {
				return err
			}
			if err := d.link.pass(time.Now()); err != nil && !errors.Is(err, pty.ErrDetached) {
				return err
			}
		}
	}
}

// advance sends what the gate, if one is open, has seen up to a moment.
func (d *Device) advance(ctx context.Context, now time.Time) error {
	if d.gate == nil {
		return nil
	}
	over, err := d.gate.advance(sky.Unix(now.UnixNano(), 0), func(b []byte, at time.Time) error { return d.link.send(ctx, b, at) })
	switch {
	case errors.Is(err, pty.ErrDetached):
		d.end(true)
		return nil
	case err != nil:
		return err
	case over:
		reply := d.gate.counts(d.mode)
		d.end(false)
		return d.reply(ctx, reply)
	}
	return nil
}

// end closes the gate, if one is open.
func (d *Device) end(stopped bool) {
	if d.gate == nil {
		return
	}
	d.mu.Lock()
	d.truth = d.gate.told()
	d.truth.Stopped = stopped
	d.gate, d.open = nil, nil
	truth := d.truth
	d.mu.Unlock()
	if d.config.Acquired != nil {
		d.config.Acquired(truth)
	}
}

// reply sends a line; an empty one is none.
func (d *Device) reply(ctx context.Context, text string) error {
	if text == "" || d.faults.silent {
		return nil
	}
	if d.faults.slow > 0 && !instrument.Pause(ctx, d.faults.slow) {
		return context.Cause(ctx)
	}
	if err := d.link.flush(ctx); err != nil {
		return err
	}
	return d.Line.Write(ctx, []byte(text+"\r\n"))
}
