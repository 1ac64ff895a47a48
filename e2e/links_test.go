package e2e

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/internal/twopcs"
)

// badCable joins the interfaces of two PCs with what a cable may do to packets. It is
// part of the test, because not every kernel has a module for that.
type badCable struct {
	does    [2]atomic.Pointer[harm] // to what comes from each end
	passed  atomic.Int64
	ends    [2]int // sockets of the far ends of both interfaces: the master's, the slave's
	ended   chan struct{}
	working sync.WaitGroup
}

// harm is what a cable does; the zero value passes all on at once.
type harm struct {
	loss    float64       // of packets, from 0 to 1; with 1 none passes
	reorder float64       // of packets that come later than those after them, from 0 to 1
	delay   time.Duration // each way
	rate    int           // bit/s each way; what would wait for more than a second is lost
	mtu     int           // bytes of the longest packet of IP that passes; who sends a longer one is not told; 0: any
	reset   bool          // no packet of TCP passes: its sender is answered with a reset, as by a firewall
}

// What passes a cable comes from one of its ends.
const (
	fromMaster = iota
	fromSlave
)

func (c *badCable) set(h harm) { c.setWay(fromMaster, h); c.setWay(fromSlave, h) }

// setWay sets what is done to packets of one direction.
func (c *badCable) setWay(from int, h harm) { c.does[from].Store(&h) }

// twoHostsApart makes two network namespaces that reach each other over a bad cable,
// and says how to run a program in each.
func twoHostsApart(t *testing.T) (master, slave twopcs.PC, address string, c *badCable) {
	t.Helper()
	network := twopcs.Of(t)
	do := func(line string) {
		t.Helper()
		if err := network.Do(line); err != nil {
			t.Fatal(err)
		}
	}
	var pcs [3]twopcs.PC
	for i, letter := range []string{"a", "b", "m"} {
		var err error
		if pcs[i], err = network.PC(letter); err != nil {
			t.Fatal(err)
		}
	}
	between := pcs[2]
	var far []string
	for i := range pcs[:2] {
		pc := &pcs[i]
		pc.Interface, pc.Address = "te"+network.Tag, fmt.Sprintf("10.77.0.%d", i+1) // of a name that is the same in both
		far = append(far, []string{"tx", "ty"}[i]+network.Tag)
		// One packet of the interface is one on the cable.
		do("link add " + pc.Interface + " netns " + pc.Namespace + " gso_max_segs 1 type veth peer name " + far[i] + " netns " + between.Namespace)
		do("-n " + between.Namespace + " link set " + far[i] + " up")
		do("-n " + pc.Namespace + " addr add " + pc.Address + "/24 dev " + pc.Interface)
		do("-n " + pc.Namespace + " link set " + pc.Interface + " up")
	}
	c = &badCable{ended: make(chan struct{})}
	c.set(harm{})
	for i, name := range far {
		if err := twopcs.Enter(between.File(), func() (err error) {
			c.ends[i], err = packets(name)
			return err
		}); err != nil {
			t.Fatalf("open the cable: %v", err)
		}
	}
	c.working.Go(func() { c.carry(fromMaster, c.ends[fromSlave]) })
	c.working.Go(func() { c.carry(fromSlave, c.ends[fromMaster]) })
	t.Cleanup(func() {
		close(c.ended)
		c.working.Wait()
		unix.Close(c.ends[0])
		unix.Close(c.ends[1])
	})
	return pcs[0], pcs[1], pcs[0].Address, c
}

// packets opens what an interface receives and sends, with what the system has left
// to do of checksums (struct virtio_net_hdr).
func packets(device string) (int, error) {
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in the order of the network
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return -1, err
	}
	i, err := net.InterfaceByName(device)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) // the usual size does, too
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000})
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all & 0xffff, Ifindex: i.Index})
}

// sent is a packet and when it arrives.
type sent struct {
	packet []byte
	at     time.Time
}

// carry is one direction of the cable.
func (c *badCable) carry(end, to int) {
	from := c.ends[end]
	queue := make(chan sent, 10_000)
	c.working.Go(func() {
		for s := range queue {
			time.Sleep(time.Until(s.at))
			_ = unix.Sendto(to, s.packet, 0, nil) // a link that is down takes none
		}
	})
	defer close(queue)
	buffer := make([]byte, 70_000)
	free := time.Now()
	for {
		select {
		case <-c.ended:
			return
		default:
		}
		n, source, err := unix.Recvfrom(from, buffer, 0)
		if link, ok := source.(*unix.SockaddrLinklayer); err != nil || ok && link.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		packet := append([]byte(nil), buffer[:n]...)
		h, now := c.does[end].Load(), time.Now()
		if h.reset && isTCP(packet) {
			if answer := resetOf(packet); answer != nil {
				_ = unix.Sendto(from, answer, 0, nil)
			}
			continue
		}
		if rand.Float64() < h.loss || h.mtu > 0 && n > vnetHeader+ethernet+h.mtu {
			continue
		}
		if free.Before(now) || h.rate == 0 {
			free = now
		}
		if h.rate > 0 {
			if free.Sub(now) > time.Second {
				continue
			}
			free = free.Add(time.Duration(n) * 8 * time.Second / time.Duration(h.rate))
		}
		c.passed.Add(1)
		at := free.Add(h.delay)
		if rand.Float64() < h.reorder {
			time.AfterFunc(time.Until(at)+time.Duration(rand.Int64N(int64(50*time.Millisecond))), func() { _ = unix.Sendto(to, packet, 0, nil) })
			continue
		}
		select {
		case queue <- sent{packet, at}:
		default: // the cable is full
		}
	}
}

const (
	vnetHeader = 10 // bytes before a packet
	ethernet   = 14
)

func isTCP(p []byte) bool {
	const tcp = 6
	return len(p) >= vnetHeader+ethernet+40 && p[vnetHeader+12] == 8 && p[vnetHeader+13] == 0 && p[vnetHeader+ethernet]>>4 == 4 && p[vnetHeader+ethernet+9] == tcp
}

// resetOf is the answer of RFC 9293, 3.10.7.1, to a packet of TCP that nobody wants;
// nil: there is none to a reset.
func resetOf(p []byte) []byte {
	ip := p[vnetHeader+ethernet:]
	head := int(ip[0]&15) * 4
	if len(ip) < head+20 {
		return nil
	}
	tcp := ip[head:]
	const fin, syn, rst, ack = 1, 2, 4, 16
	flags := tcp[13]
	if flags&rst != 0 {
		return nil
	}
	answer := make([]byte, vnetHeader+ethernet+40)
	frame := answer[vnetHeader:]
	copy(frame, p[vnetHeader+6:vnetHeader+12])
	copy(frame[6:], p[vnetHeader:vnetHeader+6])
	frame[12] = 8
	out := frame[ethernet:]
	copy(out, []byte{0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6})
	copy(out[12:], ip[16:20])
	copy(out[16:], ip[12:16])
	binary.BigEndian.PutUint16(out[10:], checksum(out[:20], 0))
	reply := out[20:]
	copy(reply, tcp[2:4])
	copy(reply[2:], tcp[:2])
	reply[12], reply[13] = 5<<4, rst
	if flags&ack != 0 {
		copy(reply[4:], tcp[8:12])
	} else {
		length := uint32(binary.BigEndian.Uint16(ip[2:])) - uint32(head) - uint32(tcp[12]>>4)*4
		length += uint32(flags&syn)/syn + uint32(flags&fin)
		binary.BigEndian.PutUint32(reply[8:], binary.BigEndian.Uint32(tcp[4:])+length)
		reply[13] = rst | ack
	}
	binary.BigEndian.PutUint16(reply[16:], checksum(reply, checksumPart(out[12:20])+6+20)) // with protocol and length
	return answer
}

func checksumPart(b []byte) (sum uint32) {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return sum
}

// checksum is that of RFC 1071.
func checksum(b []byte, more uint32) uint16 {
	sum := checksumPart(b) + more
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// TestBadCable: what the cable of other tests says that it does, it does.
func TestBadCable(t *testing.T) {
	t.Parallel()
	here, there, address, c := twoHostsApart(t)
	var l net.Listener
	if err := twopcs.Enter(here.File(), func() (err error) {
		l, err = net.Listen("tcp", address+":7000")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with l
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // an echo
				defer conn.Close()
				piece := make([]byte, 64<<10)
				for {
					n, err := conn.Read(piece)
					if _, failed := conn.Write(piece[:n]); err != nil || failed != nil {
						return
					}
				}
			}()
		}
	}()
	dial := func() (conn net.Conn, err error) {
		err = twopcs.Enter(there.File(), func() (err error) {
			conn, err = net.DialTimeout("tcp", address+":7000", 20*time.Second)
			return err
		})
		return conn, err
	}
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	echo := func() error {
		if _, err := conn.Write([]byte("x")); err != nil {
			return err
		}
		_, err := conn.Read(make([]byte, 1))
		return err
	}
	for _, h := range []harm{{}, {loss: 0.2}, {reorder: 0.5}, {delay: 100 * time.Millisecond}, {rate: 100_000}} {
		c.set(h)
		begun := time.Now()
		if err := echo(); err != nil {
			t.Errorf("%+v: %v", h, err)
		}
		if took := time.Since(begun); took < 2*h.delay {
			t.Errorf("%+v: an answer came after %v", h, took)
		}
	}
	c.set(harm{reset: true})
	if err := echo(); err == nil || !strings.Contains(err.Error(), "reset by peer") {
		t.Errorf("a connection that is reset says: %v", err)
	}
	if _, err := dial(); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a new connection says: %v", err)
	}
	c.set(harm{})
	if conn, err = dial(); err != nil {
		t.Fatal(err)
	}
	if err := echo(); err != nil || c.passed.Load() < 10 {
		t.Errorf("a good cable: %v, %d packets", err, c.passed.Load())
	}
	conn.Close()
}
