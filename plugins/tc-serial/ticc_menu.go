package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
)

// What is sent to a TICC, and when:
//
//	#          where it says nothing for a while after it was opened. One of 2025
//	           opens its menu, older ones restart; one that has lost its reference
//	           restarts, too. It is not sent to one that waits for a sync: it would
//	           open the menu then.
//	return     where only the # came back: it is in its menu already
//	I, 3       in the menu: to tell its settings, and to leave it
//	A1, C11    in the menu of one of 2025 that measures something else, or writes
//	           less than 11 decimal places; as it is not told to keep that (W), its
//	           next reset forgets it
//
// Clock, edges and sync are never set: they need a restart.
const (
	ticcPrompt = "# > "
	ticcMenu   = "#"
	// ticcResumes is what it says when it leaves its menu.
	ticcResumes = "# Restarting measurements"
	// ticcPlaces is how many decimal places a TICC is set to, where it has less.
	ticcPlaces = 11
	ticcLook   = 100 * time.Millisecond
	// ticcSilence is how many times the timeout of a reply a TICC may say nothing
	// after it was opened: it begins within some seconds of its reset.
	ticcSilence = 3
)

// silent says that a TICC says nothing, and does not wait for another.
func (d *ticcDriver) silent() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.waits && time.Since(d.heard) > ticcSilence*d.config.Timeout.Duration()
}

// wake asks one that is silent. What restarts is waited for as ever; one that
// shows its menu tells its settings and goes on.
func (d *ticcDriver) wake(ctx context.Context) error {
	before := d.comments.Load()
	err := d.dialogue(func(lines <-chan ticcLine) error {
		if err := d.port.write(ticcMenu); err != nil {
			return err
		}
		prompt := func() bool { return d.awaits(ctx, lines, ticcPrompt) == nil }
		if !prompt() {
			if d.comments.Load() > before {
				return nil // it restarts
			}
			if err := d.port.write("\r"); err != nil || !prompt() {
				return err
			}
		}
		if err := d.port.write("I\r"); err != nil || !prompt() {
			return err
		}
		if err := d.port.write("3\r"); err != nil {
			return err
		}
		return d.awaits(ctx, lines, ticcResumes)
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && d.text.Mode != "" && d.text.Header == "" {
		d.begin()
	}
	return err
}

// setUp makes a TICC write time stamps, which only one of 2025 can be told to.
func (d *ticcDriver) setUp(ctx context.Context) error {
	text, inMenu, failed := d.known()
	if failed == nil && (inMenu || text.orders() != "" && text.Firmware == "") { // its banner was missed
		if err := d.wake(ctx); err != nil {
			return err
		}
		text, _, failed = d.known()
	}
	orders := text.orders()
	switch {
	case failed != nil:
		return failed
	case text.Poll != "":
		return &sdk.Failure{Code: "wrong-mode", Field: "port", Message: fmt.Sprintf("the %s writes a line only when it is asked with %s", d.port.name, instrument.Quote(text.Poll)),
			Hint: "clear its poll character in its own menu, in a terminal program at 115200 baud"}
	case orders == "":
		return nil
	case !text.settable():
		return &sdk.Failure{Code: "wrong-mode", Field: "port", Message: fmt.Sprintf("the %s writes no time stamps: %s", d.port.name, instrument.Quote(text.Mode)),
			Hint: "set its measurement mode to Timestamp in its own menu, in a terminal program at 115200 baud; firmware of 2025 is set by tsrun"}
	}
	d.log.Warn("the TICC is set to write time stamps until its next reset", "orders", orders, "mode", text.Mode)
	err := d.dialogue(func(lines <-chan ticcLine) error {
		if err := d.port.write(ticcMenu); err != nil {
			return err
		}
		if err := d.awaits(ctx, lines, ticcPrompt); err != nil {
			return err
		}
		if err := d.port.write(orders + "3\r"); err != nil {
			return err
		}
		return d.awaits(ctx, lines, ticcResumes)
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if left := d.text.orders(); err == nil && left != "" {
		err = &sdk.Failure{Code: "device-refused", Message: fmt.Sprintf("set up the %s: it has not done what it was told: %s", d.port.name, left),
			Hint: "set its measurement mode to Timestamp in its own menu, in a terminal program at 115200 baud"}
	}
	return err
}

// known is what a TICC has said so far.
func (d *ticcDriver) known() (text ticcText, inMenu bool, failed error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text, d.inMenu, d.failed
}

// dialogue hands the lines that come to a conversation.
func (d *ticcDriver) dialogue(talk func(lines <-chan ticcLine) error) error {
	lines := make(chan ticcLine, ticcQueue)
	d.listenTo(lines)
	defer d.listenTo(nil)
	return talk(lines)
}

func (d *ticcDriver) listenTo(lines chan ticcLine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = lines
}

// awaits waits for a line that begins with something.
func (d *ticcDriver) awaits(ctx context.Context, lines <-chan ticcLine, with string) error {
	patience := time.NewTimer(d.port.timeout)
	defer patience.Stop()
	for {
		select {
		case l := <-lines:
			if l.err != nil || strings.HasPrefix(l.text, with) {
				return l.err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-patience.C:
			return &sdk.Failure{Code: "device-timeout", Field: "port", Message: fmt.Sprintf("set up the %s: %q did not come within %v", d.port.name, with, d.port.timeout),
				Hint: "press its reset button, or raise timeout"}
		}
	}
}
