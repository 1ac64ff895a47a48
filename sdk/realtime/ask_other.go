//go:build !linux

package realtime

import (
	"io"
	"syscall"
)

const notHere = "tsrun asks this of Linux only"

// Probe says that nothing is granted: controllers are used on Linux.
func (s Settings) Probe() (grants []Grant) {
	if s.Priority > 0 {
		grants = append(grants, Grant{What: Priority, Why: notHere})
	}
	return grants
}

// Enter does nothing on this system.
func (s Settings) Enter() (leave func()) { return func() {} }

// HoldDMALatency does nothing on this system.
func HoldDMALatency(int64) (Grant, io.Closer) { return Grant{What: DMALatency, Why: notHere}, nil }

// PollBusily does nothing on this system.
func PollBusily(syscall.Conn, int) Grant { return Grant{What: BusyPoll, Why: notHere} }
