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
	ptuMagic    = "PQTTTR\x00\x00"
	ptuPreamble = 16 // magic and version
	ptuTag      = 48
	ptuIdent    = 32
	ptuEnd      = "Header_End"
	ptuRecord   = 4
	ptuType     = "TTResultFormat_TTTRRecType"
	ptuBits     = "TTResultFormat_BitsPerRecord"
	ptuRecords  = "TTResult_NumberOfRecords"
	ptuUnit     = "MeasDesc_GlobalResolution"
	ptuInt      = 0x10000008
	ptuDouble   = 0x20000008
	ptuDoubles  = 0x2001FFFF
	ptuAnsi     = 0x4001FFFF
	ptuWide     = 0x4002FFFF
	ptuBlob     = 0xFFFFFFFF
	ptuStep     = "MeasDesc_Resolution"
)

// ptuHeader is what the records need of the header.
type ptuHeader struct {
	size       int64 // bytes before the first record
	recordType int64
	bits       int64
	records    int64   // 0: all there are
	unit       decimal // ps of one tick, in T3 of one sync period
	step       decimal // ps of one step of the time since the sync, T3
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
	case ptuUnit, ptuStep:
		want = ptuDouble
		ps, err := picoseconds(math.Float64frombits(value))
		if ident == ptuStep { // only mode T3 needs one that means something
			h.step = ps
			break
		}
		if err != nil && kind == want {
			return fmt.Errorf("header tag %s is %w", ident, err)
		}
		h.unit = ps
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
	if h.recordType == 0 || h.unit.num == 0 {
		return fmt.Errorf("the header lacks %s or %s", ptuType, ptuUnit)
	}
	if ptuMode(h.recordType) == 3 && h.step.num == 0 {
		return fmt.Errorf("the header lacks %s, which mode T3 needs", ptuStep)
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
