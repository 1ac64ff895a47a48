package transfer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"tsrun/sdk/tag"
)

// A chunk on the wire is a message of two frames: a head of 56 bytes,
// little-endian, and the bytes themselves.
//
//	 0  4  magic "TSFC"      28  8  number of the chunk     48  4  CRC-32C of the bytes
//	 4  1  version                  in its connection,      52  4  CRC-32C of the head
//	 5  1  1: packed                from 1                            before this
//	 6  2  zero              36  8  offset in the file
//	 8 16  token             44  4  length of the bytes
//	24  4  file
//
// Offset, length and CRC-32C are those of the bytes before they were packed. Only a
// Receiver whose Answer says that it unpacks is sent any that are.
//
// The answer to each is a credit, a message of one frame of 16 bytes: magic
// "TSFA", 8 bytes with the number of the newest chunk of this connection that
// was dealt with, and the CRC-32C of both.
const (
	headSize    = 56
	headVersion = 2
	headMagic   = "TSFC"

	creditSize  = 16
	creditMagic = "TSFA"
)

const (
	// DefaultChunk is the length of a chunk when none other is asked for. Both ends are
	// woken for each: half as long ones cost a tenth more of the processor.
	DefaultChunk = 512 << 10
	// DefaultWindow is how many chunks of a connection may be on their way: one travels
	// while another is proven and written. All of them are still in the cache then.
	DefaultWindow = 2
	// MaxChunk is the longest chunk a Receiver takes.
	MaxChunk = 4 << 20
)

type head struct {
	token  [16]byte
	file   uint32
	number uint64
	offset uint64
	length uint32
	sum    uint32 // CRC-32C of the bytes
	packed bool   // the second frame is, see packing.go
}

// encode encodes h into b, which has headSize bytes.
func (h head) encode(b []byte) {
	clear(b)
	copy(b, headMagic)
	b[4] = headVersion
	if h.packed {
		b[5] = 1
	}
	copy(b[8:], h.token[:])
	binary.LittleEndian.PutUint32(b[24:], h.file)
	binary.LittleEndian.PutUint64(b[28:], h.number)
	binary.LittleEndian.PutUint64(b[36:], h.offset)
	binary.LittleEndian.PutUint32(b[44:], h.length)
	binary.LittleEndian.PutUint32(b[48:], h.sum)
	binary.LittleEndian.PutUint32(b[52:], crc32.Checksum(b[:52], tag.Castagnoli))
}

func decodeHead(b []byte) (head, error) {
	switch {
	case len(b) != headSize || string(b[:4]) != headMagic:
		return head{}, errors.New("decode chunk: it is none")
	case b[4] != headVersion:
		return head{}, fmt.Errorf("decode chunk: version %d, this release reads %d; install the same release on both PCs", b[4], headVersion)
	case binary.LittleEndian.Uint32(b[52:]) != crc32.Checksum(b[:52], tag.Castagnoli):
		return head{}, errors.New("decode chunk: checksum of its head differs")
	}
	h := head{
		packed: b[5] == 1,
		token:  [16]byte(b[8:24]),
		file:   binary.LittleEndian.Uint32(b[24:]),
		number: binary.LittleEndian.Uint64(b[28:]),
		offset: binary.LittleEndian.Uint64(b[36:]),
		length: binary.LittleEndian.Uint32(b[44:]),
		sum:    binary.LittleEndian.Uint32(b[48:]),
	}
	if b[5] > 1 {
		return head{}, fmt.Errorf("decode chunk: packed in way %d, which this release does not know", b[5])
	}
	if h.length == 0 || h.length > MaxChunk || h.offset > maxSize {
		return head{}, fmt.Errorf("decode chunk: %d bytes at %d", h.length, h.offset)
	}
	return h, nil
}

// encodeCredit encodes the answer to chunk number and all before it.
func encodeCredit(number uint64) []byte {
	b := make([]byte, creditSize)
	copy(b, creditMagic)
	binary.LittleEndian.PutUint64(b[4:], number)
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], tag.Castagnoli))
	return b
}

func decodeCredit(b []byte) (number uint64, err error) {
	if len(b) != creditSize || string(b[:4]) != creditMagic || binary.LittleEndian.Uint32(b[12:]) != crc32.Checksum(b[:12], tag.Castagnoli) {
		return 0, errors.New("decode credit: it is none, or damaged")
	}
	return binary.LittleEndian.Uint64(b[4:]), nil
}
