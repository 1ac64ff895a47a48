package clock

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// A packet has 80 bytes, little-endian, in both directions: an answer is never longer
// than what asked for it.
//
//	0  "tsck"      8  session       16 seq        24 T2 (answer), ns since 1970
//	4  version     32 seq of the answer before    40 T3 of the answer before
//	5  kind        48 flags: bit 0: T2, bit 1: T3 is of the kernel
//	6  0           56 8 bytes of 0                64 the code: 16 bytes of HMAC-SHA-256
//
// The code is made with the key that the two agreed on over the run's status
// connection, over all bytes before it.
const (
	packetSize    = 80
	codeAt        = 64
	packetVersion = 1
	kindProbe     = 1
	kindAnswer    = 2
	flagKernelT2  = 1 << 0
	flagKernelT3  = 1 << 1
)

// KeySize is the length of a session's key, in bytes.
const KeySize = 32

// Key is what a node and its master share: only they can make packets.
type Key [KeySize]byte

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
func (p packet) encode(b []byte, key *Key) {
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
	copy(b[codeAt:packetSize], codeOf(b[:codeAt], key))
}

// sessionOf returns whose packet b claims to be. The error is errPacket when b is none.
func sessionOf(b []byte, kind byte) (uint64, error) {
	if len(b) != packetSize || string(b[:4]) != "tsck" || b[4] != packetVersion || b[5] != kind {
		return 0, errPacket
	}
	return binary.LittleEndian.Uint64(b[8:]), nil
}

// decode reads the packet of a session; the error is errPacket when its code is not that of key.
func decode(b []byte, kind byte, key *Key) (packet, error) {
	session, err := sessionOf(b, kind)
	if err != nil || !hmac.Equal(b[codeAt:], codeOf(b[:codeAt], key)) {
		return packet{}, errPacket
	}
	le := binary.LittleEndian
	return packet{kind: kind, session: session, seq: le.Uint64(b[16:]), t2: int64(le.Uint64(b[24:])),
		before: le.Uint64(b[32:]), t3: int64(le.Uint64(b[40:])), flags: b[48]}, nil
}

func codeOf(b []byte, key *Key) []byte {
	h := hmac.New(sha256.New, key[:])
	h.Write(b)
	return h.Sum(nil)[:packetSize-codeAt]
}
