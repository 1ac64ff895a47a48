package tagfile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// A quTAG binary file is a header of 40 bytes that begins with a magic number,
// then records of ten bytes: u64 LE ps, u16 LE channel. Times count from some
// instant of the device, around 2.6e17 ps. The records of different channels
// are not strictly in time order.
const (
	quTAGMagic  = "\x87\xb3\x91\xfa"
	quTAGHeader = 40
	quTAGRecord = 10
)

type quTAGSource struct {
	f    *file
	r    *bufio.Reader
	read uint64
}

func openQuTAG(f *file) (source, error) {
	r := bufio.NewReaderSize(f, binBuffer)
	var header [quTAGHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, f.errorf("%d bytes are too few for the header of a quTAG file", f.Size())
	}
	if got := string(header[:len(quTAGMagic)]); got != quTAGMagic {
		return nil, f.errorf("it begins with % x, a quTAG file with % x", got, quTAGMagic)
	}
	if rest := (f.Size() - quTAGHeader) % quTAGRecord; rest != 0 {
		return nil, f.errorf("it ends within a record of %d bytes, %d bytes after the last whole one; the file is cut off", quTAGRecord, rest)
	}
	return &quTAGSource{f: f, r: r}, nil
}

func (s *quTAGSource) next() (int, uint64, error) {
	record, err := s.r.Peek(quTAGRecord)
	if err == io.EOF && len(record) == 0 {
		return 0, 0, io.EOF
	}
	if err != nil {
		return 0, 0, readError(s.f.path, err)
	}
	t, channel := binary.LittleEndian.Uint64(record), binary.LittleEndian.Uint16(record[8:])
	if _, err := s.r.Discard(quTAGRecord); err != nil {
		return 0, 0, readError(s.f.path, err)
	}
	s.read++
	return int(channel), t, nil
}

func (s *quTAGSource) place() string   { return fmt.Sprintf("record %d", s.read-1) }
func (s *quTAGSource) skipped() uint64 { return 0 }
