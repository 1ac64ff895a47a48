package clock

import (
	"fmt"
	"net"
	"time"
)

// stamp is a moment of this PC's clock in ns since 1970, and whether the kernel took it.
type stamp struct {
	ns     int64
	kernel bool
}

// now is a stamp of this process: later than the packet came by what it takes to wake up.
func now() stamp { return stamp{ns: time.Now().UnixNano()} }

// socket is a UDP socket whose packets are stamped by the kernel where it can.
type socket struct {
	conn   *net.UDPConn
	stamps bool // the kernel was asked for stamps
	buffer [2 * packetSize]byte
	oob    [512]byte
	echo   [512]byte // a sent packet as the kernel gives it back with its stamp
	echoes [512]byte // control data of it
}

func newSocket(conn *net.UDPConn) *socket {
	return &socket{conn: conn, stamps: askForStamps(conn) == nil}
}

// receive waits for a packet. Its bytes are valid until the next call.
func (s *socket) receive() (b []byte, at stamp, from *net.UDPAddr, err error) {
	n, oob, _, from, err := s.conn.ReadMsgUDP(s.buffer[:], s.oob[:])
	at = now()
	if err != nil {
		return nil, stamp{}, nil, err
	}
	if ns, ok := stampIn(s.oob[:oob]); ok {
		at = stamp{ns, true}
	}
	return s.buffer[:n], at, from, nil
}

// send sends a packet, to the peer of a connected socket when to is nil, and
// returns when it left.
func (s *socket) send(b []byte, to *net.UDPAddr) (stamp, error) {
	at := now()
	_, _, err := s.conn.WriteMsgUDP(b, nil, to)
	if err != nil {
		return stamp{}, fmt.Errorf("send a packet of the clocks: %w", err)
	}
	if s.stamps {
		if ns, ok := s.sent(b); ok {
			return stamp{ns, true}, nil
		}
	}
	return at, nil
}
