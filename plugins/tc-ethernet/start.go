package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
)

const (
	// The START pulse: NIM, as the vendor's own programs make it, in ps.
	pulseWidth  = 1_000_000
	pulsePeriod = 1_004_000

	startThreshold = -400 * quantity.Millivolt

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
	const hint = "a start by hardware needs a START input and a generator"
	group := []setting{
		word("STARt:COUPling", "DC"), word("STARt:EDGE", "FALLing"), threshold("STARt:THREshold", startThreshold),
		word("STARt:SELEct", "UNSHaped"), word("STARt:ENABle", "ON"), optional(delay("STARt:DELAy", 0)),
		link("DELAy8", "STARt"), delay("DELAy8:VALUe", 0),
		link("REC:TRIG", "DELAy8"), delay("REC:TRIG:DELAy", 0),
	}
	if err := d.apply(ctx, hint, group...); err != nil {
		return err
	}
	if d.armed.start.pulse {
		if err := d.tc.do(ctx, "GENerator1:STOP"); err != nil {
			return refused(err, hint)
		}
		if err := d.apply(ctx, hint, pulseSettings()...); err != nil {
			return err
		}
	}
	d.recording = true
	if err := d.tc.do(ctx, "REC:TRIG:ARM"); err != nil {
		return refused(err, hint)
	}
	stage, err := d.stage(ctx)
	if err != nil {
		return err
	}
	if isIdle(stage) || stage == playing {
		return &sdk.Failure{Code: "start-edge", Message: fmt.Sprintf("wait for the START edge: the records are %s", stage),
			Hint: "check that nothing else drives START, or starts or stops this controller"}
	}
	d.armed.start.stage = stage
	return nil
}

// pulseSettings lead one pulse of generator 1 to all outputs, each to be
// cabled to the START of one controller, this one included.
func pulseSettings() []setting {
	group := []setting{
		link("GENerator1:TRIG", "NONE"), word("GENerator1:TRIG:ARM:MODE", "MANUal"),
		exactly("GENerator1:PPERiod", pulsePeriod), exactly("GENerator1:PWIDth", pulseWidth),
		word("GENerator1:PNUMber", "1"), word("GENerator1:ENABle", "ON"),
	}
	group = append(group, passing(1, "GENerator1")...)
	for n := 1; n <= 4; n++ {
		at := fmt.Sprintf("OUTPut%d:", n)
		group = append(group, link(strings.TrimSuffix(at, ":"), "TSCO1"), optional(word(at+"MODE", "NIM")), optional(delay(at+"DELAy", 0)),
			word(at+"PULSe", "ON"), exactly(at+"PULSe:WIDTh", pulseWidth), word(at+"ENABle", "ON"))
	}
	return group
}

// passing makes a combiner pass on the events of one block and nothing else,
// whatever it was set to: no window, and only its first input.
func passing(combiner int, from string) []setting {
	at := fmt.Sprintf("TSCO%d:", combiner)
	return []setting{
		link(at+"FIRst", from), word(at+"OPIN", "ONLYFIR"), word(at+"OPOUt", "ONLYFIR"), word(at+"WINDow:ENABle", "OFF"),
	}
}

// Stages of the records, in capitals. Only PLAYING is the same with every firmware.
const (
	playing   = "PLAYING"
	armedUp   = "ARMED"   // waits for its trigger
	triggered = "WAITING" // waits for the delay after it to pass
)

func isIdle(stage string) bool { return stage == "IDLE" || stage == "STOPPED" }

// stage returns what the records are doing, in capitals.
func (d *driver) stage(ctx context.Context) (string, error) {
	stage, err := d.tc.query(ctx, "REC:STAGe?")
	return strings.ToUpper(stage), err
}

// span is when the records began: not before one time and not after the other.
type span struct{ called, returned time.Time }

// Probe asks what the records are doing: a question that goes the way of the order to
// start, and changes nothing.
func (d *driver) Probe(ctx context.Context) (time.Duration, error) {
	return 0, d.tc.now(ctx, "REC:STAGe?")
}

// fire starts the records at the instant and tells when they began.
func (d *driver) fire(ctx context.Context, start starter) (span, error) {
	began := span{called: time.Now()}
	// An order that has been sent is waited for, even when the caller gives up.
	order := context.WithoutCancel(ctx)
	err := start.Fire(ctx, func() error {
		if d.armed.start != nil {
			return d.fireEdge(ctx, order, &began)
		}
		began.called = time.Now()
		d.recording = true
		err := d.tc.now(order, "REC:PLAY")
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
		if err != nil || stage != d.armed.start.stage && stage != armedUp && stage != triggered {
			return err
		}
		if waiting := asked.Add(-picoseconds(d.armed.period) / 2); waiting.After(began.called) {
			began.called = waiting
		}
		if time.Now().After(deadline) {
			return &sdk.Failure{Code: "start-edge", Message: fmt.Sprintf("start: no edge came to START within %v of the instant", edgeTimeout),
				Hint: "check the cable from the outputs of the controller that makes the pulse, its own START included"}
		}
		if !instrument.Pause(ctx, edgePause) {
			return context.Cause(ctx)
		}
	}
}
