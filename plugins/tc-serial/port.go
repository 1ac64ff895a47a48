package main

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"go.bug.st/serial"

	"tsrun/sdk"
)

const (
	baud = 115200 // of no effect on a device on USB
	// readSlice is how long a read waits. Nothing for so long is a pause.
	readSlice = 20 * time.Millisecond
)

// port is an open serial line. Nobody else has it.
type port struct {
	name    string // "TDC1 at /dev/ttyACM0"
	path    string
	serial  serial.Port
	unlock  func()
	timeout time.Duration // of a write

	unread atomic.Int64 // ms: the longest that a device was kept waiting, as tsrun took nothing
}

// openPort opens a serial line for this process alone.
func openPort(device, path string, timeout time.Duration) (*port, error) {
	unlock, err := lock(path)
	var busy *busyError
	switch {
	case errors.As(err, &busy):
		return nil, &sdk.Failure{Code: "port-busy", Field: "port", Message: fmt.Sprintf("the port %s is in use by %s", path, busy.by),
			Hint: "two programs on one line would each get a part of the data; end the other one, or give another port"}
	case err != nil:
		return nil, unreachable(device, path, err)
	}
	s, err := serial.Open(path, &serial.Mode{BaudRate: baud})
	if err == nil {
		err = s.SetReadTimeout(readSlice)
	}
	if err != nil {
		if s != nil {
			s.Close()
		}
		unlock()
		return nil, unreachable(device, path, err)
	}
	return &port{name: device + " at " + path, path: path, serial: s, unlock: unlock, timeout: timeout}, nil
}

func unreachable(device, path string, err error) error {
	return &sdk.Failure{Code: "device-unreachable", Field: "port", Message: fmt.Sprintf("open the %s at %s: %v", device, path, err),
		Hint: "check that it is plugged in (ls /dev/serial/by-id), and that you may use it: sudo usermod -aG dialout $USER, then log in again"}
}

// write sends text. A line that takes nothing is closed after a while, since
// nothing else would end the write.
func (p *port) write(text string) error {
	done := make(chan error, 1)
	go func() {
		b := []byte(text)
		for len(b) > 0 {
			n, err := p.serial.Write(b)
			if err != nil {
				done <- err
				return
			}
			b = b[n:]
		}
		done <- nil
	}()
	watchdog := time.NewTimer(p.timeout)
	defer watchdog.Stop()
	select {
	case err := <-done:
		if err != nil {
			return p.gone(err)
		}
		return nil
	case <-watchdog.C:
		p.serial.Close()
		return &sdk.Failure{Code: "device-timeout", Field: "port", Message: fmt.Sprintf("the %s takes no data: nothing was sent within %v", p.name, p.timeout),
			Hint: "unplug it and plug it in again"}
	}
}

// read reads what is there; 0 bytes are a pause of readSlice.
func (p *port) read(b []byte) (int, error) {
	n, err := p.serial.Read(b)
	if err != nil {
		return 0, p.gone(err)
	}
	return n, nil
}

func (p *port) gone(err error) error {
	var closed *serial.PortError
	if errors.Is(err, io.EOF) || errors.As(err, &closed) && closed.Code() == serial.PortClosed {
		err = errors.New("it is gone")
	}
	return &sdk.Failure{Code: "device-gone", Field: "port", Message: fmt.Sprintf("the %s vanished: %v", p.name, err),
		Hint: "it was unplugged, lost its power or was reset; check cable and hub"}
}

func (p *port) close() {
	p.serial.Close()
	p.unlock()
}

// busyError is a port that somebody else has.
type busyError struct{ by string }

func (e *busyError) Error() string { return "in use by " + e.by }
