package idq

import (
	"context"
	"strconv"

	"tsrun/sim/sky"
)

// What REC:STAGe? says, in the letters that a client of a real device expects;
// others compare without regard to case.
const (
	idle    = "IDLE"
	armed   = "ARMed"   // waits for its trigger
	waiting = "WAITing" // was triggered, and waits for its delay to pass
	playing = "PLAYing"
)

// What starts a recording, as Truth names it.
const (
	byCommand   = "command"
	byGenerator = "generator"
	byStartLine = "start line"
	byInput     = "input"
)

// recording returns the recording that goes on, or nil.
func (d *device) recording() *recording {
	if d.rec == nil || d.rec.stage() == idle {
		return nil
	}
	return d.rec
}

func (d *device) recordStage(int) (string, error) {
	if d.rec == nil {
		return idle, nil
	}
	return d.rec.stage(), nil
}

// recordPlay starts at once, or arms when a trigger is linked. Disabled or
// already started it does nothing. The reply waits until the record has begun,
// so the true start lies between the command's sending and its reply's arrival.
func (d *device) recordPlay(_ int, _ value) error {
	if d.get("RECord:TRIGger:LINK").text != unlinked {
		return d.recordArm(0, value{})
	}
	at := sky.Now().Add(int64(d.config.Controller.StartDelay))
	if d.begin(edgeSource{name: byCommand, at: at}, 0) {
		d.hold = at
	}
	return nil
}

// recordArm waits for the linked trigger. A link that leads to nothing leaves
// the recorder armed until it is stopped.
func (d *device) recordArm(_ int, _ value) error {
	link := d.get("RECord:TRIGger:LINK").text
	o := d.trace(link)
	e := edgeSource{name: byInput, armed: sky.Now()}
	delay := o.delay
	switch o.block {
	case "STAR":
		e.name, e.line = byStartLine, d.line
	case "GEN":
		e.name, e.line = byGenerator, d.generators[o.n].line
	default:
		e.wire, delay = d.follow(link), 0 // its delays are in it
	}
	d.begin(e, delay+d.get("RECord:TRIGger:DELAy").n)
	return nil
}

// recordArmed arms by itself what has a trigger and is to arm itself.
func (d *device) recordArmed(int, value) error {
	if d.get("RECord:TRIGger:ARM:MODE").text == "AUTO" && d.get("RECord:TRIGger:LINK").text != unlinked {
		return d.recordArm(0, value{})
	}
	return nil
}

// recordAgain arms by itself after a recording that was not stopped.
func (d *device) recordAgain() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rec != nil && d.rec.stopping.Err() == nil {
		d.recordArmed(0, value{}) // it has no errors
	}
}

// recordDisarm gives up waiting for the trigger.
func (d *device) recordDisarm(_ int, _ value) error {
	if r := d.recording(); r != nil && r.edge.name != byCommand {
		r.disarm(sky.Now())
	}
	return nil
}

// recordStop ends the running record at once and returns when it was handed over.
func (d *device) recordStop(_ int, _ value) error {
	if r := d.recording(); r != nil {
		r.halt(sky.Now())
	}
	return nil
}

// recordWidth keeps the two names of the width alike and the period long enough.
func (d *device) recordWidth(_ int, v value) error {
	d.values["RECord:DURation"], d.values["RECord:PWIDth"] = v, v
	if least := v.n + deadTime; d.get("RECord:PPERiod").n < least {
		d.values["RECord:PPERiod"] = value{n: least}
	}
	return nil
}

func (d *device) recordPeriod(_ int, v value) error {
	if least := d.get("RECord:PWIDth").n + deadTime; v.n < least {
		return &scpiError{"PARAM_TYPE", strconv.FormatInt(v.n, 10) + ", the width and 40 ns of dead time need " + strconv.FormatInt(least, 10)}
	}
	return nil
}

// begin starts a recording with the settings of this moment and reports
// whether it did: not when RECord is disabled or busy.
func (d *device) begin(e edgeSource, delay int64) bool {
	if d.get("RECord:ENABle").text != "ON" || d.recording() != nil {
		return false
	}
	d.recorded++
	known := d.foretell(e.name)
	r := &recording{
		device: d, known: known, clock: known.Clock(), resolution: d.resolution(), edge: e, delay: delay,
		width: int64(known.WidthPs), period: int64(known.PeriodPs),
		records: uint64(d.get("RECord:NUMber").n),
		settled: make(chan struct{}), over: make(chan struct{}),
	}
	if n := d.get("RECord:NUMber"); n.inf || n.n == 0 {
		r.records = endless
	}
	r.stopping, r.stop = context.WithCancel(context.Background())
	r.arming, r.unarm = context.WithCancel(r.stopping)
	for n := 1; n <= channels; n++ {
		w := d.wiring("RAW", n)
		r.raws = append(r.raws, &raw{links: w, ledger: newLedger(n, w.input(), w.origin.delay), gone: &undelivered{}})
		if d.plots[n] = d.newHistogram(n); d.plots[n] != nil {
			r.plots = append(r.plots, d.plots[n])
		}
	}
	d.rec = r
	d.tasks.run(r.run)
	return true
}

// foretell returns what is known of an acquisition before it begins.
func (d *device) foretell(trigger string) Truth {
	c := d.config.Controller
	t := Truth{
		Simulated: true, Serial: d.config.Serial, Acquisition: d.recorded, Trigger: trigger, Seed: d.config.Sky.Seed,
		ClockOffsetPs: int64(c.ClockOffset), ClockStepAtPs: d.faults.clockStep.At, ClockStepPs: d.faults.clockStep.By,
		FrequencyJumpAtPs: d.faults.turn.At, FrequencyJumpE15: int64(d.faults.turn.By),
		WidthPs: uint64(d.get("RECord:PWIDth").n), PeriodPs: uint64(d.get("RECord:PPERiod").n),
	}
	if d.freeRunning() {
		t.DriftE15, t.WhiteFME15, t.RandomWalkFME15 = int64(c.Drift), int64(c.WhiteFM), int64(c.RandomWalkFM)
	}
	return t
}
