package tagfile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// A PicoQuant file is a magic number, a version, a list of header tags of 48
// bytes that ends with Header_End, then records of 32 bits. A header tag is
// {ident char[32], index i32, type u32, value 8 bytes}; for the types of
// variable length the value is the length of what follows the tag.
const (
	ptuMagic     = "PQTTTR\x00\x00"
	ptuPreamble  = 16 // magic and version
	ptuTag       = 48
	ptuIdent     = 32
	ptuEnd       = "Header_End"
	ptuRecord    = 4
	ptuType      = "TTResultFormat_TTTRRecType"
	ptuBits      = "TTResultFormat_BitsPerRecord"
	ptuRecords   = "TTResult_NumberOfRecords"
	ptuUnit      = "MeasDesc_GlobalResolution"
	ptuInt       = 0x10000008
	ptuDouble    = 0x20000008
	ptuDoubles   = 0x2001FFFF
	ptuAnsi      = 0x4001FFFF
	ptuWide      = 0x4002FFFF
	ptuBlob      = 0xFFFFFFFF
	ptuModeShift = 8 // the record type's second byte is the mode: 2 for T2, 3 for T3
)

// ptuHeader is what the records need of the header.
type ptuHeader struct {
	size       int64 // bytes before the first record
	recordType int64
	bits       int64
	records    int64  // 0: all there are
	unit       uint64 // ps
}

// readPTUHeader reads the header from r; limit is the size of the file, which
// bounds every length in it.
func readPTUHeader(r *bufio.Reader, limit int64) (ptuHeader, error) {
	h := ptuHeader{size: ptuPreamble, bits: 8 * ptuRecord}
	var tag [ptuTag]byte
	if _, err := io.ReadFull(r, tag[:ptuPreamble]); err != nil || string(tag[:len(ptuMagic)]) != ptuMagic {
		return h, fmt.Errorf("it begins with %q, a PicoQuant file with %q", tag[:len(ptuMagic)], ptuMagic)
	}
	for {
		if _, err := io.ReadFull(r, tag[:]); err != nil {
			return h, fmt.Errorf("the header ends at byte %d without %s; the file is cut off", h.size, ptuEnd)
		}
		h.size += ptuTag
		ident := cString(tag[:ptuIdent])
		kind, value := binary.LittleEndian.Uint32(tag[36:]), binary.LittleEndian.Uint64(tag[40:])
		if kind == ptuAnsi || kind == ptuWide || kind == ptuDoubles || kind == ptuBlob {
			if value > uint64(limit-min(limit, h.size)) {
				return h, fmt.Errorf("header tag %q at byte %d is %d bytes long, longer than the file", ident, h.size-ptuTag, value)
			}
			if _, err := io.CopyN(io.Discard, r, int64(value)); err != nil {
				return h, fmt.Errorf("header tag %q at byte %d: %w", ident, h.size-ptuTag, err)
			}
			h.size += int64(value)
		}
		if ident == ptuEnd {
			return h, h.check(limit)
		}
		if err := h.set(ident, kind, value); err != nil {
			return h, err
		}
	}
}

// cString returns the text before the first zero byte.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// set keeps the value of a header tag that the records need.
func (h *ptuHeader) set(ident string, kind uint32, value uint64) error {
	want := uint32(ptuInt)
	switch ident {
	case ptuType:
		h.recordType = int64(value)
	case ptuBits:
		h.bits = int64(value)
	case ptuRecords:
		h.records = int64(value)
	case ptuUnit:
		want = ptuDouble
		ps := math.Float64frombits(value) * 1e12
		whole := math.Round(ps)
		if !(whole >= 1 && whole < 1<<32 && math.Abs(ps-whole) < 1e-6*whole) {
			return fmt.Errorf("header tag %s is %g s, want a whole number of picoseconds", ident, math.Float64frombits(value))
		}
		h.unit = uint64(whole)
	default:
		return nil
	}
	if kind != want {
		return fmt.Errorf("header tag %s has type %#08x, want %#08x", ident, kind, want)
	}
	return nil
}

// check checks the header as a whole against the size of the file.
func (h *ptuHeader) check(size int64) error {
	if h.recordType == 0 || h.unit == 0 {
		return fmt.Errorf("the header lacks %s or %s", ptuType, ptuUnit)
	}
	if h.bits != 8*ptuRecord {
		return fmt.Errorf("header tag %s is %d, want %d", ptuBits, h.bits, 8*ptuRecord)
	}
	there := (size - h.size) / ptuRecord
	if h.records < 0 || h.records > there {
		return fmt.Errorf("the header says %d records, the file holds %d; it is cut off", h.records, there)
	}
	if h.records == 0 { // the recording was not closed properly
		h.records = there
	}
	return nil
}

// t2 turns records into tags; ticks are counted in units of the header.
type t2 struct {
	overflow uint64 // ticks, added to every record
	step     uint64 // ticks of one overflow
	single   bool   // an overflow record stands for one overflow whatever it says
	pico     bool   // layout of the PicoHarp
}

// newT2 knows the record types of mode T2.
func newT2(recordType int64) (*t2, error) {
	switch recordType {
	case 0x00010203: // PicoHarp
		return &t2{step: 210698240, pico: true}, nil
	case 0x00010204: // HydraHarp, version 1
		return &t2{step: 33552000, single: true}, nil
	case 0x01010204, 0x00010205, 0x00010206, 0x00010207: // HydraHarp version 2, TimeHarp 260 N and P, generic
		return &t2{step: 1 << 25}, nil
	}
	if recordType>>ptuModeShift&0xff == 3 {
		return nil, fmt.Errorf("record type %#08x is of mode T3, whose times count from a sync pulse; only T2 can be read", recordType)
	}
	return nil, fmt.Errorf("unknown record type %#08x", recordType)
}

// What a record is.
const (
	t2Tag = iota
	t2Overflow
	t2Marker
	t2Illegal
)

// decode returns what the record is, and for a tag its channel (0 is the sync
// input, n the n-th input) and its ticks since the last overflow.
func (d *t2) decode(record uint32) (what, channel int, ticks uint64) {
	if d.pico {
		return d.decodePico(record)
	}
	channel, ticks = int(record>>25&0x3f), uint64(record&(1<<25-1))
	switch special := record>>31 == 1; {
	case !special:
		return t2Tag, channel + 1, ticks
	case channel == 0x3f:
		n := max(ticks, 1)
		if d.single {
			n = 1
		}
		d.overflow += n * d.step
		return t2Overflow, 0, 0
	case channel == 0:
		return t2Tag, 0, ticks
	case channel <= 15:
		return t2Marker, 0, 0
	}
	return t2Illegal, 0, 0
}

func (d *t2) decodePico(record uint32) (what, channel int, ticks uint64) {
	channel, ticks = int(record>>28), uint64(record&(1<<28-1))
	switch {
	case channel <= 4:
		return t2Tag, channel, ticks
	case channel != 15:
		return t2Illegal, 0, 0
	case ticks&15 != 0: // marker bits
		return t2Marker, 0, 0
	}
	d.overflow += d.step
	return t2Overflow, 0, 0
}

type ptuSource struct {
	f       *file
	r       *bufio.Reader
	header  ptuHeader
	t2      *t2
	latest  uint64 // ticks: an overflow up to here fits 64 bits of ps with any record
	read    int64
	markers uint64
}

func openPTU(f *file) (source, error) {
	r := bufio.NewReaderSize(f, binBuffer)
	h, err := readPTUHeader(r, f.Size())
	if err != nil {
		return nil, readError(f.path, err)
	}
	decoder, err := newT2(h.recordType)
	if err != nil {
		return nil, readError(f.path, err)
	}
	// One record adds at most 2^50 ticks to the overflow and 2^28 to the time.
	latest := min(math.MaxUint64-1<<51, math.MaxUint64/h.unit-1<<28)
	return &ptuSource{f: f, r: r, header: h, t2: decoder, latest: latest}, nil
}

func (s *ptuSource) next() (int, uint64, error) {
	for s.read < s.header.records {
		bytes, err := s.r.Peek(ptuRecord)
		if err != nil {
			return 0, 0, readError(s.f.path, err)
		}
		record := binary.LittleEndian.Uint32(bytes)
		if _, err := s.r.Discard(ptuRecord); err != nil {
			return 0, 0, readError(s.f.path, err)
		}
		s.read++
		what, channel, ticks := s.t2.decode(record)
		if s.t2.overflow > s.latest {
			return 0, 0, s.f.errorf("%s is later than 64 bits of picoseconds can tell; the file is damaged", s.place())
		}
		switch what {
		case t2Tag:
			return channel, (s.t2.overflow + ticks) * s.header.unit, nil
		case t2Marker:
			s.markers++
		case t2Illegal:
			return 0, 0, s.f.errorf("%s is %#08x, which means nothing in mode T2; the file is damaged", s.place(), record)
		}
	}
	return 0, 0, io.EOF
}

func (s *ptuSource) place() string   { return fmt.Sprintf("record %d", s.read-1) }
func (s *ptuSource) skipped() uint64 { return s.markers }
