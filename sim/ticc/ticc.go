// Package ticc is a simulated TAPR TICC: a time stamping counter of two channels
// on a serial line, which writes a line of text for each event.
//
// It is reset when a program opens the line, unless its jumper keeps it from
// that. Then follow the banner, seven seconds in which a real one can be set
// up, the sync that is time zero, a header, and the time stamps. What is sent
// to it is passed over: it has no menu.
package ticc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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
	Light      sky.Settings
	Controller sky.Controller
	Serial     string        // keys what the channels detect
	Firmware   string        // "": 2025
	Boot       time.Duration // from a reset to the sync; 0: 500 ms, of a real one 11.5 s
	Jumper     bool          // opening the line does not reset it
	Log        *slog.Logger
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
	config Config
	log    *slog.Logger
	eye    *sky.Eye
	faults faults
	line   *pty.Line
	opened chan bool // the line was opened, or closed
	since  time.Time

	mu     sync.Mutex
	truth  sky.Truth
	stamps [channels][]int64 // ps since the sync, of the lines that were sent whole
}

// New checks the configuration and opens the line; Run must be called to close it.
func New(config Config) (*Device, error) {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
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
	f, err := parseFaults(config.Controller.Faults)
	if err != nil {
		return nil, err
	}
	eye, err := sky.NewEye(config.Light, config.Controller, config.Serial)
	if err != nil {
		return nil, err
	}
	line, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("simulate the TICC: %w", err)
	}
	return &Device{config: config, log: config.Log, eye: eye, faults: f, line: line, opened: make(chan bool, 16), since: time.Now(),
		truth: sky.Truth{Simulated: true, Serial: config.Serial}}, nil
}

// Path is the device file of the line.
func (d *Device) Path() string { return d.line.Path() }

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
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return d.line.Serve(ctx, func(time.Time, []byte) {}, func(attached bool) {
			select {
			case d.opened <- attached:
			case <-ctx.Done():
			}
		})
	})
	g.Go(func() error {
		defer d.line.Close()
		return d.serve(ctx)
	})
	err := g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) || errors.Is(err, errUnplugged) {
		return nil
	}
	return err
}

var errUnplugged = errors.New("unplugged")

// serve boots whenever the line is opened; with the jumper, once.
func (d *Device) serve(ctx context.Context) error {
	if d.config.Jumper {
		return d.live(ctx, func() bool { return false })
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case attached := <-d.opened:
			if !attached {
				continue
			}
		}
		if err := d.live(ctx, func() bool { return !d.line.Attached() }); err != nil {
			return err
		}
	}
}

// live is what goes on from a reset to the next.
func (d *Device) live(ctx context.Context, reset func() bool) error {
	if ok, err := d.boot(ctx, reset); !ok || err != nil {
		return err
	}
	start := sky.Now()
	s := newStamper(d, start)
	d.mu.Lock()
	d.truth = d.eye.Truth(d.truth.Acquisition+1, start, false)
	d.stamps = [channels][]int64{}
	d.mu.Unlock()
	if err := d.send(ctx, header(d.config.Firmware, d.faults.wrongMode)); err != nil {
		return err
	}
	for !reset() {
		if !instrument.Pause(ctx, beat) {
			return context.Cause(ctx)
		}
		if d.faults.unplugged > 0 && time.Since(d.since) > d.faults.unplugged {
			return errUnplugged
		}
		if d.faults.referenceLost > 0 && time.Since(d.since) > d.faults.referenceLost {
			if err := d.send(ctx, "# 10 MHZ Reference lost!\r\n# Press any key to restart\r\n"); err != nil {
				return err
			}
			return d.wait(ctx, reset)
		}
		if err := s.advance(ctx, sky.Now()); err != nil {
			return err
		}
	}
	return nil
}

// wait does nothing until the line is closed.
func (d *Device) wait(ctx context.Context, reset func() bool) error {
	for !reset() {
		if !instrument.Pause(ctx, beat) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// boot writes the banner and waits for the sync.
func (d *Device) boot(ctx context.Context, reset func() bool) (ok bool, err error) {
	pause := func(real time.Duration) bool {
		return !reset() && instrument.Pause(ctx, real*d.config.Boot/RealBoot)
	}
	if !pause(1500 * time.Millisecond) {
		return false, context.Cause(ctx)
	}
	if err := d.send(ctx, banner(d.config.Firmware, d.config.Serial)); err != nil {
		return false, err
	}
	if err := d.send(ctx, "# Type any character for config menu\r\n# "); err != nil {
		return false, err
	}
	for range 28 {
		if !pause(250 * time.Millisecond) {
			return false, context.Cause(ctx)
		}
		if err := d.send(ctx, "."); err != nil {
			return false, err
		}
	}
	if !pause(3 * time.Second) {
		return false, context.Cause(ctx)
	}
	return true, d.send(ctx, "\r\n")
}

// send sends text; to nobody it is not sent.
func (d *Device) send(ctx context.Context, text string) error {
	if d.faults.silent {
		return nil
	}
	err := d.line.Write(ctx, []byte(text))
	if errors.Is(err, pty.ErrDetached) {
		return nil
	}
	return err
}
