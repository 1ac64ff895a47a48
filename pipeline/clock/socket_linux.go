package clock

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// stampFlags ask for the kernel's own time of each packet, received or sent. A
// network card's would need its clock (PHC) to be compared with the PC's as well.
const stampFlags = unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE

// sentPatience is how long a sent packet's stamp is waited for: a queue on the way
// to the wire may hold it.
const sentPatience = 2 * time.Millisecond

func askForStamps(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampFlags)
	}); err != nil {
		return err
	}
	if set != nil {
		return fmt.Errorf("ask the kernel for time stamps of packets: %w", set)
	}
	return nil
}

// stampIn returns the kernel's stamp in control data: three times of two 8-byte
// numbers (s, ns), of which the first is the kernel's own.
func stampIn(oob []byte) (ns int64, ok bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SO_TIMESTAMPING_NEW || len(m.Data) < 16 {
			continue
		}
		s := int64(binary.NativeEndian.Uint64(m.Data))
		ns := int64(binary.NativeEndian.Uint64(m.Data[8:]))
		return s*1e9 + ns, s > 0
	}
	return 0, false
}

// sent returns when the kernel sent packet b: it gives the packet back, with the
// headers of the network before it, in the queue of the socket's errors.
func (s *socket) sent(b []byte) (ns int64, ok bool) {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	for end := time.Now().Add(sentPatience); ; {
		var n, oob int
		var failed error
		if err := raw.Control(func(fd uintptr) {
			n, oob, _, _, failed = unix.Recvmsg(int(fd), s.echo[:], s.echoes[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		}); err != nil {
			return 0, false
		}
		if failed == nil {
			if ns, ok := stampIn(s.echoes[:oob]); ok && bytes.HasSuffix(s.echo[:n], b) {
				return ns, true
			}
			continue // of a packet before, or what the network says of one
		}
		if time.Now().After(end) {
			return 0, false
		}
		time.Sleep(20 * time.Microsecond)
	}
}
