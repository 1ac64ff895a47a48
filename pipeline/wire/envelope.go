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

// otherVersionError is of an envelope of another release.
type otherVersionError uint8

func (v otherVersionError) Error() string {
	return fmt.Sprintf("decode envelope: version %d, this release reads %d; install the same release of tsrun on both PCs", v, envelopeVersion)
}

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

// decodeHead reads an envelope but for its body and its checksum.
func decodeHead(b []byte) (envelope, error) {
	switch {
	case len(b) < envelopeSize || string(b[:4]) != envelopeMagic:
		return envelope{}, errors.New("decode envelope: it is none")
	case b[4] != envelopeVersion:
		return envelope{}, otherVersionError(b[4])
	}
	e := envelope{kind: envelopeKind(b[5]), client: binary.LittleEndian.Uint64(b[8:]), seq: binary.LittleEndian.Uint64(b[16:])}
	if e.kind < question || e.kind > refusal {
		return envelope{}, fmt.Errorf("decode envelope: unknown kind %d", e.kind)
	}
	return e, nil
}

// decodeEnvelope reads an envelope; its body is part of b.
func decodeEnvelope(b []byte) (envelope, error) {
	e, err := decodeHead(b)
	switch {
	case err != nil:
		return envelope{}, err
	case len(b) > envelopeSize+MaxBody:
		return envelope{}, fmt.Errorf("decode envelope: body of %d bytes, at most %d are allowed", len(b)-envelopeSize, MaxBody)
	case binary.LittleEndian.Uint32(b[28:]) != envelopeSum(b, b[envelopeSize:]):
		return envelope{}, errors.New("decode envelope: checksum differs")
	}
	e.body = b[envelopeSize:]
	return e, nil
}

// receiveEnvelope reads the next message of REQ or REP: an empty frame that
// ends the ZeroMQ address (RFC 28), and an envelope. It waits for the message
// without end, and for the rest of one that has begun for messageTimeout. The
// envelope's body is part of *buf, which is replaced where it is too small.
func receiveEnvelope(c *zmtp.Conn, buf *[]byte) (envelope, error) {
	size, err := nextEnvelope(c)
	if err != nil {
		return envelope{}, err
	}
	frame, err := readEnvelope(c, buf, size, 0)
	if err != nil {
		return envelope{}, err
	}
	return decodeEnvelope(frame)
}

// nextEnvelope waits for an envelope and returns how many bytes it has.
func nextEnvelope(c *zmtp.Conn) (size uint64, err error) {
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return 0, fmt.Errorf("receive envelope: %w", err)
	}
	_, more, err := c.ReadFrame(nil)
	if err != nil {
		return 0, fmt.Errorf("receive envelope: %w", err)
	}
	if !more {
		return 0, errors.New("receive envelope: there is only an empty frame")
	}
	if err := c.SetReadDeadline(time.Now().Add(messageTimeout)); err != nil {
		return 0, fmt.Errorf("receive envelope: %w", err)
	}
	if size, more, err = c.NextFrame(); err != nil {
		return 0, fmt.Errorf("receive envelope: %w", err)
	}
	if more || size > envelopeSize+MaxBody {
		return 0, fmt.Errorf("receive envelope: it has %d bytes, at most %d are allowed, or further frames", size, envelopeSize+MaxBody)
	}
	return size, nil
}

// readEnvelope reads an envelope up to size bytes, of which *buf has some already.
func readEnvelope(c *zmtp.Conn, buf *[]byte, size uint64, have int) ([]byte, error) {
	if uint64(cap(*buf)) < size {
		grown := make([]byte, size)
		copy(grown, (*buf)[:have])
		*buf = grown
	}
	frame := (*buf)[:size]
	if _, err := io.ReadFull(c, frame[have:]); err != nil {
		return nil, fmt.Errorf("receive envelope: %w", err)
	}
	return frame, nil
}
