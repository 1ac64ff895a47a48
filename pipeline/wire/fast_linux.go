package wire

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/pipeline/fact"
	"tsrun/sdk/instrument"
)

// listen hears datagrams until ctx ends. The thread waits in the kernel itself: a wait
// by the scheduler of Go takes a thread more to be woken, and the kernel polls a device
// (SO_BUSY_POLL) only for a thread that waits in it.
func (s *FastSubscriber) listen(ctx context.Context) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("listen by UDP: %w", err)
	}
	err = errors.Join(raw.Control(func(fd uintptr) {
		patience := unix.NsecToTimeval(lookUp.Nanoseconds())
		err = errors.Join(unix.SetNonblock(int(fd), false), unix.SetsockoptTimeval(int(fd), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience))
	}), err)
	if err != nil {
		return fmt.Errorf("listen by UDP: %w", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var b [datagramSize + 1]byte
	for ctx.Err() == nil {
		var n int
		var failed error
		closed := raw.Read(func(fd uintptr) bool {
			n, _, failed = unix.Recvfrom(int(fd), b[:], 0)
			return true
		})
		at := time.Now()
		switch {
		case closed != nil:
			return nil
		case errors.Is(failed, unix.EAGAIN), errors.Is(failed, unix.EINTR):
		case failed != nil: // nobody listens there now
			instrument.Pause(ctx, time.Millisecond)
		default:
			s.take(b[:n], at, fact.ByUDP)
		}
	}
	return nil
}
