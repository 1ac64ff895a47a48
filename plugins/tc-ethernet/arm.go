package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
	"tsrun/sdk/zmtp"
)

const (
	// firstRawPort is the device's port of RAW block 1. The service names
	// acquisitions after these ports.
	firstRawPort = 5556

	streamTimeout = 5 * time.Second
	streamPause   = 20 * time.Millisecond
)

// armed is an acquisition that is set up.
type armed struct {
	plan
	duration uint64 // ps asked for; 0: until stopped
	start    *startEdge
	lanes    []*lane
}

// Arm programs the inputs, sets the records up and opens a stream for each
// channel. When it returns, REC:PLAY or the START edge is all that is missing.
func (d *driver) Arm(ctx context.Context, a sdk.Acquisition) error {
	p, err := makePlan(d.config.Record, a)
	if err != nil {
		return err
	}
	if len(a.Channels) == 0 {
		return &sdk.Failure{Code: "bad-acquisition", Message: "the acquisition has no channels", Hint: "give this controller a channel"}
	}
	for _, wrong := range checkChannels(a.Channels) {
		return wrong
	}
	if err := d.disarm(ctx); err != nil {
		return err
	}
	d.report, d.applied = nil, nil
	d.armed = &armed{plan: p, duration: uint64(a.Duration.Nanoseconds()) * 1000}
	if a.Method == sdk.Hardware {
		d.armed.start = &startEdge{pulse: a.Pulse}
	}
	if err := d.arm(ctx, a); err != nil {
		d.giveUp(ctx) // the first error says it all
		return err
	}
	d.log.Info("armed", "records", p.records, "period", quantity.Time(p.period).String(), "channels", len(a.Channels))
	return nil
}

func (d *driver) arm(ctx context.Context, a sdk.Acquisition) error {
	if err := d.takeOver(ctx); err != nil {
		return err
	}
	// The service has one acquisition for each input. Who opens it has the
	// device, so that of two programs that arm at once only one changes it.
	for _, c := range a.Channels {
		l, err := d.openStream(ctx, c)
		if err != nil {
			return err
		}
		d.armed.lanes = append(d.armed.lanes, l)
	}
	if err := d.setRecords(ctx); err != nil {
		return err
	}
	if err := d.silence(ctx, a.Channels); err != nil {
		return err
	}
	for _, c := range a.Channels {
		if err := d.apply(ctx, fmt.Sprintf("check threshold, edge and delay of channel %s", c.Name), inputSettings(c)...); err != nil {
			return err
		}
	}
	for _, l := range d.armed.lanes {
		if err := d.send(ctx, l); err != nil {
			return err
		}
	}
	if d.armed.start != nil {
		return d.armStart(ctx)
	}
	return nil
}

// setRecords sets up what all channels have in common: clock, mode and records.
func (d *driver) setRecords(ctx context.Context) error {
	mode := seen("DEVIce:RESolution")
	if d.config.Resolution != "" {
		mode = word("DEVIce:RESolution", d.config.Resolution)
		mode.stays = true // going back and forth would calibrate the device each time
	}
	if err := d.apply(ctx, "the mode may need a licence; leave resolution out of the recipe", seen("DEVIce:SYNC"), mode); err != nil {
		return err
	}
	const hint = "the firmware may not know records of this length; choose another record"
	if err := d.apply(ctx, hint, word("REC:TRIG:ARM:MODE", "MANUal"), link("REC:TRIG", "NONE"), word("REC:ENABle", "ON")); err != nil {
		return err
	}
	if err := d.stopRecords(ctx); err != nil { // they may have armed themselves
		return refused(err, hint)
	}
	return d.apply(ctx, hint, d.armed.settings()...)
}

// silence keeps the blocks of inputs that have no channel from sending tags:
// no client would receive them, and all inputs together can send only so many.
func (d *driver) silence(ctx context.Context, channels []sdk.Channel) error {
	var group []setting
	for n := 1; n <= inputs; n++ {
		if !slices.ContainsFunc(channels, func(c sdk.Channel) bool { return c.Input == n }) {
			group = append(group, optional(word(fmt.Sprintf("RAW%d:SEND", n), "OFF")))
		}
	}
	return d.apply(ctx, "sending tags may need a licence", group...)
}

// send lets a channel send its tags. The errors that the device has counted so
// far are not of this acquisition.
func (d *driver) send(ctx context.Context, l *lane) error {
	const hint = "sending tags may need a licence"
	raw := fmt.Sprintf("RAW%d:", l.channel.Input)
	if err := d.tc.do(ctx, raw+"ERRORS:CLEAR"); err != nil {
		return refused(err, hint)
	}
	sending := word(raw+"SEND", "ON")
	sending.stays = true // it is switched off in the end, whatever it was
	return d.apply(ctx, hint, sending)
}

// inputSettings set one input up, and the way of its events: through its delay
// and the first input of its combiner to its RAW block, with no reference, so
// that values count from the begin of the record.
func inputSettings(c sdk.Channel) []setting {
	edge := "RISIng"
	if c.Falling {
		edge = "FALLing"
	}
	input, raw := fmt.Sprintf("INPUt%d", c.Input), fmt.Sprintf("RAW%d:", c.Input)
	through, combiner := fmt.Sprintf("DELAy%d", c.Input), c.Input+4
	group := []setting{
		word(input+":COUPling", "DC"), word(input+":EDGE", edge), threshold(input+":THREshold", quantity.Voltage(c.Threshold)),
		word(input+":SELEct", "UNSHaped"), word(input+":RESYnc", "AUTO"), word(input+":ENABle", "ON"),
		link(through, input), delay(through+":VALUe", c.Delay),
	}
	group = append(group, passing(combiner, through)...)
	return append(group,
		link(raw+"REF", "NONE"), link(raw+"STOP", fmt.Sprintf("TSCO%d", combiner)), optional(word(raw+"ENABle:LINK", "RECord")),
		seen(raw+"NUMErator"), seen(raw+"DENOminator"))
}

// volts writes microvolts exactly: -400000 is "-0.400000V".
func volts(microvolts int64) string {
	sign, magnitude := "", microvolts
	if microvolts < 0 {
		sign, magnitude = "-", -microvolts
	}
	return fmt.Sprintf("%s%d.%06dV", sign, magnitude/1e6, magnitude%1e6)
}

// checkChannels finds what the device cannot do.
func checkChannels(channels []sdk.Channel) (found []*sdk.Failure) {
	used := map[int]string{}
	for _, c := range channels {
		bad := func(key, what, hint string) {
			found = append(found, &sdk.Failure{Code: "bad-acquisition", Field: "channels." + c.Name + "." + key,
				Message: fmt.Sprintf("channel %s: %s", c.Name, what), Hint: hint})
		}
		switch {
		case c.Input < 1 || c.Input > inputs:
			bad("on", fmt.Sprintf("there is no input %d", c.Input), fmt.Sprintf("the inputs are 1 to %d", inputs))
		case used[c.Input] != "":
			bad("on", fmt.Sprintf("input %d is already that of channel %s", c.Input, used[c.Input]), "an input is one channel")
		}
		used[c.Input] = c.Name
		switch {
		case c.Delay < 0:
			bad("delay", fmt.Sprintf("a delay of %v is not possible", quantity.Time(c.Delay)),
				"a Time Controller can only delay; make the delays of all other channels that much longer instead")
		case c.Delay > int64(maxDelay):
			bad("delay", fmt.Sprintf("a delay of %v is not possible", quantity.Time(c.Delay)), fmt.Sprintf("the longest is %v", maxDelay))
		}
		if c.Threshold < -int64(maxThreshold) || c.Threshold > int64(maxThreshold) {
			bad("threshold", fmt.Sprintf("a threshold of %v is not possible", quantity.Voltage(c.Threshold)),
				fmt.Sprintf("write %v to %v", -maxThreshold, maxThreshold))
		}
	}
	return found
}

// rawID is what the service calls the acquisition of an input by default.
func (d *driver) rawID(input int) string {
	return net.JoinHostPort(d.endpoint.host, strconv.Itoa(firstRawPort+input-1))
}

// openStream opens the acquisition of one channel and takes its stream.
func (d *driver) openStream(ctx context.Context, c sdk.Channel) (*lane, error) {
	port := d.config.StreamPort + c.Input - 1
	if d.config.StreamPort == 0 || d.sim != nil {
		var err error
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	d.opened[d.rawID(c.Input)] = true
	id, err := d.dlt.startStream(ctx, d.rawID(c.Input), d.endpoint.host, c.Input, port)
	var refusal *serviceError
	if errors.As(err, &refusal) {
		delete(d.opened, d.rawID(c.Input))
		return nil, &sdk.Failure{Code: "service-refused", Field: "stream_port", Message: err.Error(),
			Hint: fmt.Sprintf("make sure that port %d is free on the service's PC and that no other program takes tags of input %d", port, c.Input)}
	}
	if err != nil {
		return nil, err
	}
	d.opened[id] = true
	l := newLane(c, id)
	host, _, err := net.SplitHostPort(d.endpoint.dlt)
	if err == nil {
		l.conn, err = dialStream(ctx, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	if err != nil {
		d.closeOwn(ctx, id)
		return nil, err
	}
	return l, nil
}

// dialStream connects to a stream that the service is about to offer. A PAIR
// socket of libzmq would try again by itself.
func dialStream(ctx context.Context, addr string) (*zmtp.Conn, error) {
	deadline := time.Now().Add(streamTimeout)
	for {
		conn, err := zmtp.Dial(ctx, "tcp", addr, zmq4.Pair)
		if err == nil {
			return conn, nil
		}
		if time.Now().After(deadline) {
			return nil, &sdk.Failure{Code: "service-unreachable", Field: "stream_port",
				Message: fmt.Sprintf("take the stream of tags at %s: %v", addr, err),
				Hint:    "the DataLinkTarget service offers it; a firewall may be in the way, or another program at this port"}
		}
		if !instrument.Pause(ctx, streamPause) {
			return nil, context.Cause(ctx)
		}
	}
}

// freePort returns a TCP port that nothing listens at.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("look for a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
