package tagfile

import (
	"encoding/binary"
	"math"
)

const (
	ptuGenericT2 = 0x00010207
	ptuMost      = 64 // channel: inputs 1 to 64, 0 is the sync input
	ptuEmpty     = 0xFFFF0008
	ptuWrapBits  = 25
)

// ptuEncoder writes generic T2 records of 1 ps: bits 0 to 24 the time since the
// last overflow, 25 to 30 the input, 31 special.
type ptuEncoder struct {
	records uint64
	wraps   uint64 // overflows written so far
}

func newPTUEncoder(encoding) (encoder, error) { return &ptuEncoder{}, nil }

func (e *ptuEncoder) heading() []byte {
	const ps = 1e-12
	b := []byte(ptuMagic + "1.0.00\x00\x00")
	b = appendPTUText(b, "File_GUID", "{00000000-0000-0000-0000-000000000000}")
	b = appendPTUText(b, "CreatorSW_Name", "tsrun")
	b = appendPTUText(b, "CreatorSW_Version", "1.0")
	b = appendPTUTag(b, "Measurement_Mode", ptuInt, 2)
	b = appendPTUTag(b, "Measurement_SubMode", ptuInt, 0)
	b = appendPTUText(b, "HW_Type", "tsrun")
	b = appendPTUTag(b, "HW_InpChannels", ptuInt, ptuMost)
	b = appendPTUTag(b, "HWSync_Divider", ptuInt, 1)
	b = appendPTUTag(b, ptuType, ptuInt, ptuGenericT2)
	b = appendPTUTag(b, ptuBits, ptuInt, 8*ptuRecord)
	b = appendPTUTag(b, ptuUnit, ptuDouble, math.Float64bits(ps))
	b = appendPTUTag(b, ptuStep, ptuDouble, math.Float64bits(ps))
	b = appendPTUTag(b, "TTResult_SyncRate", ptuInt, 0)
	b = appendPTUTag(b, ptuRecords, ptuInt, e.records)
	return appendPTUTag(b, ptuEnd, ptuEmpty, 0)
}

func appendPTUTag(b []byte, ident string, kind uint32, value uint64) []byte {
	at := len(b)
	b = append(b, make([]byte, ptuIdent)...)
	copy(b[at:], ident)
	b = binary.LittleEndian.AppendUint32(b, math.MaxUint32) // no index
	b = binary.LittleEndian.AppendUint32(b, kind)
	return binary.LittleEndian.AppendUint64(b, value)
}

// appendPTUText pads the text with zeros to a multiple of eight bytes, at least
// one, as PicoQuant's software does.
func appendPTUText(b []byte, ident, text string) []byte {
	length := (len(text)/8 + 1) * 8
	b = appendPTUTag(b, ident, ptuAnsi, uint64(length))
	return append(append(b, text...), make([]byte, length-len(text))...)
}

func (e *ptuEncoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if err := checkChannel(channel, 0, ptuMost); err != nil {
		return dst, err
	}
	const special, overflow = 1 << 31, 63 << 25
	input := uint32(special)
	if channel > 0 {
		input = uint32(channel-1) << 25
	}
	for _, t := range tags {
		for wraps := t >> ptuWrapBits; e.wraps < wraps; {
			n := min(wraps-e.wraps, 1<<ptuWrapBits-1)
			dst = binary.LittleEndian.AppendUint32(dst, special|overflow|uint32(n))
			e.wraps += n
			e.records++
		}
		dst = binary.LittleEndian.AppendUint32(dst, input|uint32(t&(1<<ptuWrapBits-1)))
	}
	e.records += uint64(len(tags))
	return dst, nil
}

func (e *ptuEncoder) finish(dst []byte) ([]byte, error) { return dst, nil }
