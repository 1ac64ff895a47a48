package zmtp

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// awaitSlice bounds one wait in the kernel, which Close waits for.
const awaitSlice = 50 * time.Millisecond

// AwaitInKernel waits until there is something to read, the peer has left, the Conn is
// closed or a moment has come; the zero time: none. What it is the next read tells. The
// calling thread itself waits in the kernel: a read waits in Go's scheduler, which takes a
// thread more to be woken, and that thread has no priority. With TLS it does not wait.
func (c *Conn) AwaitInKernel(until time.Time) {
	socket, plain := c.nc.(syscall.Conn)
	if !plain || c.r.Buffered() > 0 {
		return
	}
	raw, err := socket.SyscallConn()
	for over := err != nil; !over; {
		slice := awaitSlice
		if !until.IsZero() {
			slice = min(slice, time.Until(until))
		}
		closed := raw.Control(func(fd uintptr) {
			patience := unix.NsecToTimespec(max(0, slice.Nanoseconds()))
			n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &patience, nil)
			over = n > 0 || err != nil && !errors.Is(err, unix.EINTR)
		})
		over = over || closed != nil || slice <= 0
	}
}
