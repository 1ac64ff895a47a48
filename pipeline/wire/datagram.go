package wire

import (
	"encoding/binary"
	"errors"

	"tsrun/pipeline/datagram"
)

// A datagram of the trigger, little-endian:
//
//	0  4  "tstg"        6  2  zero                       64  8  the session
//	4  1  version       8 56  an order, as published     72 16  the code
//	5  1  kind
//
// A node says hello, with the number of its hello in a beacon, so that the master knows
// where it is; the answer is never longer. Each node is sent a datagram of its own with its
// own code, so that no node can order another about. A code is of the 72 bytes before it.
const (
	datagramMagic   = "tstg"
	datagramVersion = 2
	datagramHead    = 8 + orderSize // up to the session
	datagramSigned  = datagramHead + 8
	datagramSize    = datagramSigned + datagram.CodeSize
	kindHello       = 1
	kindOrder       = 2
)

var (
	errNoDatagram = errors.New("not a datagram of the trigger")
	errForged     = errors.New("a datagram of the trigger whose code is of nobody who was admitted")
)

// appendDatagram appends an order that is for a guest, or the hello of one.
func appendDatagram[T any](b []byte, kind byte, o Order, guest *datagram.Guest[T]) []byte {
	start := len(b)
	b = append(b, datagramMagic...)
	b = append(b, datagramVersion, kind, 0, 0)
	b = append(b, encodeOrder(o)...)
	b = binary.LittleEndian.AppendUint64(b, guest.Session)
	return append(b, guest.Key.Code(b[start:])...)
}

// sessionOf returns the session of a datagram that has the form of one; whether its code
// is good is not known.
func sessionOf(b []byte, kind byte) (uint64, error) {
	if len(b) != datagramSize || string(b[:4]) != datagramMagic || b[4] != datagramVersion || b[5] != kind || b[6] != 0 || b[7] != 0 {
		return 0, errNoDatagram
	}
	return binary.LittleEndian.Uint64(b[datagramHead:]), nil
}

// openDatagram returns the order of a datagram which has the code of a session.
func openDatagram(b []byte, kind byte, session uint64, key *datagram.Key) (Order, error) {
	of, err := sessionOf(b, kind)
	if err != nil {
		return Order{}, err
	}
	if of != session || !key.Made(b[datagramSigned:], b[:datagramSigned]) {
		return Order{}, errForged
	}
	return decodeOrder(b[8:datagramHead])
}
