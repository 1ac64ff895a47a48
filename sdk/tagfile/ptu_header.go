package tagfile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strconv"
	"strings"
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
	if h.recordType < 0 { // such as the one that stands for modules of others
		return fmt.Errorf("unknown record type %#x", uint64(h.recordType))
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

// decimal is an exact number of picoseconds, num/den; den is at most 10^18. Of two
// that are added, the smaller den divides the larger one, as powers of ten do.
type decimal struct{ num, den uint64 }

const maxDigits = 18

// picoseconds is the time in ps that a floating-point number of seconds stands
// for: the shortest decimal number that is nearest to it. So 1e-12 is one
// picosecond and 1.249552e-8 is 12495.52 ps, which the binary number is not.
// Digits beyond 1e-18 ps are dropped.
func picoseconds(seconds float64) (decimal, error) {
	if !(seconds >= 1e-15 && seconds <= 1) {
		return decimal{}, fmt.Errorf("%g s, which is no resolution; it is between 1 fs and 1 s", seconds)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(seconds, 'e', -1, 64), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	num, err := strconv.ParseUint(whole+fraction, 10, 64)
	if err != nil {
		return decimal{}, err
	}
	power, err := strconv.Atoi(exponent)
	if err != nil {
		return decimal{}, err
	}
	power += 12 - len(fraction)
	for ; power < -maxDigits; power++ {
		num /= 10
	}
	den := uint64(1)
	for ; power < 0; power++ {
		den *= 10
	}
	for ; power > 0; power-- {
		num *= 10 // at most 10^12, because seconds is at most 1
	}
	return decimal{num, den}, nil
}

// wholeIfNear is the whole number of picoseconds that a hardware's resolution
// means when it was computed with errors of rounding.
func (d decimal) wholeIfNear() decimal {
	ps := float64(d.num) / float64(d.den)
	if whole := math.Round(ps); whole >= 1 && math.Abs(ps-whole) < 1e-9*whole {
		return decimal{uint64(whole), 1}
	}
	return d
}

func (d decimal) float() float64 { return float64(d.num) / float64(d.den) }

// times is n times d: whole picoseconds and a rest, in units of 1/d.den. It is
// not ok when that is beyond 64 bits.
func (d decimal) times(n uint64) (ps, rest uint64, ok bool) {
	high, low := bits.Mul64(n, d.num)
	if high >= d.den {
		return 0, 0, false
	}
	if d.den == 1 { // no need to divide
		return low, 0, true
	}
	ps, rest = bits.Div64(high, low, d.den)
	return ps, rest, true
}

// sumTimes is n times a plus m times b, rounded to the nearest picosecond,
// halves up.
func sumTimes(n uint64, a decimal, m uint64, b decimal) (ps uint64, ok bool) {
	psA, restA, okA := a.times(n)
	psB, restB, okB := b.times(m)
	den := max(a.den, b.den)
	if restA > 0 && a.den < den {
		restA *= den / a.den
	}
	if restB > 0 && b.den < den {
		restB *= den / b.den
	}
	rest, whole := restA+restB, uint64(0) // below 2 den, which is at most 10^18
	if rest >= den {
		rest, whole = rest-den, 1
	}
	if rest >= den-den/2 {
		whole++
	}
	ps, overflow := bits.Add64(psA, psB, 0)
	ps, overflow2 := bits.Add64(ps, whole, 0)
	return ps, okA && okB && overflow == 0 && overflow2 == 0
}
