//go:build !linux

package xdp

import (
	"errors"
	"net/netip"
	"syscall"
	"time"
)

// Socket receives the datagrams from one address to another, which Linux alone has.
type Socket struct{}

// Listen says that this system has no AF_XDP.
func Listen(local, remote netip.AddrPort) (*Socket, error) {
	if err := suits(local, remote); err != nil {
		return nil, err
	}
	return nil, refusal("open a socket", errors.New("only Linux has it"))
}

// Try says that this system has no AF_XDP.
func Try(local, remote netip.AddrPort) (at string, err error) {
	_, err = Listen(local, remote)
	return "", err
}

// Receive is of a socket, which there is none of.
func (s *Socket) Receive(time.Duration, func([]byte)) error { return errors.ErrUnsupported }

// Close is of a socket, which there is none of.
func (s *Socket) Close() {}

func errnoName(e syscall.Errno) string { return e.Error() }

func remedy(syscall.Errno) string { return "use Linux, or leave it at trigger.fast: udp" }
