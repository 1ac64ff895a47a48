package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
	"tsrun/sim/tdc2"
)

const (
	simulated = "sim" // the port of the simulator in this plugin

	minTimeout = 100 * quantity.Millisecond
	maxTimeout = 60 * quantity.Second
)

// Models.
const (
	modelTDC1 = "tdc1"
	modelTICC = "ticc"
	modelTDC2 = "tdc2"
)

// References.
const (
	external = "external"
	internal = "internal"
)

// config is what a recipe says about one time tagger.
type config struct {
	Model     string        `json:"model" jsonschema:"required,enum=tdc1,enum=ticc,enum=tdc2,description=Which device it is"`
	Port      string        `json:"port" jsonschema:"required,description=Device file of the serial line; or id:TEXT (part of its name in /dev/serial/by-id); usb:VID:PID or usb:VID:PID:SERIAL; idn:TEXT (part of what it answers to *IDN?); sim starts a simulated one"`
	Reference string        `json:"reference" jsonschema:"enum=external,enum=internal,enum=,description=Clock of a TDC1 to run on; external is refused where no reference is connected. Empty leaves the device as it is"`
	Program   string        `json:"program" jsonschema:"description=The program that reads a TDC2: a path or a name in PATH"`
	Timeout   quantity.Time `json:"timeout" jsonschema:"description=How long to wait for one reply"`
}

func defaults() config { return config{Program: tdc2.Program, Timeout: 2 * quantity.Second} }

var _ sdk.DriverChecker = config{}

// Check finds all mistakes that a schema cannot.
func (c config) Check(a sdk.Acquisition) []*sdk.Failure {
	found := c.mistakes()
	if c.Model == modelTDC2 && c.Port != simulated && !strings.HasPrefix(c.Port, "/") {
		found = append(found, instrument.Mistake("port", "a TDC2 is on no serial line", "write its device file, such as /dev/ioboards/usbtmst0"))
	}
	if c.Reference != "" && c.Model != modelTDC1 {
		found = append(found, instrument.Mistake("reference", "only a TDC1 has a choice of clocks", "remove it"))
	}
	if m, known := models[c.Model]; known {
		found = append(found, m.check(a.Channels)...)
	}
	return found
}

// mistakes are those of the configuration alone.
func (c config) mistakes() (found []*sdk.Failure) {
	if _, known := models[c.Model]; !known {
		found = append(found, instrument.Mistake("model", fmt.Sprintf("%q is no model", c.Model), "write tdc1, ticc or tdc2"))
	}
	if !isPort(c.Port) {
		found = append(found, instrument.Mistake("port", fmt.Sprintf("%q is no serial port", c.Port),
			"write a device file such as /dev/ttyACM0, id:TEXT, usb:VID:PID, idn:TEXT, or sim"))
	}
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		found = append(found, instrument.Mistake("timeout", fmt.Sprintf("a reply is not waited for as long as %v", c.Timeout),
			fmt.Sprintf("write %v to %v", minTimeout, maxTimeout)))
	}
	switch c.Reference {
	case "", external, internal:
	default:
		found = append(found, instrument.Mistake("reference", fmt.Sprintf("%q is no clock", c.Reference), "write external or internal, or leave it out"))
	}
	return found
}

var usbID = regexp.MustCompile(`^usb:[0-9a-fA-F]{4}:[0-9a-fA-F]{4}(:[!-~]+)?$`)

// isPort says whether a text names a port in any of the known ways.
func isPort(text string) bool {
	switch kind, rest, named := strings.Cut(text, ":"); {
	case text == simulated, usbID.MatchString(text):
		return true
	case named && (kind == "id" || kind == "idn"):
		return rest != ""
	}
	return strings.HasPrefix(text, "/") && len(text) > 1 && len(text) < 4096 && !strings.ContainsRune(text, 0)
}

// model is one kind of device.
type model struct {
	open  func(ctx context.Context, env sdk.Env, c config) (sdk.Driver, error)
	check func(channels []sdk.Channel) []*sdk.Failure
}

var models = map[string]model{
	modelTDC1: {openTDC1, checkTDC1},
	modelTICC: {openTICC, checkTICC},
	modelTDC2: {openTDC2, checkTDC2},
}

// open opens the device that a configuration names, and changes nothing on it.
func open(ctx context.Context, env sdk.Env, c config) (sdk.Driver, error) {
	for _, wrong := range c.mistakes() {
		return nil, wrong
	}
	return models[c.Model].open(ctx, env, c)
}

// bad is a mistake in a channel.
func bad(c sdk.Channel, key, what, hint string) *sdk.Failure {
	return &sdk.Failure{Code: "bad-acquisition", Field: "channels." + c.Name + "." + key,
		Message: fmt.Sprintf("channel %s: %s", c.Name, what), Hint: hint}
}

// checkInputs finds channels on inputs that are not there, or are taken, and
// delays, which none of the devices has.
func checkInputs(channels []sdk.Channel, inputs int) (found []*sdk.Failure) {
	used := map[int]string{}
	for _, c := range channels {
		switch {
		case c.Input < 1 || c.Input > inputs:
			found = append(found, bad(c, "on", fmt.Sprintf("there is no input %d", c.Input), fmt.Sprintf("the inputs are 1 to %d", inputs)))
		case used[c.Input] != "":
			found = append(found, bad(c, "on", fmt.Sprintf("input %d is already that of channel %s", c.Input, used[c.Input]), "an input is one channel"))
		}
		used[c.Input] = c.Name
		if c.Delay != 0 {
			found = append(found, bad(c, "delay", fmt.Sprintf("a delay of %v is not possible", quantity.Time(c.Delay)), "the device has no delays; leave it out"))
		}
	}
	return found
}
