package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
)

const (
	// ticcBoot is how long a TICC takes from its reset, which opening the port
	// is, to its header: 11.5 s and some.
	ticcBoot    = 20 * time.Second
	ticcMaxRate = 440 // lines a second of the serial line
	// The threshold is fixed at about 1.7 V. A recipe may write what is near it.
	ticcLowest  = 1600 * quantity.Millivolt
	ticcHighest = 1800 * quantity.Millivolt
	longestText = 256 // bytes of a line
	ticcRecent  = 1024
)

// ticcDriver controls one TICC. It never sends a word to it: whatever comes
// opens the menu of the TICC.
type ticcDriver struct {
	log    *slog.Logger
	config config
	port   *port
	sim    *simulator // nil on a real device
	leave  func()
	ended  chan struct{} // the reader has ended

	mu        sync.Mutex
	text      ticcText
	synced    time.Time  // the latest that time zero can have been, as the lines came; zero: not known
	latest    uint64     // ps: the latest time that a line had
	recent    []ticcLine // time stamps that came, for one that begins now
	simulated bool
	ready     chan struct{} // closed when time stamps may come
	failed    error         // the line is gone
	lines     chan ticcLine // of the acquisition; nil: nobody wants them

	armed  *sdk.Acquisition
	report *ticcReport
}

// ticcLine is one line, or the end of all.
type ticcLine struct {
	at   time.Time
	text string
	err  error
}

// ticcReport is what the manifest keeps of an acquisition.
type ticcReport struct {
	Port       string       `json:"port"`
	Device     ticcText     `json:"device"`
	OriginPs   uint64       `json:"origin_ps"` // the device's time at the start, which is 0 in the tags
	Stopped    bool         `json:"stopped"`
	Lines      uint64       `json:"lines"`
	Damaged    uint64       `json:"damaged,omitempty"`
	Channels   []laneReport `json:"channels"`
	Simulation *sky.Truth   `json:"simulation,omitempty"`
}

func openTICC(ctx context.Context, env sdk.Env, c config) (sdk.Driver, error) {
	d := &ticcDriver{log: env.Log, config: c, text: ticcText{Names: "AB"}, ready: make(chan struct{}), ended: make(chan struct{})}
	var path string
	var err error
	if c.Port == simulated {
		if d.sim, err = startTICC(env); err != nil {
			return nil, err
		}
		path = d.sim.path
	} else if path, err = thisPC.find(ctx, c.Port, "TICC", c.Timeout); err != nil {
		return nil, err
	}
	if d.port, err = openPort("TICC", path, c.Timeout.Duration()); err == nil {
		came, leave := d.port.listen()
		d.leave = leave
		go d.read(came)
		err = d.boot(ctx)
	}
	if err != nil {
		d.Close() // its error would only hide the cause
		return nil, err
	}
	return d, nil
}

// boot waits for the header, or for the first line of one that was not reset.
func (d *ticcDriver) boot(ctx context.Context) error {
	patience := time.NewTimer(ticcBoot)
	defer patience.Stop()
	select {
	case <-d.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-patience.C:
		return &sdk.Failure{Code: "device-timeout", Field: "port", Message: fmt.Sprintf("the %s has not begun to write time stamps within %v", d.port.name, ticcBoot),
			Hint: "check that 10 MHz is connected and that model says what device this is; a TICC with jumper JP1 is not reset by opening: press its reset button"}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil || d.text.timestamps() {
		return d.failed
	}
	return &sdk.Failure{Code: "wrong-mode", Field: "port", Message: fmt.Sprintf("the %s writes no time stamps: %s", d.port.name, instrument.Quote(d.text.Header)),
		Hint: "set its measurement mode to Timestamp in its own menu, in a terminal program at 115200 baud; with firmware of 2025: # A1 W 3"}
}

// read takes the lines as they come, as long as the port is open.
func (d *ticcDriver) read(came <-chan chunk) {
	defer close(d.ended)
	var part []byte
	first := true
	for c := range came {
		if c.err != nil {
			d.tell(ticcLine{at: time.Now(), err: c.err})
			return
		}
		now := time.Now()
		for _, b := range c.b {
			if b != '\n' {
				if len(part) < longestText {
					part = append(part, b)
				}
				continue
			}
			// What comes first may be the end of a line.
			if text := strings.TrimSpace(string(part)); text != "" && (!first || text[0] == '#') {
				d.tell(ticcLine{at: now, text: text})
			}
			part, first = part[:0], false
		}
	}
}

// tell takes a line in and hands it to the acquisition, if there is one.
func (d *ticcDriver) tell(l ticcLine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ready := l.err != nil
	switch {
	case l.err != nil:
		d.failed = l.err
	case l.text[0] == '#':
		d.simulated = d.simulated || saysSimulated(l.text)
		if d.text.comment(l.text) {
			d.synced, d.latest, d.recent, ready = l.at, 0, nil, true
		}
	default:
		ready = d.noted(l)
	}
	if ready {
		select {
		case <-d.ready:
		default:
			close(d.ready)
		}
	}
	select {
	case d.lines <- l:
	default: // nobody listens; one that does has room for minutes
	}
}

// noted keeps a time stamp in mind. No line comes before its event, so each says
// how late time zero can have been; the least delayed one says it best.
func (d *ticcDriver) noted(l ticcLine) bool {
	ps, _, ok := d.text.stamp(l.text)
	if !ok {
		return false
	}
	ps = d.text.unwrapped(ps, d.latest)
	d.latest = max(d.latest, ps)
	if zero := l.at.Add(-time.Duration(ps / 1000)); d.synced.IsZero() || zero.Before(d.synced) {
		d.synced = zero
	}
	if len(d.recent) >= 2*ticcRecent {
		d.recent = append(d.recent[:0], d.recent[ticcRecent:]...)
	}
	d.recent = append(d.recent, l)
	return true
}

// Describe reports what the device is and can do.
func (d *ticcDriver) Describe(context.Context) (sdk.Device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	resolution := int64(1)
	for range 12 - d.text.Decimals {
		resolution *= 10
	}
	device := sdk.Device{Vendor: "TAPR", Model: "TICC", Serial: d.text.Serial, Firmware: d.text.Firmware, ResolutionPs: resolution, MaxRateHz: ticcMaxRate,
		Can: sdk.Capabilities{ScheduledStart: true}, Simulated: d.sim != nil || d.simulated}
	for n := range ticcInputs {
		device.Inputs = append(device.Inputs, sdk.Input{Number: n + 1, ThresholdMin: int64(ticcLowest), ThresholdMax: int64(ticcHighest)})
	}
	return device, nil
}

// checkTICC finds what the device cannot do: its edges are set in its own menu.
// Thresholds are held against what Describe says.
func checkTICC(channels []sdk.Channel) []*sdk.Failure {
	found := checkInputs(channels, ticcInputs)
	for _, c := range channels {
		if c.Falling {
			found = append(found, bad(c, "edge", "a falling edge is not set by tsrun", "set it in the menu of the TICC and write rising, which is left alone"))
		}
	}
	return found
}

// Arm makes sure that lines come as they should. There is nothing to set.
func (d *ticcDriver) Arm(_ context.Context, a sdk.Acquisition) error {
	d.armed, d.report = nil, nil
	if len(a.Channels) == 0 {
		return &sdk.Failure{Code: "bad-acquisition", Message: "the acquisition has no channels", Hint: "give this controller a channel"}
	}
	for _, wrong := range checkTICC(a.Channels) {
		return wrong
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		return d.failed
	}
	d.armed = &a
	d.report = &ticcReport{Port: d.port.name, Device: d.text}
	return nil
}

// Report tells how the last acquisition went.
func (d *ticcDriver) Report() any {
	if d.report == nil {
		return nil
	}
	if d.sim != nil {
		truth := d.sim.truth()
		d.report.Simulation = &truth
	}
	return d.report
}

// Close lets go of the device.
func (d *ticcDriver) Close() error {
	var err error
	if d.leave != nil {
		d.leave()
		<-d.ended
	}
	if d.port != nil {
		d.port.close()
	}
	if d.sim != nil {
		err = errors.Join(err, d.sim.stop())
	}
	return err
}
