// Package pty is the device's end of a serial line that is a pseudo terminal: a
// simulated device opens one, and any program opens its Path as it would open
// /dev/ttyACM0. The device knows whether somebody has.
package pty

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"tsrun/sdk/instrument"
)

const (
	// look is how often the device looks whether somebody has the line open.
	look = 10 * time.Millisecond
	// writeSlice is how long a write waits at most between two looks.
	writeSlice = 50 * time.Millisecond
)

// ErrDetached is a write to a line that nobody has open.
var ErrDetached = errors.New("nobody has the line open")

// Line is the device's end of a serial line.
type Line struct {
	master   *os.File
	path     string
	attached atomic.Bool
	closed   atomic.Bool
}

// Path is what a program opens.
func (l *Line) Path() string { return l.path }

// Attached says whether a program has the line open.
func (l *Line) Attached() bool { return l.attached.Load() }

// serve passes on what programs send, until ctx ends or the line is closed.
// Changed is told when the line is opened and closed by the last program.
func (l *Line) serve(ctx context.Context, received func(at time.Time, b []byte), changed func(attached bool)) error {
	set := func(now bool) {
		if l.attached.Swap(now) != now {
			changed(now)
		}
	}
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		if err := l.master.SetReadDeadline(time.Now().Add(look)); err != nil {
			return l.unlessClosed(err)
		}
		n, err := l.master.Read(buf)
		switch {
		case n > 0:
			set(true)
			received(time.Now(), buf[:n])
		case errors.Is(err, os.ErrDeadlineExceeded):
			set(true)
		case errors.Is(err, os.ErrClosed):
			return nil
		default: // EIO: no program has it open
			set(false)
			instrument.Pause(ctx, look)
		}
	}
	return nil
}

// Write sends to the program that has the line open, and waits as long as that
// takes nothing.
func (l *Line) Write(ctx context.Context, b []byte) error {
	for len(b) > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := l.Offer(b, writeSlice)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// Offer sends as much as the line takes within a time; where that is 0, as much as
// it takes at once.
func (l *Line) Offer(b []byte, within time.Duration) (taken int, err error) {
	if !l.Attached() {
		return 0, ErrDetached
	}
	var until time.Time
	write := l.writeNow
	if within > 0 {
		until, write = time.Now().Add(within), l.master.Write
	}
	if err := l.master.SetWriteDeadline(until); err != nil {
		return 0, l.unlessClosed(err)
	}
	n, err := write(b)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = nil
	case errors.Is(err, syscall.EIO):
		err = ErrDetached
	}
	return n, err
}

// Close unplugs the line: a program that has it open is told so.
func (l *Line) Close() error {
	l.closed.Store(true)
	return l.master.Close()
}

// unlessClosed returns the error of setting a deadline, which is none where this end has
// closed the line meanwhile: what says so then is no os.ErrClosed.
func (l *Line) unlessClosed(err error) error {
	if l.closed.Load() {
		return nil
	}
	return err
}
