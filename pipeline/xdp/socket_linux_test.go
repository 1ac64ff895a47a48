package xdp

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/internal/twopcs"
)

const patience = time.Minute // longer than any test needs, so that speed decides nothing

// lab is a cable between two PCs, the one of which listens.
type lab struct {
	*testing.T
	network *twopcs.Network
	a, b    twopcs.PC
	s       *Socket // of b
	sends   int     // raw socket of a
	passed  int     // raw socket of b: it sees what the program has passed on
	to      [6]byte // b
}

// mark is the address of the sender of all frames of a test.
var mark = [6]byte{2, 0, 0, 0, 0, 0x77}

// newLab makes a lab. Where the kernel refuses what is asked, which is said with its name
// for that and what to do, s is nil.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, network: twopcs.Of(t)}
	var err error
	if l.a, l.b, err = l.network.Two(); err != nil {
		t.Fatal(err)
	}
	for _, pc := range []twopcs.PC{l.a, l.b} { // for a frame longer than those of Ethernet
		l.ip("-n " + pc.Namespace + " link set " + pc.Interface + " mtu 3000")
	}
	if l.s, err = l.listen(); err != nil {
		l.isRefusal(err)
		t.Logf("this kernel refuses: %v", err)
		return l
	}
	t.Cleanup(l.s.Close)
	l.sends, l.passed = l.raw(l.a), l.raw(l.b)
	return l
}

func (l *lab) listen() (s *Socket, err error) {
	l.b.Within(l, func() { s, err = Listen(here, there) })
	return s, err
}

func (l *lab) ip(line string) {
	l.Helper()
	if err := l.network.Do(line); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) isRefusal(err error) {
	l.Helper()
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Errno == "" || refused.Remedy == "" || !strings.Contains(err.Error(), refused.Errno) {
		l.Fatalf("not a refusal with its name and what to do: %v", err)
	}
}

// raw opens a socket for frames at a PC's end of the cable.
func (l *lab) raw(pc twopcs.PC) (fd int) {
	l.Helper()
	var failed error
	pc.Within(l, func() {
		const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00
		at, err := net.InterfaceByName(pc.Interface)
		if err != nil {
			failed = err
			return
		}
		if pc.Namespace == l.b.Namespace {
			l.to = [6]byte(at.HardwareAddr)
		}
		if fd, failed = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); failed == nil {
			failed = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: at.Index})
		}
	})
	if failed != nil {
		l.Fatal(failed)
	}
	l.Cleanup(func() { unix.Close(fd) })
	return fd
}

// send sends a frame to b, which is marked.
func (l *lab) send(b []byte) {
	l.Helper()
	b = slices.Clone(b)
	copy(b, l.to[:])
	copy(b[6:], mark[:])
	if _, err := unix.Write(l.sends, b); err != nil {
		l.Fatalf("send %d bytes: %v", len(b), err)
	}
}

// next is what the next datagram carries that is taken.
func (l *lab) next() (got string) {
	l.Helper()
	if err := l.s.Receive(patience, func(b []byte) { got = string(b) }); err != nil {
		l.Fatal(err)
	}
	return got
}

// pass is the next marked frame that is passed on.
func (l *lab) pass() []byte {
	l.Helper()
	b := make([]byte, 4096)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		left := unix.NsecToTimeval(patience.Nanoseconds())
		if err := unix.SetsockoptTimeval(l.passed, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &left); err != nil {
			l.Fatal(err)
		}
		n, _, err := unix.Recvfrom(l.passed, b, 0)
		if err != nil {
			l.Fatalf("wait for a frame that is passed on: %v", err)
		}
		if n >= ethernetSize && [6]byte(b[6:]) == mark {
			return b[:n]
		}
	}
	l.Fatal("no frame is passed on")
	return nil
}

// marked is how a frame looks when it has come: without the tag of a VLAN, which the kernel
// takes off.
func (l *lab) marked(b []byte) string {
	if b[typeAt] == 0x81 {
		b = slices.Delete(slices.Clone(b), typeAt, typeAt+4)
	}
	return string(l.to[:]) + string(mark[:]) + string(b[typeAt:])
}

// attached says whether a program is at b's interface.
func (l *lab) attached() bool {
	l.Helper()
	out, err := exec.Command("ip", "-n", l.b.Namespace, "link", "show", l.b.Interface).CombinedOutput()
	if err != nil {
		l.Fatalf("%v: %s", err, out)
	}
	return strings.Contains(string(out), "xdp")
}

// TestWhatIsTaken: the datagrams of the peer come to the ring and not to the kernel's
// network, and everything else the other way round.
func TestWhatIsTaken(t *testing.T) {
	l := newLab(t)
	if l.s == nil {
		return
	}
	if !l.attached() {
		t.Error("no program is at the interface")
	}
	most := strings.Repeat("x", longest-headers)
	for i := range 3 * frames { // more than there are frames
		for _, want := range []string{fmt.Sprint("order ", i), "", most} {
			l.send(frame([]byte(want)))
			if got := l.next(); got != want {
				t.Fatalf("%q comes as %q", want, got)
			}
		}
	}
	others := strange([]byte("data"))
	others["longer than of Ethernet"] = frame(make([]byte, longest-headers+1))
	others["much longer"] = frame(make([]byte, 2900))
	others["cut"] = frame(nil)[:headers-1]
	others["an Ethernet header"] = frame(nil)[:ethernetSize]
	for name, b := range others {
		l.send(b)
		if got := l.pass(); string(got) != l.marked(b) { // the first that passes: none before did
			t.Errorf("%s: passed on is % x", name, got)
		}
	}
	for _, b := range lying([]byte("data")) {
		l.send(b)
	}
	l.send(frame([]byte("after all"))) // packets of one queue keep their order
	if got := l.next(); got != "after all" {
		t.Errorf("of what is strange %q is taken", got)
	}
	if err := l.s.Receive(0, func(b []byte) { t.Errorf("%q is taken", b) }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with nothing there: %v", err)
	}
	for range 3 * frames { // of which nobody takes any
		l.send(frame([]byte("a flood")))
	}
	got := ""
	for end := time.Now().Add(patience); got != "the last"; { // there is room again
		l.send(frame([]byte("the last")))
		if err := l.s.Receive(10*time.Millisecond, func(b []byte) { got = string(b) }); err != nil && time.Now().After(end) {
			t.Fatalf("nothing comes after a flood: %v", err)
		}
	}
	l.s.Close()
	if l.attached() {
		t.Error("the program is at the interface when all is closed")
	}
	l.send(frame([]byte("data")))
	for want := l.marked(frame([]byte("data"))); string(l.pass()) != want; { // behind what is left of the flood
	}
}

// TestTry: it says what Listen would, and leaves nothing behind.
func TestTry(t *testing.T) {
	l := newLab(t)
	if l.s != nil {
		l.s.Close()
	}
	var at string
	var err error
	for end := time.Now().Add(patience); ; { // the kernel lets go of what was closed when it has time
		l.b.Within(t, func() { at, err = Try(here, there) })
		if !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			break
		}
	}
	switch {
	case l.s == nil:
		l.isRefusal(err)
	case err != nil || at != l.b.Interface:
		t.Errorf("%q, %v", at, err)
	}
	if l.attached() {
		t.Error("a program is at the interface")
	}
}

// TestOnePerInterface: a second is refused, and the first goes on.
func TestOnePerInterface(t *testing.T) {
	l := newLab(t)
	second, err := l.listen()
	if err == nil {
		second.Close()
		t.Fatal("two are at one interface")
	}
	l.isRefusal(err)
	if l.s == nil {
		return
	}
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), l.b.Interface) {
		t.Errorf("the second is refused with %v", err)
	}
	l.send(frame([]byte("data")))
	if got := l.next(); got != "data" {
		t.Errorf("%q", got)
	}
}

// TestInterfaceRemoved: the wait ends.
func TestInterfaceRemoved(t *testing.T) {
	l := newLab(t)
	if l.s == nil {
		return
	}
	ended := make(chan error)
	go func() { ended <- l.s.Receive(patience, func(b []byte) {}) }()
	l.ip("-n " + l.b.Namespace + " link set " + l.b.Interface + " down")
	l.ip("-n " + l.b.Namespace + " link set " + l.b.Interface + " up") // from which it recovers
	l.ip("-n " + l.b.Namespace + " link delete " + l.b.Interface)
	if err := <-ended; !errors.Is(err, unix.ENETDOWN) || !strings.Contains(err.Error(), l.b.Interface) {
		t.Errorf("the wait ends with %v", err)
	}
	if err := l.s.Receive(patience, func([]byte) {}); !errors.Is(err, unix.ENETDOWN) {
		t.Errorf("the next wait ends with %v", err)
	}
}

// TestKilled: the program leaves the interface with its process.
func TestKilled(t *testing.T) {
	l := newLab(t)
	if l.s == nil {
		return
	}
	l.s.Close()
	heard := ""
	for end := time.Now().Add(patience); heard != "listens: <nil>\n"; { // the kernel lets go of what was closed when it has time
		if time.Now().After(end) {
			t.Fatal(heard)
		}
		cmd := exec.Command(l.b.In[0], append(l.b.In[1:], os.Args[0])...)
		cmd.Env = append(os.Environ(), "TSRUN_TEST_ROLE=listener")
		cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		heard, _ = bufio.NewReader(out).ReadString('\n')
		if heard == "listens: <nil>\n" && !l.attached() {
			t.Error("no program is at the interface of who listens")
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
	}
	for end := time.Now().Add(patience); l.attached(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the program is at the interface when its process is gone")
		}
	}
}

// listenWith listens with these privileges alone, on a thread that ends then.
func (l *lab) listenWith(capabilities ...uint) (s *Socket, err error) {
	l.b.Within(l, func() {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		for _, c := range capabilities {
			data[c/32].Effective |= 1 << (c % 32)
			data[c/32].Permitted |= 1 << (c % 32)
		}
		if err := unix.Capset(&header, &data[0]); err != nil {
			l.Errorf("give privileges up: %v", err)
		}
		s, err = Listen(here, there)
	})
	return s, err
}

// TestFewPrivileges: those that who is refused is told of are enough.
func TestFewPrivileges(t *testing.T) {
	l := newLab(t)
	if l.s == nil {
		return
	}
	l.s.Close()
	var err error
	for end := time.Now().Add(patience); ; { // the kernel lets go of what was closed when it has time
		if l.s, err = l.listenWith(unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_BPF); !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.s.Close)
	l.send(frame([]byte("data")))
	if got := l.next(); got != "data" {
		t.Errorf("%q", got)
	}
}

// TestWithoutPrivileges: who has none is told so, with what to do.
func TestWithoutPrivileges(t *testing.T) {
	l := newLab(t)
	if l.s != nil {
		l.s.Close()
	}
	_, err := l.listenWith()
	l.isRefusal(err)
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EAFNOSUPPORT) {
		t.Errorf("refused with %v", err)
	}
	if refused := err.(*Refusal); errors.Is(err, unix.EPERM) && !strings.Contains(refused.Remedy, "CAP_NET_ADMIN CAP_NET_RAW CAP_BPF") {
		t.Errorf("what to do: %s", refused.Remedy)
	}
	if l.attached() {
		t.Error("a program is at the interface")
	}
}
