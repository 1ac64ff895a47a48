package slave

import (
	"context"
	"errors"
	"net"
	"runtime"
	"syscall"
	"time"
)

const (
	// turnName is an address that one process of a PC has at a time and that is free
	// again once the process has ended, however it does.
	turnName = "@tsrun-timing"
	// turnTimeout bounds how long a node waits for others; then it goes on beside them.
	turnTimeout = 5 * time.Second
	turnRetry   = 10 * time.Millisecond
)

// takeTurn waits until no other process of this PC is at what one does at a time. Where
// the system has no such address, nobody waits.
func takeTurn(ctx context.Context) (leave func()) {
	if runtime.GOOS != "linux" {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	for {
		l, err := new(net.ListenConfig).Listen(ctx, "unix", turnName)
		if err == nil {
			return func() { l.Close() }
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return func() {}
		}
		select {
		case <-ctx.Done():
			return func() {}
		case <-time.After(turnRetry):
		}
	}
}
