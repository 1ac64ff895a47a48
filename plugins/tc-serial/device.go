package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tsrun/sdk"
	"tsrun/sim/sky"
)

// device is what the drivers of all models have in common.
type device struct {
	log    *slog.Logger
	config config
	port   *port      // nil where there is none
	sim    *simulator // nil on a real device
	armed  *sdk.Acquisition
}

// connect opens the line of a device, or of a simulated one that it starts.
func (d *device) connect(ctx context.Context, env sdk.Env, name string, simulate func(sdk.Env) (*simulator, error)) (err error) {
	var path string
	if d.config.Port != simulated {
		path, err = thisPC.find(ctx, d.config.Port, name, d.config.Timeout)
	} else if d.sim, err = simulate(env); err == nil {
		path = d.sim.path
	}
	if err == nil {
		d.port, err = openPort(name, path, d.config.Timeout.Duration())
	}
	return err
}

// prepare takes an acquisition that a device can make, which is not armed yet.
func (d *device) prepare(a sdk.Acquisition, check func([]sdk.Channel) []*sdk.Failure) error {
	d.armed = nil
	if len(a.Channels) == 0 {
		return &sdk.Failure{Code: "bad-acquisition", Message: "the acquisition has no channels", Hint: "give this controller a channel"}
	}
	for _, wrong := range check(a.Channels) {
		return wrong
	}
	return nil
}

// beginsWithin is how long after its order was written a device begins at the latest that
// answers none: the order waits for a turn on the USB, and the device's loop for it. A
// simulated one waits for a turn of this PC instead.
const beginsWithin = 20 * time.Millisecond

// fire starts what is armed. It is not started where it was stopped before.
func (d *device) fire(ctx context.Context, start *sdk.Start, order func(sdk.Acquisition) error) (a sdk.Acquisition, fired bool, err error) {
	if d.armed == nil {
		return a, false, errors.New("acquire: the device is not armed")
	}
	a, d.armed = *d.armed, nil
	err = start.Fire(ctx, func() error { return order(a) })
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return a, false, nil
	}
	return a, err == nil, err
}

// truth is that of a simulated device; nil where it is not known.
func (d *device) truth() *sky.Truth {
	if d.sim == nil {
		return nil
	}
	return d.sim.truth()
}

// disconnect lets go of the device.
func (d *device) disconnect() error {
	if d.port != nil {
		d.port.close()
	}
	if d.sim == nil {
		return nil
	}
	return d.sim.stop()
}
