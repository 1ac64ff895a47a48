package wire

import (
	"encoding/binary"
	"errors"

	"tsrun/pipeline/datagram"
)

// A datagram of the trigger, little-endian:
//
//	0  4  "tstg"        6  1  how many codes follow      64  24 each: 8 of the session,
//	4  1  version       7  1  zero                              16 of the code
//	5  1  kind          8 56  an order, as published
//
// A node says hello, with the number of its hello in a beacon, so that the master knows
// where it is; the answer is never longer. An order has the code of each node that is to
// hear it, so that no node can order another about. A code is of the 64 bytes and of the
// session.
const (
	datagramMagic   = "tstg"
	datagramVersion = 1
	datagramHead    = 8 + orderSize
	datagramCode    = 8 + datagram.CodeSize
	kindHello       = 1
	kindOrder       = 2
	// maxCodes is how many nodes one datagram is for: it is to fit into one packet of a network.
	maxCodes = 50
	// maxDatagram is the longest there is.
	maxDatagram = datagramHead + maxCodes*datagramCode
)

var (
	errNoDatagram = errors.New("not a datagram of the trigger")
	errForged     = errors.New("a datagram of the trigger whose code is of nobody who was admitted")
)

// appendDatagram appends an order that is for guests, at most maxCodes.
func appendDatagram[T any](b []byte, kind byte, o Order, guests ...*datagram.Guest[T]) []byte {
	start := len(b)
	b = append(b, datagramMagic...)
	b = append(b, datagramVersion, kind, byte(len(guests)), 0)
	b = append(b, encodeOrder(o)...)
	head := b[start : start+datagramHead]
	for _, g := range guests {
		b = binary.LittleEndian.AppendUint64(b, g.Session)
		b = append(b, g.Key.Code(head, b[len(b)-8:])...)
	}
	return b
}

// codesOf returns the codes of a datagram that has the form of one; whether they are
// good is not known.
func codesOf(b []byte, kind byte) ([]byte, error) {
	if len(b) < datagramHead || len(b) > maxDatagram || string(b[:4]) != datagramMagic || b[4] != datagramVersion || b[5] != kind || b[7] != 0 {
		return nil, errNoDatagram
	}
	codes := b[datagramHead:]
	if n := int(b[6]); n == 0 || len(codes) != n*datagramCode {
		return nil, errNoDatagram
	}
	return codes, nil
}

// openDatagram returns the order of a datagram which has the code of a session.
func openDatagram(b []byte, kind byte, session uint64, key *datagram.Key) (Order, error) {
	codes, err := codesOf(b, kind)
	if err != nil {
		return Order{}, err
	}
	for ; len(codes) > 0; codes = codes[datagramCode:] {
		if binary.LittleEndian.Uint64(codes) != session {
			continue
		}
		if !key.Made(codes[8:datagramCode], b[:datagramHead], codes[:8]) {
			return Order{}, errForged
		}
		return decodeOrder(b[8:datagramHead])
	}
	return Order{}, errForged
}
