package idq

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"math/rand/v2"
	"strconv"

	"tsrun/sdk/quantity"
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
	now := sky.Now()
	if !d.mayBegin() {
		return nil
	}
	delay := d.startDelay()
	d.hold = now.Add(delay)
	begin := func() { d.begin(edgeSource{name: byCommand, at: now.Add(delay)}, 0) }
	if d.deferred = begin; delay > longestHold {
		d.settle() // nobody else may wait so long
	}
	return nil
}

// longestHold is how long, in ps, the device does nothing but begin a record.
const longestHold = 10_000_000_000

// startDelay is how long, in ps, this start takes: start_delay, and what it has wandered
// off by since the first, in steps that only the seed and the serial number decide.
func (d *device) startDelay() int64 {
	if wander := float64(d.config.StartWander); wander > 0 {
		if d.steps == nil {
			sum := sha256.Sum256(fmt.Appendf(nil, "start wander of %s", d.config.Serial))
			d.steps = rand.New(rand.NewPCG(d.config.Sky.Seed, binary.LittleEndian.Uint64(sum[:])))
		} else {
			d.wandered += int64(d.steps.NormFloat64() * wander)
		}
	}
	return max(0, int64(d.config.Controller.StartDelay)+d.wandered)
}

// mayBegin reports whether a recording can begin: not when RECord is disabled or busy.
func (d *device) mayBegin() bool {
	return d.get("RECord:ENABle").text == "ON" && d.recording() == nil
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

// begin starts a recording with the settings of this moment, if there may be one.
func (d *device) begin(e edgeSource, delay int64) {
	if !d.mayBegin() {
		return
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

// Truth is what a simulated controller knows of one acquisition and a real
// one could not tell: when it really began, how its clock was wrong, and what
// exactly it delivered.
//
// A tag's absolute time is its value plus the period times the number of its
// record, in picoseconds; SHA-256 runs over the absolute times as
// little-endian 64-bit words, in the order of time.
type Truth struct {
	Simulated   bool   `json:"simulated"` // always true
	Serial      string `json:"serial"`
	Acquisition int    `json:"acquisition"` // counts from 1; 0: there was none yet
	Seed        uint64 `json:"seed"`        // of the light, and with the serial number of the clock's noise

	// The true instant at which the first record began, in two parts, because
	// picoseconds since 1970 do not fit 64 bits.
	StartUnixNs int64  `json:"start_unix_ns"`
	StartPs     int64  `json:"start_ps"` // 0 to 999, after StartUnixNs
	Trigger     string `json:"trigger"`  // "command", "generator" or "start line"

	// How the clock ran; with DEVIce:SYNC EXT it neither drifted nor wandered.
	ClockOffsetPs   int64 `json:"clock_offset_ps"`
	DriftE15        int64 `json:"drift_e15"`                    // parts in 1e15
	WhiteFME15      int64 `json:"white_fm_e15,omitempty"`       // Allan deviation at 1 s of white frequency noise
	RandomWalkFME15 int64 `json:"random_walk_fm_e15,omitempty"` // change of the frequency in 1 s, rms
	ClockStepAtPs   int64 `json:"clock_step_at_ps,omitempty"`   // true time since the start at which a fault made it jump
	ClockStepPs     int64 `json:"clock_step_ps,omitempty"`      // by so much

	FrequencyJumpAtPs int64 `json:"frequency_jump_at_ps,omitempty"` // true time since the start from which on a fault made it run faster
	FrequencyJumpE15  int64 `json:"frequency_jump_e15,omitempty"`   // by so many parts in 1e15

	WidthPs  uint64 `json:"width_ps"`
	PeriodPs uint64 `json:"period_ps"`
	Records  uint64 `json:"records"` // ended, the last perhaps early
	Stopped  bool   `json:"stopped"` // by REC:STOP or the end of the simulator, before the last record was full

	Channels []ChannelTruth `json:"channels"` // those with RAWn:SEND ON when a record ended
}

// ChannelTruth is the part of the truth that concerns one RAW block.
type ChannelTruth struct {
	Channel     int    `json:"channel"`       // of RAW and the DataLinkTarget, 1 to 4
	Input       int    `json:"input"`         // whose detections it stamps; 0: none is linked
	DelayPs     int64  `json:"delay_ps"`      // sum of the DELAy blocks on the way
	Tags        uint64 `json:"tags"`          // handed to an open DataLinkTarget acquisition
	First       uint64 `json:"first_ps"`      // absolute; 0 when there are no tags
	Last        uint64 `json:"last_ps"`       //
	SHA256      string `json:"sha256"`        // hexadecimal, over the absolute times
	InDeadTime  uint64 `json:"in_dead_time"`  // detections between two records, which no record holds
	BeforeStart uint64 `json:"before_start"`  // detections whose tag would have been negative
	LostToFault uint64 `json:"lost_to_fault"` // left out because a fault was asked for
	Unclaimed   uint64 `json:"unclaimed"`     // dropped because no DataLinkTarget acquisition was open
	Undelivered uint64 `json:"undelivered"`   // of Tags: not taken by a peer before stop
}

// ledger adds up what one channel delivered.
type ledger struct {
	ChannelTruth
	sum hash.Hash
}

func newLedger(channel, input int, delay int64) *ledger {
	return &ledger{ChannelTruth: ChannelTruth{Channel: channel, Input: input, DelayPs: delay}, sum: sha256.New()}
}

// truth returns the state of the ledger; it may go on afterwards.
func (l *ledger) truth() ChannelTruth {
	t := l.ChannelTruth
	t.SHA256 = hex.EncodeToString(l.sum.Sum(nil))
	return t
}

// Clock returns the clock of the acquisition, which tells what it showed at
// any true time.
func (t Truth) Clock() sky.Clock {
	return sky.Clock{
		Offset: t.ClockOffsetPs,
		Drift:  quantity.Drift(t.DriftE15),
		Wander: sky.NewWander(t.Seed, t.Serial, quantity.Drift(t.WhiteFME15), quantity.Drift(t.RandomWalkFME15)),
		Step:   sky.ClockStep{At: t.ClockStepAtPs, By: t.ClockStepPs},
		Turn:   sky.FrequencyJump{At: t.FrequencyJumpAtPs, By: quantity.Drift(t.FrequencyJumpE15)},
	}
}

// began notes the start instant.
func (t *Truth) began(start sky.Instant) { t.StartUnixNs, t.StartPs = start.Unix() }
