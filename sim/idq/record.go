package idq

import (
	"context"
	"strconv"

	"tsrun/sim/sky"
)

// What REC:STAGe? says.
const (
	stopped = "STOPPED"
	armed   = "ARMED"
	playing = "PLAYING"
)

// What starts a recording, as Truth names it.
const (
	byCommand   = "command"
	byGenerator = "generator"
	byStartLine = "start line"
)

// recording returns the recording that goes on, or nil.
func (d *device) recording() *recording {
	if d.rec == nil || d.rec.stage() == stopped {
		return nil
	}
	return d.rec
}

func (d *device) recordStage(int) (string, error) {
	if d.rec == nil {
		return stopped, nil
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

// recordArm waits for the linked trigger. A link that leads to no START input
// and no generator leaves the recorder armed for ever.
func (d *device) recordArm(_ int, _ value) error {
	o := d.trace(d.get("RECord:TRIGger:LINK").text)
	e := edgeSource{name: byGenerator, armed: sky.Now()}
	if o.block == "STAR" {
		e.name = byStartLine
	}
	d.begin(e, o.delay+d.get("RECord:TRIGger:DELAy").n)
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
		return &scpiError{"OUT_OF_RANGE", strconv.FormatInt(v.n, 10) + ", the width and 40 ns of dead time need " + strconv.FormatInt(least, 10)}
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
		over:    make(chan struct{}),
	}
	if d.get("RECord:NUMber").inf {
		r.records = endless
	}
	r.stopping, r.stop = context.WithCancel(context.Background())
	for n := 1; n <= channels; n++ {
		w := d.wiring("RAW", n)
		r.raws = append(r.raws, &raw{links: w, ledger: newLedger(n, w.input(), w.stop.delay), gone: &undelivered{}})
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
		ClockOffsetPs: int64(c.ClockOffset), ClockStepAtPs: d.faults.clockStep.at, ClockStepPs: d.faults.clockStep.by,
		WidthPs: uint64(d.get("RECord:PWIDth").n), PeriodPs: uint64(d.get("RECord:PPERiod").n),
	}
	if d.freeRunning() {
		t.DriftE15, t.WhiteFME15, t.RandomWalkFME15 = int64(c.Drift), int64(c.WhiteFM), int64(c.RandomWalkFM)
	}
	return t
}

// wiring returns how a RAW or HISTogram block is linked now. A disabled input
// counts as no input.
func (d *device) wiring(block string, n int) wiring {
	at := block + strconv.Itoa(n)
	w := wiring{stop: d.trace(d.get(at + ":STOP:LINK").text), ref: d.trace(d.get(at + ":REF:LINK").text)}
	for _, o := range []*origin{&w.stop, &w.ref} {
		if o.block == "INPU" && !d.enabled(o.n) {
			*o = origin{block: unlinked}
		}
	}
	return w
}

// generatorEnabled opens the shared START line early, so that armed
// simulators are there when the generator plays.
func (d *device) generatorEnabled(_ int, v value) error {
	if v.text == "ON" {
		if err := d.openLine(); err != nil {
			d.log.Warn("start line busy; another simulator's generator may be enabled", "error", err)
		}
	}
	return nil
}

func (d *device) openLine() error {
	opened, err := d.line.open()
	if opened {
		d.tasks.run(d.line.serve)
	}
	return err
}

// generatorPlay sends the pulses of an enabled generator down the START line.
// The reply waits for the first edge.
func (d *device) generatorPlay(n int, _ value) error {
	at := "GENerator" + strconv.Itoa(n)
	if d.get(at+":ENABle").text != "ON" || d.get(at+":TRIGger:LINK").text != unlinked {
		return nil
	}
	t := train{First: sky.Now().Add(edgeLead), Period: d.get(at + ":PPERiod").n, Count: d.get(at + ":PNUMber").n}
	if err := d.openLine(); err != nil {
		return err
	}
	d.line.set(&t)
	d.hold = t.First
	return nil
}

func (d *device) generatorStop(int, value) error {
	d.line.set(nil)
	return nil
}
