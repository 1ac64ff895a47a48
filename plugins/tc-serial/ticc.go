package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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

// ticcDriver controls one TICC. Whatever is sent to a TICC may open its menu, so
// nothing is, but what ticc_menu.go says.
type ticcDriver struct {
	device
	leave func()
	ended chan struct{} // the reader has ended

	comments atomic.Uint64 // lines that a TICC has said of itself

	mu        sync.Mutex
	text      ticcText
	synced    time.Time  // the latest that time zero can have been, as the lines came; zero: not known
	latest    uint64     // ps: the latest time that a line had
	recent    []ticcLine // time stamps that came, for one that begins now
	simulated bool
	ready     chan struct{} // closed when time stamps may come
	failed    error         // the line is gone
	heard     time.Time     // when it last said something of itself, or was opened
	waits     bool          // for the sync of another
	inMenu    bool
	lines     chan ticcLine // to an acquisition or a dialogue; nil: nobody wants them
	missed    uint64        // that found no room there since the last one that did

	report *ticcReport
}

// ticcLine is one line, or the end of all.
type ticcLine struct {
	at     time.Time
	text   string
	err    error
	filled bool   // see chunk: it is the first of what had filled the line
	missed uint64 // lines before it that found no room
}

// ticcReport is what the manifest keeps of an acquisition.
type ticcReport struct {
	Port       string       `json:"port"`
	Device     ticcText     `json:"device"`
	OriginPs   uint64       `json:"origin_ps"` // the device's time at the start, which is 0 in the tags
	Stopped    bool         `json:"stopped"`
	Lines      uint64       `json:"lines"`
	Damaged    uint64       `json:"damaged,omitempty"`
	Holes      uint64       `json:"holes,omitempty"`  // places where the device could not write, as the line was not read
	Missed     uint64       `json:"missed,omitempty"` // lines that found no room, as nobody took them for minutes
	Channels   []laneReport `json:"channels"`
	Simulation *sky.Truth   `json:"simulation,omitempty"`
}

func openTICC(ctx context.Context, env sdk.Env, c config) (sdk.Driver, error) {
	d := &ticcDriver{device: device{log: env.Log, config: c}, text: ticcText{Names: "AB"}, ready: make(chan struct{}), ended: make(chan struct{}), heard: time.Now()}
	err := d.connect(ctx, env, "TICC", startTICC)
	if err == nil {
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

// boot waits for the header, or for the first line of one that was not reset. One
// that is silent is in its menu, or has nothing to say: it is asked.
func (d *ticcDriver) boot(ctx context.Context) error {
	patience := time.NewTimer(ticcBoot)
	defer patience.Stop()
	look := time.NewTicker(ticcLook)
	defer look.Stop()
	for asked := false; ; {
		select {
		case <-d.ready:
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.failed
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
			if asked || !d.silent() {
				continue
			}
			asked = true
			if err := d.wake(ctx); err != nil {
				return err
			}
		case <-patience.C:
			return &sdk.Failure{Code: "device-timeout", Field: "port", Message: fmt.Sprintf("the %s has not begun to write time stamps within %v", d.port.name, ticcBoot),
				Hint: "check that 10 MHz is connected and that model says what device this is; a TICC that is in its menu, or waits for the sync of another, writes none: press its reset button"}
		}
	}
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
		now, filled := time.Now(), c.filled
		for _, b := range c.b {
			if b != '\n' {
				if len(part) < longestText {
					part = append(part, b)
				}
				continue
			}
			// What comes first may be the end of a line.
			if text := strings.TrimSpace(string(part)); text != "" && (!first || text[0] == '#') {
				d.tell(ticcLine{at: now, text: text, filled: filled})
				filled = false
			}
			part, first = part[:0], false
		}
		if string(part) == ticcPrompt {
			d.tell(ticcLine{at: now, text: ticcPrompt})
			part, first = part[:0], false
		}
		if len(part) > 0 && part[0] == '#' {
			d.mu.Lock()
			d.heard = now
			d.mu.Unlock()
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
	case l.text == ticcPrompt:
		d.inMenu = true
	case l.text[0] == '#':
		d.comments.Add(1)
		d.simulated, d.heard = d.simulated || saysSimulated(l.text), l.at
		d.waits = strings.Contains(l.text, "waiting for sync")
		d.inMenu = d.inMenu && !strings.HasPrefix(l.text, ticcResumes)
		if ticcNoReference.MatchString(l.text) {
			d.failed, ready = noReference(d.port.name, l.text), true
		}
		if d.text.comment(l.text) {
			d.synced, d.latest, d.recent, d.failed, d.inMenu, ready = l.at, 0, nil, nil, false, true
		}
	default:
		ready = d.noted(l)
	}
	if ready {
		d.begin()
	}
	if d.lines == nil {
		return // nobody listens
	}
	l.missed = d.missed
	select {
	case d.lines <- l:
		d.missed = 0
	default: // who listens has room for minutes
		d.missed++
	}
}

func noReference(name, text string) *sdk.Failure {
	return &sdk.Failure{Code: "no-reference", Field: "port", Message: fmt.Sprintf("the %s has no reference, or lost it: %s", name, instrument.Quote(text)),
		Hint: "check the 10 MHz; its time begins anew when it restarts"}
}

// begin says that time stamps may come, or that none will.
func (d *ticcDriver) begin() {
	select {
	case <-d.ready:
	default:
		close(d.ready)
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
	for range 12 - d.text.places() {
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

// Arm makes sure that time stamps come, and sets the mode of one that lets it.
func (d *ticcDriver) Arm(ctx context.Context, a sdk.Acquisition) error {
	d.report = nil
	if err := d.prepare(a, checkTICC); err != nil {
		return err
	}
	if err := d.setUp(ctx); err != nil {
		return err
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
	d.report.Simulation = d.truth()
	return d.report
}

// Close lets go of the device.
func (d *ticcDriver) Close() error {
	if d.leave != nil {
		d.leave()
		<-d.ended
	}
	return d.disconnect()
}
