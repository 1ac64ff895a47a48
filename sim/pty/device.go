package pty

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/sim/sky"
)

// Config is what all simulated devices on a line are given.
type Config struct {
	Light      sky.Settings
	Controller sky.Controller
	Serial     string // in its identity; it also keys what the inputs detect
	Log        *slog.Logger
}

// Device is what all simulated devices on a line have.
type Device struct {
	Config
	Eye   *sky.Eye
	Line  *Line
	Since time.Time // when it was switched on
}

// ErrUnplugged ends a device that a fault unplugs.
var ErrUnplugged = errors.New("unplugged")

// NewDevice opens the line of a device; Run must be called to close it.
func NewDevice(name string, c Config) (Device, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	eye, err := sky.NewEye(c.Light, c.Controller, c.Serial)
	if err != nil {
		return Device{}, err
	}
	line, err := Open()
	if err != nil {
		return Device{}, fmt.Errorf("simulate the %s: %w", name, err)
	}
	return Device{Config: c, Eye: eye, Line: line, Since: time.Now()}, nil
}

// Path is the device file of the line.
func (d *Device) Path() string { return d.Line.Path() }

// After says whether a fault that strikes some time after the device was
// switched on is due; never where that time is 0.
func (d *Device) After(t time.Duration) bool { return t > 0 && time.Since(d.Since) > t }

// Serve passes on what programs send and do, and serves the device, until ctx
// ends or the device is unplugged.
func (d *Device) Serve(ctx context.Context, received func(at time.Time, b []byte), changed func(attached bool), device func(context.Context) error) error {
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error { return d.Line.serve(both, received, changed) })
	g.Go(func() error {
		defer d.Line.Close()
		return device(both)
	})
	err := g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) || errors.Is(err, ErrUnplugged) {
		return nil
	}
	return err
}

// Tell sends a value, unless ctx ends first.
func Tell[T any](ctx context.Context, to chan<- T, v T) {
	select {
	case to <- v:
	case <-ctx.Done():
	}
}
