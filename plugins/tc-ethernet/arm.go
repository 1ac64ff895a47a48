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

	"tsrun/pipeline/quantity"
	"tsrun/pipeline/zmtp"
	"tsrun/sdk"
)

const (
	// firstRawPort is the device's port of RAW block 1. The service names
	// acquisitions after these ports.
	firstRawPort = 5556

	closeTimeout  = 5 * time.Second
	closePause    = 20 * time.Millisecond
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
	if err := checkChannels(a.Channels); err != nil {
		return err
	}
	if err := d.disarm(ctx); err != nil {
		return err
	}
	d.report = nil
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
	if err := d.closeStale(ctx); err != nil {
		return err
	}
	if d.config.Resolution != "" {
		if err := d.tc.do(ctx, "DEVIce:RESolution "+d.config.Resolution); err != nil {
			return refused(err, "the mode may need a licence; leave resolution out of the recipe")
		}
	}
	records := append([]string{
		"REC:TRIG:ARM:MODE MANUal", "REC:ENABle ON", "REC:STOP", "REC:TRIG:LINK NONE",
	}, d.armed.commands()...)
	if err := d.tc.do(ctx, records...); err != nil {
		return refused(err, "the firmware may not know records of this length")
	}
	for _, c := range a.Channels {
		if err := d.tc.do(ctx, inputCommands(c)...); err != nil {
			return refused(err, fmt.Sprintf("check threshold, edge and delay of channel %s", c.Name))
		}
	}
	for _, c := range a.Channels {
		l, err := d.openStream(ctx, c)
		if err != nil {
			return err
		}
		d.armed.lanes = append(d.armed.lanes, l)
		if err := d.tc.do(ctx, fmt.Sprintf("RAW%d:ERRORS:CLEAR", c.Input), fmt.Sprintf("RAW%d:SEND ON", c.Input)); err != nil {
			return refused(err, "sending tags may need a licence")
		}
	}
	if d.armed.start != nil {
		return d.armStart(ctx)
	}
	return nil
}

// inputCommands set one input up, and the way of its events: through its delay
// and the first input of its combiner to its RAW block, with no reference, so
// that values count from the begin of the record.
func inputCommands(c sdk.Channel) []string {
	edge := "RISIng"
	if c.Falling {
		edge = "FALLing"
	}
	n, combiner := c.Input, c.Input+4
	return []string{
		fmt.Sprintf("INPUt%d:COUPling DC", n),
		fmt.Sprintf("INPUt%d:EDGE %s", n, edge),
		fmt.Sprintf("INPUt%d:THREshold %s", n, volts(c.Threshold)),
		fmt.Sprintf("INPUt%d:ENABle ON", n),
		fmt.Sprintf("DELAy%d:LINK INPUt%d", n, n),
		fmt.Sprintf("DELAy%d:VALUe %d", n, c.Delay),
		fmt.Sprintf("TSCO%d:FIRst:LINK DELAy%d", combiner, n),
		fmt.Sprintf("RAW%d:REF:LINK NONE", n),
		fmt.Sprintf("RAW%d:STOP:LINK TSCO%d", n, combiner),
	}
}

// volts writes microvolts exactly: -400000 is "-0.400000V".
func volts(microvolts int64) string {
	sign, magnitude := "", microvolts
	if microvolts < 0 {
		sign, magnitude = "-", -microvolts
	}
	return fmt.Sprintf("%s%d.%06dV", sign, magnitude/1e6, magnitude%1e6)
}

// checkChannels refuses what the device cannot do.
func checkChannels(channels []sdk.Channel) error {
	if len(channels) == 0 {
		return &sdk.Failure{Code: "bad-acquisition", Message: "the acquisition has no channels", Hint: "give this controller a channel"}
	}
	var used [inputs + 1]string
	for _, c := range channels {
		bad := func(field, what, hint string) error {
			return &sdk.Failure{Code: "bad-acquisition", Field: field, Message: fmt.Sprintf("channel %s: %s", c.Name, what), Hint: hint}
		}
		switch {
		case c.Input < 1 || c.Input > inputs:
			return bad("on", fmt.Sprintf("there is no input %d", c.Input), fmt.Sprintf("the inputs are 1 to %d", inputs))
		case used[c.Input] != "":
			return bad("on", fmt.Sprintf("input %d is already that of channel %s", c.Input, used[c.Input]), "an input is one channel")
		case c.Delay < 0:
			return bad("delay", fmt.Sprintf("a delay of %v is not possible", quantity.Time(c.Delay)),
				"a Time Controller can only delay; make the delays of all other channels that much longer instead")
		case c.Delay > int64(maxDelay):
			return bad("delay", fmt.Sprintf("a delay of %v is not possible", quantity.Time(c.Delay)), fmt.Sprintf("the longest is %v", maxDelay))
		case c.Threshold < -int64(maxThreshold) || c.Threshold > int64(maxThreshold):
			return bad("threshold", fmt.Sprintf("a threshold of %v is not possible", quantity.Voltage(c.Threshold)), "thresholds are within a few volts")
		}
		used[c.Input] = c.Name
	}
	return nil
}

// rawID is what the service calls the acquisition of an input by default.
func (d *driver) rawID(input int) string {
	return net.JoinHostPort(d.endpoint.host, strconv.Itoa(firstRawPort+input-1))
}

// closeStale closes acquisitions of this device that someone left open; they
// would take its tags.
func (d *driver) closeStale(ctx context.Context) error {
	deadline := time.Now().Add(closeTimeout)
	for {
		open, err := d.dlt.list(ctx)
		if err != nil {
			return err
		}
		stale := slices.DeleteFunc(open, func(id string) bool { return !d.isOwn(id) })
		if len(stale) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return &sdk.Failure{Code: "service-busy", Field: "dlt",
				Message: fmt.Sprintf("close the acquisitions %v that were left open: they are still there after %v", stale, closeTimeout),
				Hint:    "restart the DataLinkTarget service"}
		}
		for _, id := range stale {
			d.log.Warn("closing an acquisition that was left open", "acquisition", id)
			var refusal *serviceError
			if _, _, err := d.dlt.stop(ctx, id); err != nil && !errors.As(err, &refusal) {
				return err
			}
		}
		if !pause(ctx, closePause) {
			return context.Cause(ctx)
		}
	}
}

func (d *driver) isOwn(id string) bool {
	for n := range inputs {
		if id == d.rawID(n+1) {
			return true
		}
	}
	return false
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
	id, err := d.dlt.startStream(ctx, d.rawID(c.Input), d.endpoint.host, c.Input, port)
	var refusal *serviceError
	if errors.As(err, &refusal) {
		return nil, &sdk.Failure{Code: "service-refused", Field: "stream_port", Message: err.Error(),
			Hint: fmt.Sprintf("make sure that port %d is free on the service's PC and that no other program takes tags of input %d", port, c.Input)}
	}
	if err != nil {
		return nil, err
	}
	l := newLane(c, id)
	host, _, err := net.SplitHostPort(d.endpoint.dlt)
	if err == nil {
		l.conn, err = dialStream(ctx, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	if err != nil {
		d.dlt.stop(ctx, id)
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
		if !pause(ctx, streamPause) {
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

// pause waits for d and reports whether ctx was still good then.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
