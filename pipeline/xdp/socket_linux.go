package xdp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// mostQueues is by how many queues of an interface packets are taken at most; what comes
// by others goes its usual way.
const mostQueues = 16

// Socket receives the datagrams from one address to another. One goroutine uses it.
type Socket struct {
	local, remote netip.AddrPort
	at            *net.Interface
	rings         []*ring
	polled        []unix.PollFd
	sockets       *ebpf.Map
	program       *ebpf.Program
	attached      link.Link
	broken        error // nothing comes any more
}

// Listen has the datagrams from remote to local, an address of this PC, come past the
// kernel's network. Its error is a [Refusal].
func Listen(local, remote netip.AddrPort) (*Socket, error) {
	if err := suits(local, remote); err != nil {
		return nil, err
	}
	s := &Socket{local: unmapped(local), remote: unmapped(remote)}
	err := s.open()
	if err == nil {
		err = s.attach()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Try does all that Listen does but for putting the program on the interface, of which it
// returns the name.
func Try(local, remote netip.AddrPort) (at string, err error) {
	if err := suits(local, remote); err != nil {
		return "", err
	}
	s := &Socket{local: unmapped(local), remote: unmapped(remote)}
	defer s.Close()
	if err := s.open(); err != nil {
		return "", err
	}
	return s.at.Name, nil
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// open makes a ring for each queue, and the program that fills them.
func (s *Socket) open() (err error) {
	if s.at, err = between(s.local.Addr(), s.remote.Addr()); err != nil {
		return refusal("find the interface", err)
	}
	for queue := range queues(s.at.Name) {
		r, err := newRing(s.at, queue)
		if err != nil {
			return err
		}
		s.rings = append(s.rings, r)
		s.polled = append(s.polled, unix.PollFd{Fd: int32(r.fd), Events: unix.POLLIN})
	}
	return s.load()
}

// between returns the interface that has an address of this PC, by which another PC is
// reached.
func between(local, remote netip.Addr) (at *net.Interface, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addresses {
			prefix, err := netip.ParsePrefix(a.String())
			switch {
			case err != nil:
			case prefix.Addr() == remote, remote.IsLoopback():
				return nil, errLoopback // whatever interface has it
			case prefix.Addr() == local:
				at = &i
			}
		}
	}
	if at == nil {
		return nil, fmt.Errorf("none has the address %s", local)
	}
	return at, nil
}

// queues is by how many queues packets come to an interface.
func queues(name string) int {
	found, _ := filepath.Glob(filepath.Join("/sys/class/net", name, "queues", "rx-*")) // the pattern is right
	return min(max(len(found), 1), mostQueues)
}

// load has the kernel check the program.
func (s *Socket) load() (err error) {
	_ = rlimit.RemoveMemlock() // where it counts, and may not be raised, what follows says so
	s.sockets, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: uint32(len(s.rings))})
	if err != nil {
		return refusal("make a table of sockets", err)
	}
	s.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{Name: "tsrun", Type: ebpf.XDP, License: "GPL", Instructions: program(s.sockets.FD(), s.local, s.remote)})
	if err != nil {
		return refusal("load the program", err)
	}
	for queue, r := range s.rings {
		if err := s.sockets.Put(uint32(queue), uint32(r.fd)); err != nil {
			return refusal("enter a socket", err)
		}
	}
	return nil
}

// attach puts the program on the interface.
func (s *Socket) attach() (err error) {
	s.attached, err = link.AttachXDP(link.XDPOptions{Program: s.program, Interface: s.at.Index, Flags: link.XDPGenericMode})
	if err != nil {
		return refusal("put the program on "+s.at.Name, err)
	}
	return nil
}

// Receive waits for a datagram and calls f with what it carries, which f must not keep.
// The error is os.ErrDeadlineExceeded where none has come in time; after another one
// nothing comes any more. The thread waits in the kernel.
func (s *Socket) Receive(within time.Duration, f func(b []byte)) error {
	for end := time.Now().Add(within); ; {
		if s.next(f) {
			return nil
		}
		if s.look(); s.broken != nil {
			return s.broken
		}
		left := min(time.Until(end), lookUp)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		if _, err := unix.Poll(s.polled, int(left.Milliseconds())+1); err != nil && !errors.Is(err, unix.EINTR) {
			s.broken = fmt.Errorf("AF_XDP: wait for datagrams at %s: %w", s.at.Name, err)
		}
	}
}

// lookUp is how often it is looked whether the interface is still there: the kernel wakes
// nobody when it is removed.
const lookUp = 100 * time.Millisecond

// look looks whether packets still come to all rings.
func (s *Socket) look() {
	for _, r := range s.rings {
		if err := r.failed(); err != nil && s.broken == nil {
			s.broken = fmt.Errorf("AF_XDP: %s is gone: %w", s.at.Name, err)
		}
	}
}

// next calls f with the next datagram that is here; false: there is none.
func (s *Socket) next(f func(b []byte)) (found bool) {
	for _, r := range s.rings {
		for !found && r.next(func(frame []byte) {
			b, ok := payload(frame, s.local, s.remote)
			if ok {
				f(b)
			}
			found = ok
		}) {
		}
	}
	return found
}

// Close takes the program off the interface: datagrams go their usual way again.
func (s *Socket) Close() {
	// None of these fails but where it was closed before; the kernel has a program
	// removed with the last that holds it.
	if s.attached != nil {
		_ = s.attached.Close()
	}
	if s.program != nil {
		_ = s.program.Close()
	}
	if s.sockets != nil {
		_ = s.sockets.Close()
	}
	for _, r := range s.rings {
		r.close()
	}
	*s = Socket{local: s.local, remote: s.remote, at: s.at} // so that it can be closed again
}

func errnoName(e unix.Errno) string { return unix.ErrnoName(e) }

// remedy says what to do about what the system says.
func remedy(e unix.Errno) string {
	switch e {
	case unix.EPERM, unix.EACCES:
		return "run as root, or as a service of systemd with AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_BPF, the same in CapabilityBoundingSet=, and RestrictAddressFamilies=AF_XDP, or " + setcap()
	case unix.EBUSY, unix.EEXIST:
		return "another program has the interface (`ip link` shows it, `bpftool net` whose it is): end it, or leave it at trigger.fast: udp"
	case unix.EAFNOSUPPORT:
		return "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS), or the service may not use it (RestrictAddressFamilies= of systemd); leave it at trigger.fast: udp"
	}
	return "Linux from 5.9 on has it, built with CONFIG_XDP_SOCKETS and CONFIG_BPF_SYSCALL; leave it at trigger.fast: udp"
}

func setcap() string {
	program, err := os.Executable()
	if err != nil || strings.ContainsAny(program, " '\"") {
		program = "tsrun"
	}
	return "setcap cap_net_admin,cap_net_raw,cap_bpf+ep " + program
}
