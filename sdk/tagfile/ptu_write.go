package tagfile

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

const (
	ptuGenericT2 = 0x00010207
	ptuMost      = 64 // channel: inputs 1 to 64, 0 is the sync input
	ptuEmpty     = 0xFFFF0008
	ptuWrapBits  = 25
	ptuTime      = 0x21000008
	// ptuMostWraps is the largest number of overflows in one record. One reader
	// that many use multiplies it by 2^25 in 32 bits, so that 128 overflows and
	// more come out as fewer; instruments write far less.
	ptuMostWraps = 127
	// ptuFewRecords bounds what that may cost: a silence that would take more
	// records, 74 minutes, is written with as many overflows as a record holds.
	ptuFewRecords = 1 << 20
	ptuMostAbout  = 1 << 10 // bytes of the comment
)

// ptuEncoder writes generic T2 records of 1 ps: bits 0 to 24 the time since the
// last overflow, 25 to 30 the input, 31 special.
type ptuEncoder struct {
	records uint64
	wraps   uint64 // overflows written so far
	last    uint64 // ps
	guid    string
	about   string  // where the tags are from; "": nothing is known
	created float64 // days since the end of 1899
}

func newPTUEncoder(o encoding) (encoder, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a random one, version 4 of RFC 9562
	const daysBefore1970 = 25569
	about := o.about.String()
	return &ptuEncoder{
		about:   about[:min(len(about), ptuMostAbout)],
		guid:    fmt.Sprintf("{%x-%x-%x-%x-%x}", id[:4], id[4:6], id[6:8], id[8:10], id[10:]),
		created: float64(time.Now().Unix())/86400 + daysBefore1970,
	}, nil
}

func (e *ptuEncoder) heading() []byte {
	const ps, psPerMs = 1e-12, 1e9
	lasts := e.last/psPerMs + 1 // ms, from the zero of the times
	b := []byte(ptuMagic + "1.0.00\x00\x00")
	b = appendPTUText(b, "File_GUID", e.guid)
	b = appendPTUTag(b, "File_CreatingTime", ptuTime, math.Float64bits(e.created))
	if e.about != "" {
		b = appendPTUText(b, "File_Comment", e.about)
	}
	b = appendPTUText(b, "CreatorSW_Name", "tsrun")
	b = appendPTUText(b, "CreatorSW_Version", "1.0.0.0")
	b = appendPTUTag(b, "Measurement_Mode", ptuInt, 2)
	b = appendPTUTag(b, "Measurement_SubMode", ptuInt, 0)
	b = appendPTUText(b, "HW_Type", "tsrun")
	b = appendPTUTag(b, "HW_InpChannels", ptuInt, ptuMost)
	b = appendPTUTag(b, "HWSync_Divider", ptuInt, 1)
	b = appendPTUTag(b, ptuType, ptuInt, ptuGenericT2)
	b = appendPTUTag(b, ptuBits, ptuInt, 8*ptuRecord)
	b = appendPTUTag(b, ptuUnit, ptuDouble, math.Float64bits(ps))
	b = appendPTUTag(b, ptuStep, ptuDouble, math.Float64bits(ps))
	b = appendPTUTag(b, "MeasDesc_AcquisitionTime", ptuInt, lasts)
	b = appendPTUTag(b, "TTResult_StopAfter", ptuInt, lasts)
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
	if err := checkChannel(channel, 0, ptuMost); err != nil && !isMarker(channel) {
		return dst, err
	}
	const special, overflow = 1 << 31, 63 << 25
	input := uint32(special)
	switch {
	case isMarker(channel):
		input |= 1 << (channel - markerBase - 1) << 25
	case channel > 0:
		input = uint32(channel-1) << 25
	}
	for _, t := range tags {
		wraps, most := t>>ptuWrapBits, uint64(ptuMostWraps)
		if wraps-e.wraps > ptuMostWraps*ptuFewRecords {
			most = 1<<ptuWrapBits - 1
		}
		for e.wraps < wraps {
			n := min(wraps-e.wraps, most)
			dst = binary.LittleEndian.AppendUint32(dst, special|overflow|uint32(n))
			e.wraps += n
			e.records++
		}
		dst = binary.LittleEndian.AppendUint32(dst, input|uint32(t&(1<<ptuWrapBits-1)))
	}
	if n := len(tags); n > 0 {
		e.last = tags[n-1]
	}
	e.records += uint64(len(tags))
	return dst, nil
}

func (e *ptuEncoder) finish(dst []byte) ([]byte, error) { return dst, nil }
