package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"tsrun/sdk"
	"tsrun/sdk/fifteen"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
)

const (
	tdc1Level    = 3300 * quantity.Millivolt
	tdc1MaxRate  = 10_000_000 // tags per second over all inputs
	tdc1MaxGate  = 65535      // ms
	tdc1Settling = 50 * quantity.Millivolt
)

// tdc1Driver controls one TDC1.
type tdc1Driver struct {
	device
	identity  string
	gate      int64 // ms; 0: until ABORT
	streaming bool  // words may come by an order of this driver
	report    *tdc1Report
}

// tdc1Report is what the manifest keeps of an acquisition.
type tdc1Report struct {
	Port       string            `json:"port"`
	Settings   map[string]string `json:"settings"` // as the device tells them
	GateMs     int64             `json:"gate_ms"`  // 0: until it was stopped
	Stopped    bool              `json:"stopped"`
	LateMs     int64             `json:"late_ms,omitempty"`   // the most that words came later than others
	UnreadMs   int64             `json:"unread_ms,omitempty"` // the longest that the line was not read
	Stream     wordCount         `json:"stream"`
	Channels   []laneReport      `json:"channels"`
	Simulation *sky.Truth        `json:"simulation,omitempty"`
}

func openTDC1(ctx context.Context, env sdk.Env, c config) (sdk.Driver, error) {
	d := &tdc1Driver{device: device{log: env.Log, config: c}}
	err := d.connect(ctx, env, "TDC1", startTDC1)
	if err == nil {
		d.identity, err = d.port.identify(ctx)
	}
	if err == nil && !strings.Contains(strings.ToUpper(d.identity), "TDC1") {
		err = &sdk.Failure{Code: "wrong-device", Field: "port", Message: fmt.Sprintf("the device at %s says it is %s", d.port.path, instrument.Quote(d.identity)),
			Hint: "give the port of a TDC1, or another model"}
	}
	if err != nil {
		d.Close() // its error would only hide the cause
		return nil, err
	}
	return d, nil
}

// identify asks for the identity. A device that still sends words, for a
// program that is gone, is told to stop first; nobody else has the line.
func (p *port) identify(ctx context.Context) (string, error) {
	came, err := p.drain(ctx)
	if err == nil && came {
		if err = p.write("\r\nABORT\r\n"); err == nil {
			_, err = p.drain(ctx)
		}
	}
	if err != nil {
		return "", err
	}
	return p.ask(ctx, "\r\n*IDN?")
}

// Describe reports what the device is and can do.
func (d *tdc1Driver) Describe(context.Context) (sdk.Device, error) {
	device := sdk.Device{Vendor: "S-Fifteen Instruments", Model: "TDC1", Identity: d.identity, ResolutionPs: fifteen.ShortTick, MaxRateHz: tdc1MaxRate,
		Can: sdk.Capabilities{ScheduledStart: true}, Simulated: d.sim != nil || saysSimulated(d.identity)}
	for n := range fifteen.Detectors {
		device.Inputs = append(device.Inputs, sdk.Input{Number: n + 1, ThresholdMin: -int64(tdc1Level), ThresholdMax: int64(tdc1Level)})
	}
	return device, nil
}

func saysSimulated(identity string) bool {
	return strings.Contains(strings.ToUpper(identity), "SIMULATED")
}

// checkTDC1 finds what the device cannot do: it has one threshold and one edge
// for all inputs.
func checkTDC1(channels []sdk.Channel) []*sdk.Failure {
	found := checkInputs(channels, fifteen.Detectors)
	for _, c := range channels {
		first := channels[0]
		switch {
		case c.Threshold < -int64(tdc1Level) || c.Threshold > int64(tdc1Level):
			found = append(found, bad(c, "threshold", fmt.Sprintf("a threshold of %v is not possible", quantity.Voltage(c.Threshold)),
				fmt.Sprintf("write %v to %v", -tdc1Level, tdc1Level)))
		case c.Threshold != first.Threshold:
			found = append(found, bad(c, "threshold", fmt.Sprintf("%v, but channel %s has %v", quantity.Voltage(c.Threshold), first.Name, quantity.Voltage(first.Threshold)),
				"a TDC1 has one threshold for all inputs; write the same for each channel"))
		}
		if c.Falling != first.Falling {
			found = append(found, bad(c, "edge", "the other edge than that of channel "+first.Name, "a TDC1 has one edge for all inputs; write the same for each channel"))
		}
	}
	return found
}

// Arm sets the device up and reads back what it is set to.
func (d *tdc1Driver) Arm(ctx context.Context, a sdk.Acquisition) error {
	d.report = nil
	if err := d.prepare(a, checkTDC1); err != nil {
		return err
	}
	if err := d.stop(ctx); err != nil {
		return err
	}
	d.gate = int64(math.Ceil(float64(max(a.Duration, 0).Nanoseconds()) / 1e6))
	if d.gate > tdc1MaxGate {
		d.gate = 0
	}
	pulse, level := "POS", volts(a.Channels[0].Threshold)
	if a.Channels[0].Falling {
		pulse = "NEG"
	}
	orders := []string{"TIMESTAMP", fmt.Sprintf("%s %s", pulse, level), fmt.Sprintf("TIME %d", d.gate), "INPKT"}
	switch d.config.Reference {
	case external:
		orders = append(orders, "REFCLK 1")
	case internal:
		orders = append(orders, "REFCLK 2")
	}
	for _, order := range orders {
		if err := d.port.write(order + "\r\n"); err != nil {
			return err
		}
	}
	d.report = &tdc1Report{Port: d.port.name, GateMs: d.gate, Settings: map[string]string{}}
	if err := d.readBack(ctx, a.Channels[0]); err != nil {
		return err
	}
	d.armed = &a
	d.log.Info("armed", "gate_ms", d.gate, "threshold", level, "channels", len(a.Channels))
	return nil
}

// readBack compares what the device is set to with what it was told.
func (d *tdc1Driver) readBack(ctx context.Context, c sdk.Channel) error {
	for _, question := range []string{"MODE?", "TIME?", "LEVEL?", "REFCLK?", "ECLOCK?"} {
		reply, err := d.port.ask(ctx, question)
		if err != nil {
			return err
		}
		d.report.Settings[question] = instrument.Clip(reply, 64)
		if !d.fits(question, reply, c) {
			return &sdk.Failure{Code: "device-refused", Message: fmt.Sprintf("set up the %s: it answers %s to %s", d.port.name, instrument.Quote(reply), question),
				Hint: "it has not done what it was told; unplug it and plug it in again"}
		}
	}
	return d.checkReference(d.report.Settings["ECLOCK?"])
}

func (d *tdc1Driver) fits(question, reply string, c sdk.Channel) bool {
	first, _, _ := strings.Cut(reply, " ")
	switch question {
	case "MODE?":
		return reply == "3" || reply == "2"
	case "TIME?": // some firmware counts in 16 bits with a sign
		n, err := strconv.ParseInt(reply, 10, 64)
		return err == nil && (n == d.gate || n+65536 == d.gate)
	case "LEVEL?":
		v, err := strconv.ParseFloat(strings.TrimRight(first, "Vv"), 64)
		return err == nil && math.Abs(v*1e6-float64(c.Threshold)) <= float64(tdc1Settling)
	}
	return reply != ""
}

// checkReference refuses an external reference that is not there. How the
// device says so is not documented.
func (d *tdc1Driver) checkReference(reply string) error {
	if d.config.Reference != external || !saysNo(reply) {
		return nil
	}
	return &sdk.Failure{Code: "no-reference", Field: "reference", Message: fmt.Sprintf("the %s has no external reference: it answers %s to ECLOCK?", d.port.name, instrument.Quote(reply)),
		Hint: "connect 10 MHz (9 to 11 MHz, 0.1 to 2.3 Vpp) to its clock input, or leave reference out"}
}

func saysNo(reply string) bool {
	text := strings.ToUpper(strings.TrimSpace(reply))
	return text == "0" || text == "OFF" || text == "FALSE" || strings.HasPrefix(text, "NO") || strings.HasPrefix(text, "0 ")
}

// volts writes microvolts exactly.
func volts(microvolts int64) string {
	sign, magnitude := "", microvolts
	if microvolts < 0 {
		sign, magnitude = "-", -microvolts
	}
	return fmt.Sprintf("%s%d.%06d", sign, magnitude/1e6, magnitude%1e6)
}

// stop ends words that may still come, and forgets them.
func (d *tdc1Driver) stop(ctx context.Context) error {
	if !d.streaming {
		return nil
	}
	if err := d.port.write("ABORT\r\n"); err != nil {
		return err
	}
	_, err := d.port.drain(ctx)
	d.streaming = err != nil
	return err
}

// Report tells how the last acquisition went.
func (d *tdc1Driver) Report() any {
	if d.report == nil {
		return nil
	}
	d.report.Simulation = d.truth()
	return d.report
}

// Close stops what is still going on and lets go of the device.
func (d *tdc1Driver) Close() error {
	var err error
	if d.port != nil {
		err = d.stop(context.Background())
	}
	return errors.Join(err, d.disconnect())
}
