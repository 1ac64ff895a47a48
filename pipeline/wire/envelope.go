package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// MaxBody is the largest body of a request or an answer, in bytes.
const MaxBody = 1 << 20

// messageTimeout bounds the wait for the rest of a message that has begun; a report
// of 64 kB takes 10 s where files take half of 100 kbit/s.
const messageTimeout = 30 * time.Second

// An envelope on the wire is one frame of 32 bytes and a body, little-endian:
//
//	0  4  magic "TSQA"            8  8  client, random        24  4  zero
//	4  1  version                16  8  number of the         28  4  CRC-32C of the 28 bytes
//	5  1  kind                          client's request            before and of the body
//	6  2  zero
const (
	envelopeSize    = 32
	envelopeVersion = 1
	envelopeMagic   = "TSQA"
)

type envelopeKind uint8

const (
	question envelopeKind = 1
	answer   envelopeKind = 2
	refusal  envelopeKind = 3 // the body says why
)

type envelope struct {
	kind   envelopeKind
	client uint64
	seq    uint64
	body   []byte
}

func (e envelope) encode() []byte {
	b := make([]byte, envelopeSize, envelopeSize+len(e.body))
	copy(b, envelopeMagic)
	b[4], b[5] = envelopeVersion, byte(e.kind)
	binary.LittleEndian.PutUint64(b[8:], e.client)
	binary.LittleEndian.PutUint64(b[16:], e.seq)
	binary.LittleEndian.PutUint32(b[28:], envelopeSum(b, e.body))
	return append(b, e.body...)
}

func envelopeSum(head, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:28], tag.Castagnoli), tag.Castagnoli, body)
}

// decodeEnvelope reads an envelope; its body is part of b.
func decodeEnvelope(b []byte) (envelope, error) {
	switch {
	case len(b) < envelopeSize || string(b[:4]) != envelopeMagic:
		return envelope{}, errors.New("decode envelope: it is none")
	case b[4] != envelopeVersion:
		return envelope{}, fmt.Errorf("decode envelope: version %d, this release reads %d; install the same release on both PCs", b[4], envelopeVersion)
	case len(b) > envelopeSize+MaxBody:
		return envelope{}, fmt.Errorf("decode envelope: body of %d bytes, at most %d are allowed", len(b)-envelopeSize, MaxBody)
	case binary.LittleEndian.Uint32(b[28:]) != envelopeSum(b, b[envelopeSize:]):
		return envelope{}, errors.New("decode envelope: checksum differs")
	}
	e := envelope{
		kind:   envelopeKind(b[5]),
		client: binary.LittleEndian.Uint64(b[8:]),
		seq:    binary.LittleEndian.Uint64(b[16:]),
		body:   b[envelopeSize:],
	}
	if e.kind < question || e.kind > refusal {
		return envelope{}, fmt.Errorf("decode envelope: unknown kind %d", e.kind)
	}
	return e, nil
}

// receiveEnvelope reads the next message of REQ or REP: an empty frame that
// ends the ZeroMQ address (RFC 28), and an envelope. It waits for the message
// without end, and for the rest of one that has begun for messageTimeout. The
// envelope's body is part of *buf, which is replaced where it is too small.
func receiveEnvelope(c *zmtp.Conn, buf *[]byte) (envelope, error) {
	_, more, err := c.ReadFrame(nil)
	if err != nil {
		return envelope{}, fmt.Errorf("receive envelope: %w", err)
	}
	if !more {
		return envelope{}, errors.New("receive envelope: there is only an empty frame")
	}
	if err := c.SetReadDeadline(time.Now().Add(messageTimeout)); err != nil {
		return envelope{}, fmt.Errorf("receive envelope: %w", err)
	}
	size, more, err := c.NextFrame()
	if err != nil {
		return envelope{}, fmt.Errorf("receive envelope: %w", err)
	}
	if more || size > envelopeSize+MaxBody {
		return envelope{}, fmt.Errorf("receive envelope: it has %d bytes, at most %d are allowed, or further frames", size, envelopeSize+MaxBody)
	}
	if uint64(cap(*buf)) < size {
		*buf = make([]byte, size)
	}
	frame := (*buf)[:size]
	if _, err := io.ReadFull(c, frame); err != nil {
		return envelope{}, fmt.Errorf("receive envelope: %w", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return envelope{}, fmt.Errorf("receive envelope: %w", err)
	}
	return decodeEnvelope(frame)
}
