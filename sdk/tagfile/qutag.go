package tagfile

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
)

// A quTAG file begins with a header of 40 bytes: a magic number, its size u32
// LE, two numbers of which only the values are known, a signature of the
// device. Records of the binary format have ten bytes: u64 LE ps, u16 LE
// channel. Times count from some instant of the device, around 2.6e17 ps. The
// records of different channels are not strictly in time order.
//
// The compressed format has records of five bytes: 37 bits of ps and 3 of
// channel. Its header may be left out.
const (
	quTAGMagic   = "\x87\xb3\x91\xfa"
	quTAGHeader  = 40
	quTAGRecord  = 10
	quTAG5Record = 5
	quTAG5Bits   = 37
	quTAG5Most   = 7 // channel
)

type quTAGSource struct{ records }

func openQuTAG(f *file) (source, error) {
	r := f.buffered(ioBuffer)
	var header [quTAGHeader]byte
	if start, err := r.Peek(64); len(start) > 0 && !bytes.HasPrefix([]byte(quTAGMagic), start[:min(len(start), len(quTAGMagic))]) {
		if !looksQuTAG(start) {
			return nil, f.errorf("it begins with % x, a quTAG file with % x", start[:min(len(start), len(quTAGMagic))], quTAGMagic)
		}
		if err != nil && err != io.EOF {
			return nil, readError(f.path, err)
		}
		s := &quTAGSource{newRecords(f, r, 0, quTAGRecord)}
		s.remark("its header of %d bytes is missing; the records look like those of a quTAG", quTAGHeader)
		return s, nil
	}
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, f.damagef(0, "%d bytes are too few for the header of a quTAG file", f.Size())
	}
	return &quTAGSource{newRecords(f, r, quTAGHeader, quTAGRecord)}, nil
}

func (s *quTAGSource) next() (int, uint64, error) {
	record, err := s.record()
	if err != nil {
		return 0, 0, err
	}
	return int(binary.LittleEndian.Uint16(record[8:])), binary.LittleEndian.Uint64(record), nil
}

type quTAG5Source struct {
	records
	time unwrap
}

func openQuTAG5(f *file) (source, error) {
	r := f.buffered(ioBuffer)
	header := int64(0)
	if magic, _ := r.Peek(len(quTAGMagic)); string(magic) == quTAGMagic {
		n, err := r.Discard(quTAGHeader)
		if err != nil {
			return nil, f.damagef(0, "%d bytes are too few for the header of a quTAG file", f.Size())
		}
		header = int64(n)
	}
	return &quTAG5Source{newRecords(f, r, header, quTAG5Record), unwrap{period: 1 << quTAG5Bits, window: reorder}}, nil
}

func (s *quTAG5Source) next() (int, uint64, error) {
	record, err := s.record()
	if err != nil {
		return 0, 0, err
	}
	word := uint64(binary.LittleEndian.Uint32(record)) | uint64(record[4])<<32
	t, wrapped, ok := s.time.at(word & (1<<quTAG5Bits - 1))
	if wrapped {
		s.note(Wraps, 0, s.place)
	}
	if !ok {
		return 0, 0, s.f.errorf("%s is later than 64 bits of picoseconds can tell", s.place())
	}
	return int(word >> quTAG5Bits), t, nil
}

// quTAGHeading is the header of a file of so many bytes; a size beyond 32 bits
// is written as the largest.
func quTAGHeading(size uint64) []byte {
	b := make([]byte, quTAGHeader)
	copy(b, quTAGMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(min(size, math.MaxUint32)))
	binary.LittleEndian.PutUint32(b[8:], 0x800)
	binary.LittleEndian.PutUint32(b[12:], 0x73)
	return b
}

type quTAGEncoder struct{ tags uint64 }

func newQuTAGEncoder(encoding) (encoder, error) { return &quTAGEncoder{}, nil }

func (e *quTAGEncoder) heading() []byte { return quTAGHeading(quTAGHeader + e.tags*quTAGRecord) }

func (e *quTAGEncoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if err := checkChannel(channel, 0, math.MaxUint16); err != nil {
		return dst, err
	}
	for _, t := range tags {
		dst = binary.LittleEndian.AppendUint64(dst, t)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(channel))
	}
	e.tags += uint64(len(tags))
	return dst, nil
}

func (e *quTAGEncoder) finish(dst []byte) ([]byte, error) { return dst, nil }

type quTAG5Encoder struct {
	tags uint64
	wrap rewrap
}

func newQuTAG5Encoder(encoding) (encoder, error) {
	return &quTAG5Encoder{wrap: rewrap{period: 1 << quTAG5Bits, window: reorder}}, nil
}

func (e *quTAG5Encoder) heading() []byte { return quTAGHeading(quTAGHeader + e.tags*quTAG5Record) }

func (e *quTAG5Encoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if err := checkChannel(channel, 0, quTAG5Most); err != nil {
		return dst, err
	}
	for _, t := range tags {
		counter, err := e.wrap.at(t)
		if err != nil {
			return dst, err
		}
		dst = binary.LittleEndian.AppendUint32(dst, uint32(counter))
		dst = append(dst, byte(counter>>32|uint64(channel)<<(quTAG5Bits-32)))
	}
	e.tags += uint64(len(tags))
	return dst, nil
}

func (e *quTAG5Encoder) finish(dst []byte) ([]byte, error) { return dst, nil }

// shift is what a reader finds missing from every time.
func (e *quTAG5Encoder) shift() uint64 { return e.wrap.shift() }
