package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tsrun/sdk"
)

const (
	// The START pulse: NIM, as the vendor's own programs make it, in ps.
	pulseWidth  = 1_000_000
	pulsePeriod = 1_004_000

	edgeTimeout = 10 * time.Second
	edgePause   = 2 * time.Millisecond
)

// startEdge is a start by an edge at the START input.
type startEdge struct {
	pulse bool   // this controller makes the pulse
	stage string // of the records while they wait for the edge
}

// armStart lets the edge at START begin the records, and makes sure that they
// wait for it. START goes through delay 8, as in the vendor's set-ups.
func (d *driver) armStart(ctx context.Context) error {
	commands := []string{
		"STARt:COUPling DC", "STARt:EDGE FALLing", "STARt:THREshold -0.4V", "STARt:SELEct UNSHaped", "STARt:ENABle ON",
		"DELAy8:LINK STARt", "DELAy8:VALUe 0",
		"REC:TRIG:LINK DELAy8", "REC:TRIG:DELAy 0",
	}
	if d.armed.start.pulse {
		commands = append(commands, pulseCommands()...)
	}
	commands = append(commands, "REC:TRIG:ARM")
	if err := d.tc.do(ctx, commands...); err != nil {
		return refused(err, "a start by hardware needs a START input and a generator")
	}
	stage, err := d.stage(ctx)
	if err != nil {
		return err
	}
	if stage == "STOPPED" || stage == playing {
		return &sdk.Failure{Code: "start-edge", Message: fmt.Sprintf("wait for the START edge: the records are %s", stage),
			Hint: "check that nothing else drives START, or starts or stops this controller"}
	}
	d.armed.start.stage = stage
	return nil
}

// pulseCommands lead one pulse of generator 1 to all outputs, each to be
// cabled to the START of one controller, this one included.
func pulseCommands() []string {
	commands := []string{
		"GENerator1:STOP", "GENerator1:TRIG:LINK NONE", "GENerator1:TRIG:ARM:MODE MANUal",
		fmt.Sprintf("GENerator1:PPERiod %d", pulsePeriod), fmt.Sprintf("GENerator1:PWIDth %d", pulseWidth),
		"GENerator1:PNUMber 1", "GENerator1:ENABle ON",
		"TSCO1:FIRst:LINK GENerator1", "TSCO1:OPOUt ONLYFIR",
	}
	for n := 1; n <= 4; n++ {
		commands = append(commands,
			fmt.Sprintf("OUTPut%d:LINK TSCO1", n), fmt.Sprintf("OUTPut%d:PULSe ON", n),
			fmt.Sprintf("OUTPut%d:PULSe:WIDTh %d", n, pulseWidth), fmt.Sprintf("OUTPut%d:ENABle ON", n))
	}
	return commands
}

const playing = "PLAYING"

// stage returns what the records are doing. Only PLAYING means the same to
// every firmware.
func (d *driver) stage(ctx context.Context) (string, error) {
	stage, err := d.tc.query(ctx, "REC:STAGe?")
	return strings.ToUpper(stage), err
}

// span is when the records began: not before one time and not after the other.
type span struct{ called, returned time.Time }

// fire starts the records at the instant and tells when they began.
func (d *driver) fire(ctx context.Context, start starter) (span, error) {
	began := span{called: time.Now()}
	// An order that has been sent is waited for, whoever loses patience.
	order := context.WithoutCancel(ctx)
	err := start.Fire(ctx, func() error {
		if d.armed.start != nil {
			return d.fireEdge(ctx, order, &began)
		}
		began.called = time.Now()
		err := d.tc.do(order, "REC:PLAY")
		began.returned = time.Now()
		return refused(err, "the records may be disabled, or recording already")
	})
	return began, err
}

// fireEdge makes the pulse, if it is for this controller to make, and returns
// when the edge was seen. The records began after the last time they were
// still waiting, give or take how long the device takes to notice. That may
// have been before this controller's instant, if the clock of the PC that makes
// the pulse is ahead.
func (d *driver) fireEdge(ctx, order context.Context, began *span) error {
	if d.armed.start.pulse {
		began.called = time.Now()
		if err := d.tc.do(order, "GENerator1:PLAY"); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(edgeTimeout)
	for {
		asked := time.Now()
		stage, err := d.stage(ctx)
		began.returned = time.Now()
		if err != nil || stage != d.armed.start.stage {
			return err
		}
		if waiting := asked.Add(-picoseconds(d.armed.period) / 2); waiting.After(began.called) {
			began.called = waiting
		}
		if time.Now().After(deadline) {
			return &sdk.Failure{Code: "start-edge", Message: fmt.Sprintf("start: no edge came to START within %v of the instant", edgeTimeout),
				Hint: "check the cable from the outputs of the controller that makes the pulse, its own START included"}
		}
		if !pause(ctx, edgePause) {
			return context.Cause(ctx)
		}
	}
}
