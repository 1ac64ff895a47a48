// Package xdp receives the datagrams of one peer past the kernel's network (AF_XDP): a
// small program at the network interface (XDP, in generic mode, which any interface has)
// puts them into a ring of memory that this process shares with the kernel.
//
// The program takes IPv4 packets of UDP, without options, whole and no longer than an
// Ethernet frame, from one address and port to one address and port. Everything else goes
// its usual way, and so do those where the ring is gone: whoever opens a UDP socket at the
// same address has what the ring has not. When a process ends, however it does, the kernel
// takes its program off the interface.
package xdp

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
)

// Refusal is why packets cannot be had past the kernel's network, and what to do.
type Refusal struct {
	Doing  string
	Errno  string // what the system said, like EPERM; "" where nobody asked it
	Remedy string
	Err    error
}

func (r *Refusal) Error() string {
	return "AF_XDP: " + r.Doing + ": " + strings.TrimSpace(r.Errno+" "+r.Err.Error())
}

func (r *Refusal) Unwrap() error { return r.Err }

// errLoopback says that datagrams of this PC to itself come from no interface.
var errLoopback = errors.New("the other end is this PC, and no interface is between")

// refusal puts an error into words.
func refusal(doing string, err error) *Refusal {
	r := &Refusal{Doing: doing, Err: err, Remedy: "leave it at trigger.fast: udp"}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		r.Errno, r.Remedy = errnoName(errno), remedy(errno)
	}
	return r
}

// Loopback reports whether an error says that both ends are this PC.
func Loopback(err error) bool { return errors.Is(err, errLoopback) }

// suits checks addresses.
func suits(local, remote netip.AddrPort) error {
	for _, a := range []netip.AddrPort{local, remote} {
		if !a.Addr().Unmap().Is4() || a.Port() == 0 {
			return refusal("take datagrams from "+remote.String()+" to "+local.String(), errors.New("only those of IPv4 can be taken"))
		}
	}
	return nil
}
