package zmtp

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// shorten has a socket that is to be connected ask for segments of so many bytes.
func shorten(most int) func(network, addr string, c syscall.RawConn) error {
	return func(_, addr string, c syscall.RawConn) error {
		if most == 0 || ofThisPC(addr) {
			return nil
		}
		return c.Control(func(fd uintptr) { // where the kernel takes none, the way stays as it is
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, most)
		})
	}
}

// undelivered reports whether a connection has repeated a long packet more than once, and
// nothing that was sent since has arrived.
func undelivered(nc net.Conn) (yes bool) {
	socket, ok := nc.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) { // of one that is closed nothing is known
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		yes = err == nil && info.Unacked > 0 && info.Backoff > 1
	})
	return yes
}
