package clock

import (
	"encoding/binary"
	"errors"

	"tsrun/pipeline/datagram"
)

// A packet has 80 bytes, little-endian, in both directions: an answer is never longer
// than what asked for it.
//
//	0  "tsck"      8  session       16 seq        24 T2 (answer), ns since 1970
//	4  version     32 seq of the answer before    40 T3 of the answer before
//	5  kind        48 flags: bit 0: T2, bit 1: T3 is of the kernel
//	6  0           56 8 bytes of 0                64 the code, of all bytes before
const (
	packetSize    = 80
	codeAt        = 64
	packetVersion = 1
	kindProbe     = 1
	kindAnswer    = 2
	flagKernelT2  = 1 << 0
	flagKernelT3  = 1 << 1
)

// packet is a probe or an answer.
type packet struct {
	kind    byte
	session uint64
	seq     uint64
	t2      int64  // when the probe of seq came
	before  uint64 // seq of the answer before; 0: none
	t3      int64  // when that one left
	flags   byte
}

var errPacket = errors.New("not a packet of the clocks")

// encode writes p and its code to b, which holds packetSize bytes.
func (p packet) encode(b []byte, key *datagram.Key) {
	le := binary.LittleEndian
	clear(b[:packetSize])
	copy(b, "tsck")
	b[4], b[5] = packetVersion, p.kind
	le.PutUint64(b[8:], p.session)
	le.PutUint64(b[16:], p.seq)
	le.PutUint64(b[24:], uint64(p.t2))
	le.PutUint64(b[32:], p.before)
	le.PutUint64(b[40:], uint64(p.t3))
	b[48] = p.flags
	copy(b[codeAt:packetSize], key.Code(b[:codeAt]))
}

// sessionOf returns whose packet b claims to be. The error is errPacket when b is none.
func sessionOf(b []byte, kind byte) (uint64, error) {
	if len(b) != packetSize || string(b[:4]) != "tsck" || b[4] != packetVersion || b[5] != kind {
		return 0, errPacket
	}
	return binary.LittleEndian.Uint64(b[8:]), nil
}

// decode reads the packet of a session; the error is errPacket when its code is not that of key.
func decode(b []byte, kind byte, key *datagram.Key) (packet, error) {
	session, err := sessionOf(b, kind)
	if err != nil || !key.Made(b[codeAt:], b[:codeAt]) {
		return packet{}, errPacket
	}
	le := binary.LittleEndian
	return packet{kind: kind, session: session, seq: le.Uint64(b[16:]), t2: int64(le.Uint64(b[24:])),
		before: le.Uint64(b[32:]), t3: int64(le.Uint64(b[40:])), flags: b[48]}, nil
}
