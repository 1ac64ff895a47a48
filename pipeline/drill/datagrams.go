package drill

import (
	"net"
	"net/netip"
	"time"
)

const (
	datagramRoom = 2048 // bytes of the longest that passes; questions about clocks have 80
	mostCallers  = 64   // sockets of nodes that a link passes datagrams on for
)

// listenDatagrams passes on what is sent to an address of the node's side, and the
// answers. A link that is cut loses them; one that is uneven reorders them.
func (l *link) listenDatagrams(nodeSide, masterSide string) error {
	address, err := net.ResolveUDPAddr("udp", nodeSide)
	if err != nil {
		return err
	}
	if l.asked, err = net.ListenUDP("udp", address); err != nil {
		return err
	}
	l.working.Go(func() {
		buffer := make([]byte, datagramRoom)
		for {
			n, from, err := l.asked.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return // the link has ended
			}
			if to := l.callerOf(from, masterSide); to != nil {
				l.passDatagram(0, buffer[:n], func(b []byte) { _, _ = to.Write(b) })
			}
		}
	})
	return nil
}

// callerOf is what passes on the datagrams of a socket; nil: nothing does.
func (l *link) callerOf(from netip.AddrPort, masterSide string) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.callers[from]
	if c != nil || len(l.callers) == mostCallers || l.ctx.Err() != nil {
		return c
	}
	c, err := net.Dial("udp", masterSide)
	if err != nil {
		return nil
	}
	l.callers[from] = c
	l.working.Go(func() {
		buffer := make([]byte, datagramRoom)
		for l.ctx.Err() == nil {
			n, err := c.Read(buffer)
			if err != nil { // nobody listens there just now, or the link has ended
				l.sleepUntil(time.Now().Add(lookEvery))
				continue
			}
			l.passDatagram(1, buffer[:n], func(b []byte) { _, _ = l.asked.WriteToUDPAddrPort(b, from) })
		}
	})
	return c
}

// passDatagram sends one on when it is due, if the link is whole.
func (l *link) passDatagram(direction int, datagram []byte, send func([]byte)) {
	l.mu.Lock()
	cut := l.state.cut
	l.mu.Unlock()
	if cut != "" {
		return
	}
	own := append([]byte(nil), datagram...)
	time.AfterFunc(time.Until(l.due(direction, len(own))), func() { send(own) }) // a link that has ended sends nothing
}
