// Package ticc is a simulated TAPR TICC: a time stamping counter of two channels
// on a serial line, which writes a line of text for each event.
//
// It is reset when a program opens the line, unless its jumper keeps it from
// that. Then follow the banner, seven seconds in which any character opens its
// menu, the sync that is time zero, a header, and the time stamps. With #, one
// of 2025 opens its menu at any time; older ones restart.
package ticc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tsrun/sdk/instrument"
	"tsrun/sim/pty"
	"tsrun/sim/sky"
)

// Firmwares that differ in what they write.
const (
	Firmware2017 = "2017"
	Firmware2020 = "2020"
	Firmware2025 = "2025"
)

// RealBoot is how long a real counter takes from a reset to the sync.
const RealBoot = 11500 * time.Millisecond

// Config describes one simulated counter.
type Config struct {
	pty.Config
	Firmware string        // "": 2025
	Boot     time.Duration // from a reset to the sync; 0: 500 ms, of a real one 11.5 s
	Jumper   bool          // opening the line does not reset it
}

const (
	quickBoot = 500 * time.Millisecond
	channels  = 2
	beat      = 5 * time.Millisecond
	// rearm is how long a channel is blind after an event, in ps: both channels
	// together write up to 440 lines a second.
	rearm = 4_600_000_000
	// dropped is how many events of each channel are left out after the sync.
	dropped = 2
)

// Device is a simulated counter on a serial line.
type Device struct {
	pty.Device
	config Config
	faults faults
	opened chan bool   // the line was opened, or closed
	keys   chan byte   // what was typed
	cut    atomic.Bool // the line was opened within a line of text
	eeprom settings    // what it is set to at a reset
	set    settings    // and now

	mu     sync.Mutex
	truth  sky.Truth
	stamps [channels][]int64 // ps since the sync, of the lines that were sent whole
}

// New checks the configuration and opens the line; Run must be called to close it.
func New(config Config) (*Device, error) {
	switch config.Firmware {
	case "":
		config.Firmware = Firmware2025
	case Firmware2017, Firmware2020, Firmware2025:
	default:
		return nil, fmt.Errorf("simulate firmware %.64q: write 2017, 2020 or 2025", config.Firmware)
	}
	if config.Boot <= 0 {
		config.Boot = quickBoot
	}
	f, err := Faults.Parse(config.Controller.Faults)
	if err != nil {
		return nil, err
	}
	line, err := pty.NewDevice("TICC", config.Config)
	if err != nil {
		return nil, err
	}
	d := &Device{Device: line, config: config, faults: f, opened: make(chan bool, 16), keys: make(chan byte, 256), eeprom: defaults(config.Firmware),
		truth: sky.Truth{Simulated: true, Serial: config.Serial}}
	if f.wrongMode {
		d.eeprom.mode = interval
	}
	return d, nil
}

// Truth tells about the time scale of the latest reset: its tags count from the
// sync.
func (d *Device) Truth() sky.Truth {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.truth
	t.Channels = nil
	for i, stamps := range d.stamps {
		l := sky.NewLedger(i + 1)
		for _, at := range stamps {
			l.Enter(uint64(at))
		}
		t.Channels = append(t.Channels, l.Truth())
	}
	return t
}

// Stamps are the times of an input (1 or 2) that were sent since the latest
// reset, in ps since the sync.
func (d *Device) Stamps(input int) []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]int64(nil), d.stamps[input-1]...)
}

// Run serves until ctx ends, or a fault unplugs the counter. It must be called once.
func (d *Device) Run(ctx context.Context) error {
	return d.Serve(ctx, func(_ time.Time, b []byte) {
		for _, key := range b {
			select {
			case d.keys <- key:
			default: // as a real one, it keeps few
			}
		}
	}, func(attached bool) {
		d.cut.Store(attached && d.config.Jumper)
		pty.Tell(ctx, d.opened, attached)
	}, d.serve)
}

// errRestart ends what goes on until a reset.
var errRestart = errors.New("restart")

// serve boots whenever the line is opened; with the jumper, once.
func (d *Device) serve(ctx context.Context) error {
	opened := d.config.Jumper
	for {
		for !opened {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case opened = <-d.opened:
			}
		}
		err := d.live(ctx)
		if err != nil && !errors.Is(err, errRestart) && !errors.Is(err, errClosed) {
			return err
		}
		opened = errors.Is(err, errRestart) || d.config.Jumper
	}
}

// closed says that the program has gone, whose successor resets the counter.
func (d *Device) closed() bool { return !d.config.Jumper && !d.Line.Attached() }

// live is what goes on from a reset to the next.
func (d *Device) live(ctx context.Context) error {
	d.set = d.eeprom
	if ok, err := d.boot(ctx); !ok || err != nil {
		return err
	}
	start := sky.Now()
	s := newStamper(d, start)
	d.mu.Lock()
	d.truth = d.Eye.Truth(d.truth.Acquisition+1, start, false)
	d.stamps = [channels][]int64{}
	d.mu.Unlock()
	if err := d.send(ctx, d.header()); err != nil {
		return err
	}
	if d.faults.inMenu {
		d.faults.inMenu = false
		if err := d.menu(ctx); err != nil {
			return err
		}
		s.resume(sky.Now())
	}
	for !d.closed() {
		if !instrument.Pause(ctx, beat) {
			return context.Cause(ctx)
		}
		if d.After(d.faults.unplugged) {
			return pty.ErrUnplugged
		}
		if d.After(d.faults.referenceLost) {
			return d.loseReference(ctx)
		}
		if key, typed := d.key(); typed && key == '#' {
			if err := d.interrupt(ctx); err != nil {
				return err
			}
			s.resume(sky.Now())
		}
		if err := s.advance(ctx, sky.Now()); err != nil {
			return err
		}
	}
	return nil
}

// interrupt is what # does: one of 2025 opens its menu, older ones restart.
func (d *Device) interrupt(ctx context.Context) error {
	if d.config.Firmware == Firmware2025 {
		if err := d.send(ctx, "# Stopping measurements for config...\r\n# Flushing pending measurements before config...\r\n"); err != nil {
			return err
		}
		return d.menu(ctx)
	}
	if err := d.send(ctx, "\r\nGot break character... exiting loop\r\n\r\n"); err != nil {
		return err
	}
	return errRestart
}

// loseReference waits for any key and restarts, once.
func (d *Device) loseReference(ctx context.Context) error {
	d.faults.referenceLost = 0
	err := d.send(ctx, "# 10 MHZ Reference lost!\r\n# Press any key to restart after reference is restored.\r\n")
	if err == nil {
		_, err = d.wait(ctx)
	}
	if err == nil {
		err = errRestart
	}
	return err
}

// errClosed is the end of the program that types.
var errClosed = errors.New("closed")

// wait waits for a key.
func (d *Device) wait(ctx context.Context) (byte, error) {
	for {
		if key, typed := d.key(); typed {
			return key, nil
		}
		if d.closed() {
			return 0, errClosed
		}
		if !instrument.Pause(ctx, beat) {
			return 0, context.Cause(ctx)
		}
	}
}

// key is one that was typed, if there is one.
func (d *Device) key() (key byte, typed bool) {
	select {
	case key = <-d.keys:
		return key, true
	default:
		return 0, false
	}
}

// boot writes the banner and waits for the sync.
func (d *Device) boot(ctx context.Context) (ok bool, err error) {
	pause := func(real time.Duration) bool {
		return !d.closed() && instrument.Pause(ctx, real*d.config.Boot/RealBoot)
	}
	if !pause(1500 * time.Millisecond) {
		return false, context.Cause(ctx)
	}
	for typed := true; typed; _, typed = d.key() { // what came during the reset is gone
	}
	if err := d.send(ctx, d.banner()+"# Type any character for config menu\r\n# "); err != nil {
		return false, err
	}
	for range 28 {
		if !pause(250 * time.Millisecond) {
			return false, context.Cause(ctx)
		}
		if err := d.send(ctx, "."); err != nil {
			return false, err
		}
		if _, typed := d.key(); typed {
			if err := d.menu(ctx); err != nil {
				return false, err
			}
			break
		}
	}
	if !pause(3 * time.Second) {
		return false, context.Cause(ctx)
	}
	return true, d.send(ctx, "\r\n")
}

// send sends text; to nobody it is not sent.
func (d *Device) send(ctx context.Context, text string) error {
	d.cut.Store(false)
	if d.faults.silent {
		return nil
	}
	err := d.Line.Write(ctx, []byte(text))
	if errors.Is(err, pty.ErrDetached) {
		return nil
	}
	return err
}
