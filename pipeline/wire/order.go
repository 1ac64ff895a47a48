package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"tsrun/sdk/tag"
)

// OrderKind is what an order asks of the slaves.
type OrderKind uint8

// The orders of a run, in the order they are given.
const (
	Beacon  OrderKind = 1 // nothing: the trigger port is alive
	Arm     OrderKind = 2 // get ready to record
	Fire    OrderKind = 3 // start at Instant
	Stop    OrderKind = 4 // end the acquisition early, keep and send everything
	Abort   OrderKind = 5 // give the run up
	Release OrderKind = 6 // the run is over, everything is here
)

func (k OrderKind) String() string {
	names := [...]string{Beacon: "beacon", Arm: "arm", Fire: "fire", Stop: "stop", Abort: "abort", Release: "release"}
	if k < Beacon || int(k) >= len(names) {
		return fmt.Sprintf("order %d", uint8(k))
	}
	return names[k]
}

// Order is one trigger message. Times are nanoseconds of Unix time on the
// master's clock.
type Order struct {
	Kind    OrderKind `json:"kind"`
	Seq     uint64    `json:"seq"` // number of the order in its run, from 1; 0 for a beacon
	Run     tag.RunID `json:"run"`
	Instant int64     `json:"instant_ns"` // of a Fire
	Sent    int64     `json:"sent_ns"`
	// Shared, of an Arm: all controllers whose commands were timed are fired earlier by
	// SharedNs; 0: by nothing that was measured. Else each by its own.
	Shared   bool  `json:"shared,omitempty"`
	SharedNs int64 `json:"shared_ns,omitempty"`
}

// An order on the wire is one frame of 56 bytes, little-endian:
//
//	 0  5  topic "trig/"        12  8  sequence number    44  8  sent, Unix ns
//	 5  3  magic "TSO"          20 16  run                52  4  CRC-32C of all before
//	 8  1  version              36  8  instant, Unix ns
//	 9  1  kind
//	10  1  1: shared, whose ns are the instant
//	11  1  zero
const (
	orderSize    = 56
	orderVersion = 1
	orderTopic   = "trig/" // the slash ends the topic: subscriptions match prefixes
	orderMagic   = orderTopic + "TSO"
)

func encodeOrder(o Order) []byte {
	b := make([]byte, 0, orderSize)
	b = append(b, orderMagic...)
	b = append(b, orderVersion, byte(o.Kind), 0, 0)
	instant := o.Instant
	if o.Shared {
		b[10], instant = 1, o.SharedNs
	}
	b = binary.LittleEndian.AppendUint64(b, o.Seq)
	b = append(b, o.Run[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(instant))
	b = binary.LittleEndian.AppendUint64(b, uint64(o.Sent))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, tag.Castagnoli))
}

func decodeOrder(b []byte) (Order, error) {
	switch {
	case len(b) != orderSize || string(b[:len(orderMagic)]) != orderMagic:
		return Order{}, errors.New("decode order: it is none")
	case b[8] != orderVersion:
		return Order{}, fmt.Errorf("decode order: version %d, this release reads %d; install the same release on both PCs", b[8], orderVersion)
	case binary.LittleEndian.Uint32(b[52:]) != crc32.Checksum(b[:52], tag.Castagnoli):
		return Order{}, errors.New("decode order: checksum differs")
	}
	o := Order{
		Kind:    OrderKind(b[9]),
		Seq:     binary.LittleEndian.Uint64(b[12:]),
		Run:     tag.RunID(b[20:36]),
		Instant: int64(binary.LittleEndian.Uint64(b[36:])),
		Sent:    int64(binary.LittleEndian.Uint64(b[44:])),
		Shared:  b[10] == 1,
	}
	if o.Shared {
		o.Instant, o.SharedNs = 0, o.Instant
	}
	if o.Kind < Beacon || o.Kind > Release {
		return Order{}, fmt.Errorf("decode order: unknown kind %d", o.Kind)
	}
	return o, nil
}
