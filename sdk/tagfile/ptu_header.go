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
	ptuModeTag  = "Measurement_Mode"
)

// ptuHeader is what the records need of the header.
type ptuHeader struct {
	size       int64 // bytes before the first record
	recordType int64
	bits       int64
	mode       int64   // 0: not said
	records    int64   // as the header says, which may be wrong
	unit       decimal // ps of one tick, in T3 of one sync period
	step       decimal // ps of one step of the time since the sync, T3
	steps      uint64  // of a sync period, the last one begun included; T2: 0
}

// readPTUHeader reads the header of f from r. The size of the file bounds every
// length in it.
func readPTUHeader(r *bufio.Reader, f *file) (ptuHeader, error) {
	h := ptuHeader{size: ptuPreamble, bits: 8 * ptuRecord}
	var tag [ptuTag]byte
	n, err := io.ReadFull(r, tag[:ptuPreamble])
	magic := tag[:min(n, len(ptuMagic))]
	switch {
	case n == 0:
		return h, f.damagef(0, "it is empty, a PicoQuant file with no tags has a header all the same")
	case string(magic) != ptuMagic[:len(magic)]:
		return h, f.errorf("it begins with %q, a PicoQuant file with %q", magic, ptuMagic)
	case err != nil:
		return h, f.damagef(0, "it has %d bytes, too few for the header of a PicoQuant file; it is cut off", n)
	}
	for {
		if _, err := io.ReadFull(r, tag[:]); err != nil {
			return h, f.damagef(0, "the header ends at byte %d without %s; the file is cut off", h.size, ptuEnd)
		}
		h.size += ptuTag
		ident := cString(tag[:ptuIdent])
		kind, value := binary.LittleEndian.Uint32(tag[36:]), binary.LittleEndian.Uint64(tag[40:])
		if kind == ptuAnsi || kind == ptuWide || kind == ptuDoubles || kind == ptuBlob {
			if value > uint64(f.Size()-min(f.Size(), h.size)) {
				return h, f.damagef(0, "header tag %q at byte %d is %d bytes long, longer than the file; it is cut off or damaged", ident, h.size-ptuTag, value)
			}
			if _, err := io.CopyN(io.Discard, r, int64(value)); err != nil {
				return h, f.errorf("header tag %q at byte %d: %w", ident, h.size-ptuTag, err)
			}
			h.size += int64(value)
		}
		if ident == ptuEnd {
			err = h.check()
		} else {
			err = h.set(ident, kind, value)
		}
		if err != nil {
			return h, readError(f.path, err)
		}
		if ident == ptuEnd {
			return h, nil
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
	case ptuModeTag:
		h.mode = int64(value)
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

// check checks the header as a whole.
func (h *ptuHeader) check() error {
	if h.recordType == 0 || h.unit.num == 0 {
		return fmt.Errorf("the header lacks %s or %s", ptuType, ptuUnit)
	}
	if ptuMode(h.recordType) == 3 {
		if h.step.num == 0 {
			return fmt.Errorf("the header lacks %s, which mode T3 needs", ptuStep)
		}
		h.steps = uint64(min(h.unit.float()/h.step.float()+1, 1<<32))
	}
	if h.bits != 8*ptuRecord && h.bits != 0 {
		return fmt.Errorf("header tag %s is %d, want %d", ptuBits, h.bits, 8*ptuRecord)
	}
	return nil
}
