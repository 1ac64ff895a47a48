package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"tsrun/sdk/tag"
)

// A journal is a file of, little-endian:
//
//	0  8  magic "TSRUNJ1\n"
//
// and of records, the first at 8:
//
//	0  4  length of the body, 1 to MaxRecord
//	4  4  CRC-32C of the record's number, from 1 (8 bytes), of the length and of the body
//	8     body
//
// The number, which is not written, keeps a record from being taken for another's.
const (
	magic    = "TSRUNJ1\n"
	headSize = 8
	// MaxRecord is how long a record may be, in bytes.
	MaxRecord = 8 << 20
)

// appendRecord appends a record as it stands in the file.
func appendRecord(b []byte, number uint64, body []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = binary.LittleEndian.AppendUint32(b, checksum(number, body))
	return append(b, body...)
}

func checksum(number uint64, body []byte) uint32 {
	var head [12]byte
	binary.LittleEndian.PutUint64(head[:], number)
	binary.LittleEndian.PutUint32(head[8:], uint32(len(body)))
	return crc32.Update(crc32.Checksum(head[:], tag.Castagnoli), tag.Castagnoli, body)
}

// Replay gives apply each record of a journal, up to the first that is not whole. It
// returns how many there were and the bytes they take with the magic. An error is one of
// reading, of apply, or of a file that is no journal; a record is valid until the next.
func Replay(r io.Reader, apply func(record []byte) error) (number uint64, size int64, err error) {
	return replay(r, 0, 0, apply)
}

// replay is Replay behind so many records, which take so many bytes.
func replay(r io.Reader, number uint64, size int64, apply func(record []byte) error) (uint64, int64, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if size == 0 {
		if err := readMagic(in); err != nil {
			return 0, 0, err
		}
		size = int64(len(magic))
	}
	for body := []byte(nil); ; {
		var err error
		body, err = readRecord(in, number+1, body)
		if err != nil && !ended(err) {
			return number, size, err
		}
		if err != nil || body == nil {
			return number, size, nil
		}
		if err := apply(body); err != nil {
			return number, size, fmt.Errorf("record %d: %w", number+1, err)
		}
		number++
		size += headSize + int64(len(body))
	}
}

func readMagic(in io.Reader) error {
	var begin [len(magic)]byte
	if _, err := io.ReadFull(in, begin[:]); err != nil && !ended(err) {
		return err
	}
	if string(begin[:]) != magic {
		return errors.New("it is no journal, or its first bytes are damaged")
	}
	return nil
}

// readRecord reads one record into buf, or a larger one; nil: what is there is none.
func readRecord(in io.Reader, number uint64, buf []byte) ([]byte, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(head[:])
	if length == 0 || length > MaxRecord {
		return nil, nil
	}
	if uint32(cap(buf)) < length {
		buf = make([]byte, length)
	}
	buf = buf[:length]
	if _, err := io.ReadFull(in, buf); err != nil {
		return nil, err
	}
	if checksum(number, buf) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, nil
	}
	return buf, nil
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
