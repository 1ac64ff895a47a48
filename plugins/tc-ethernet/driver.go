package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
)

const (
	inputs   = 4
	maxRate  = 10_000_000 // tags per second over all inputs; above, the device loses some
	maxDelay = quantity.Second

	// The sources do not say how far thresholds reach. The device refuses what
	// it cannot do; this bound only keeps nonsense away from it.
	maxThreshold = 5 * quantity.Volt
)

// driver controls one Time Controller.
type driver struct {
	log    *slog.Logger
	config config
	endpoint

	tc  scpi
	dlt dlt
	sim *simulator // nil on real hardware

	patience time.Duration // inactivityLimit, shorter in tests

	identity  string
	armed     *armed          // nil unless armed
	applied   []*applied      // of the latest acquisition
	recording bool            // the records may be at work by an order of this driver
	opened    map[string]bool // acquisitions of the service that this driver may have opened
	report    *report
}

// open connects to the Time Controller and to the DataLinkTarget service and
// makes sure that they are what they should be. It changes nothing on them.
func open(ctx context.Context, env sdk.Env, c config) (sdk.Driver, error) {
	d, err := newDriver(ctx, env, c)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func newDriver(ctx context.Context, env sdk.Env, c config) (*driver, error) {
	where, err := c.check()
	if err != nil {
		return nil, err
	}
	d := &driver{log: env.Log, config: c, endpoint: where, patience: inactivityLimit, opened: map[string]bool{}}
	timeout := c.Timeout.Duration()
	if c.Address == simulated {
		if d.sim, err = startSimulator(env); err != nil {
			return nil, err
		}
		d.endpoint = d.sim.endpoint
		timeout += d.sim.startDelay // it answers a start when the record has begun
	}
	d.tc = scpi{&instrument.Client{Name: "Time Controller at " + d.endpoint.scpi, Addr: d.endpoint.scpi, Timeout: timeout}}
	d.dlt = dlt{&instrument.Client{Name: "DataLinkTarget service at " + d.endpoint.dlt, Addr: d.endpoint.dlt, Timeout: timeout}}
	err = d.identify(ctx)
	if err == nil {
		err = d.findService(ctx)
	}
	if err != nil {
		d.Close() // its error would only hide the cause
		return nil, err
	}
	return d, nil
}

// identify makes sure that a Time Controller with records answers.
func (d *driver) identify(ctx context.Context) error {
	if err := instrument.Reach(ctx, d.endpoint.scpi, d.tc.Timeout); err != nil {
		return &sdk.Failure{Code: "device-unreachable", Field: "address",
			Message: fmt.Sprintf("reach the Time Controller at %s: %v", d.endpoint.scpi, err),
			Hint: "check that it is switched on and connected, that the address is the one on its display, " +
				"and that this PC has an address in the same network"}
	}
	identity, err := d.tc.query(ctx, "*IDN?")
	var refusal *commandError
	switch {
	case errors.Is(err, instrument.ErrNoReply):
		return &sdk.Failure{Code: "device-timeout", Field: "address", Message: err.Error(),
			Hint: "something answers at this address but takes no commands; restart the Time Controller, or raise timeout"}
	case errors.As(err, &refusal):
		return wrongDevice(fmt.Sprintf("the device at %s does not say what it is: %s", d.endpoint.scpi, instrument.Quote(refusal.reply)))
	case err != nil:
		return err
	case !isTimeController(identity):
		return wrongDevice(fmt.Sprintf("the device at %s says it is %s", d.endpoint.scpi, instrument.Quote(identity)))
	}
	d.identity = identity
	if _, err = d.tc.query(ctx, "REC:STAGe?"); errors.As(err, &refusal) {
		return &sdk.Failure{Code: "wrong-device", Field: "address",
			Message: fmt.Sprintf("the Time Controller at %s (%s) has no records: %v", d.endpoint.scpi, instrument.Quote(identity), err),
			Hint:    "its firmware is too old; update it with the vendor's software"}
	}
	return err
}

func wrongDevice(message string) error {
	return &sdk.Failure{Code: "wrong-device", Field: "address", Message: message,
		Hint: "give the address of an ID900 or ID1000 Time Controller"}
}

// isTimeController looks for any name of the maker or the models. What exactly
// a device says differs between firmwares.
func isTimeController(identity string) bool {
	text := strings.ToUpper(identity)
	for _, name := range []string{"ID900", "ID1000", "TIME CONTROLLER", "ID QUANTIQUE", "IDQ"} {
		if strings.Contains(text, name) {
			return true
		}
	}
	return false
}

// saysSimulated reports whether a device calls itself simulated, as tsrun's own
// simulator does wherever it runs.
func saysSimulated(identity string) bool {
	return strings.Contains(strings.ToUpper(identity), "SIMULATED")
}

// findService makes sure that the DataLinkTarget service answers.
func (d *driver) findService(ctx context.Context) error {
	err := instrument.Reach(ctx, d.endpoint.dlt, d.dlt.Timeout)
	if err == nil {
		_, err = d.dlt.list(ctx)
	}
	if err == nil {
		return nil
	}
	return &sdk.Failure{Code: "service-unreachable", Field: "dlt",
		Message: fmt.Sprintf("reach the DataLinkTarget service at %s: %v", d.endpoint.dlt, err),
		Hint:    "the Time Controller sends its tags to this service, so it must run on this PC; start DataLinkTargetService from the vendor's Time Controller package"}
}

// Describe reports what the device is and can do.
func (d *driver) Describe(ctx context.Context) (sdk.Device, error) {
	bin, err := d.tc.count(ctx, "DEVIce:RESolution:BWIDth?")
	if err != nil {
		return sdk.Device{}, refused(err, "the firmware does not know its resolution; update it with the vendor's software")
	}
	device := sdk.Device{
		Vendor: "ID Quantique", Identity: d.identity, ResolutionPs: bin, MaxRateHz: maxRate,
		Can:       sdk.Capabilities{ScheduledStart: true, HardwareStart: true, InputDelay: true, AnswersStart: d.sim != nil}, // whether a real one does is not known
		Simulated: d.sim != nil || saysSimulated(d.identity),
	}
	// Vendor, model, serial, firmware is the custom; a device that says it
	// otherwise has its identity all the same.
	if field := strings.Split(d.identity, ","); len(field) == 4 {
		for i, to := range []*string{&device.Vendor, &device.Model, &device.Serial, &device.Firmware} {
			*to = strings.TrimSpace(field[i])
		}
	}
	for n := range inputs {
		device.Inputs = append(device.Inputs, sdk.Input{
			Number: n + 1, ThresholdMin: -int64(maxThreshold), ThresholdMax: int64(maxThreshold), DelayMax: int64(maxDelay),
		})
	}
	return device, nil
}

// Report tells how the last acquisition went.
func (d *driver) Report() any {
	if d.report == nil {
		return nil
	}
	if d.sim != nil {
		truth := d.sim.controller.Truth()
		d.report.Simulation = &truth
	}
	return d.report
}

// Close stops what is still going on and lets go of the device.
func (d *driver) Close() error {
	err := d.giveUp(context.Background())
	d.tc.Close()
	d.dlt.Close()
	if d.sim != nil {
		err = errors.Join(err, d.sim.stop())
	}
	return err
}
