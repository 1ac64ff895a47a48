package tagfile

import (
	"fmt"
	"math/bits"
)

// ptuLayout is how the records of one type are read, 32 bits each. Counts are ticks in T2
// and sync periods in T3.
type ptuLayout struct {
	wrap   uint64 // counts of one overflow
	single bool   // an overflow record stands for one overflow whatever it says
	pico   bool   // layout of the PicoHarp
	spc    bool   // layout of Becker & Hickl's modules, see spc.go
	t3     bool
}

// ptuMode is the mode in a record type's second byte: 2 for T2, 3 for T3.
func ptuMode(recordType int64) int { return int(recordType >> 8 & 0xff) }

// layouts of the record types there are.
func ptuLayoutOf(recordType int64) (ptuLayout, error) {
	switch recordType {
	case 0x00010203: // PicoHarp
		return ptuLayout{wrap: 210698240, pico: true}, nil
	case 0x00010303:
		return ptuLayout{wrap: 1 << 16, single: true, pico: true, t3: true}, nil
	case 0x00010204: // HydraHarp, version 1
		return ptuLayout{wrap: 33552000, single: true}, nil
	case 0x00010304:
		return ptuLayout{wrap: 1 << 10, single: true, t3: true}, nil
	case 0x01010204, 0x00010205, 0x00010206, ptuGenericT2: // HydraHarp version 2, TimeHarp 260 N and P, generic
		return ptuLayout{wrap: 1 << 25}, nil
	case 0x01010304, 0x00010305, 0x00010306, 0x00010307:
		return ptuLayout{wrap: 1 << 10, t3: true}, nil
	case spcRecordType:
		return ptuLayout{wrap: 1 << 12, spc: true}, nil
	}
	return ptuLayout{}, fmt.Errorf("unknown record type %#08x", recordType)
}

// What a record is.
type ptuKind uint8

const (
	ptuTagged ptuKind = iota
	ptuOverflow
	ptuMarker
	ptuIllegal
)

// ptuEvent is one record, understood.
type ptuEvent struct {
	channel int    // 0 is the sync input, n the n-th input
	count   uint64 // ticks or sync periods since the last overflow
	wraps   uint64 // overflows that come before it
	// step is steps since the sync in T3; of a marker the inputs it is of, a bit each.
	step uint64
	kind ptuKind
	lost bool // tags before it were lost
}

// The marker inputs of a PicoQuant instrument are channels beyond its inputs.
const (
	markerBase   = 100
	markerInputs = 4
)

// MarkerChannel is the channel of a marker input, 1 to 4, of a PicoQuant file.
// Its signals are tags only for who asks for such a channel; else they are facts.
func MarkerChannel(input int) int { return markerBase + input }

func isMarker(channel int) bool {
	return channel > markerBase && channel <= markerBase+markerInputs
}

func (l ptuLayout) decode(record uint32) ptuEvent {
	switch {
	case l.pico && l.t3:
		return l.picoT3(record)
	case l.pico:
		return l.picoT2(record)
	case l.spc:
		return spcEvent(record)
	}
	e := ptuEvent{channel: int(record >> 25 & 0x3f), count: uint64(record & (1<<25 - 1))}
	if l.t3 {
		e.count, e.step = uint64(record&(1<<10-1)), uint64(record>>10&(1<<15-1))
	}
	switch special := record>>31 == 1; {
	case !special:
		e.channel++
	case e.channel == 0x3f:
		e.kind, e.wraps = ptuOverflow, max(e.count, 1)
		if l.single {
			e.wraps = 1
		}
	case e.channel == 0 && !l.t3: // the sync input
	case e.channel >= 1 && e.channel <= 15:
		e.kind, e.step = ptuMarker, uint64(e.channel)
	default:
		e.kind = ptuIllegal
	}
	return e
}

func (l ptuLayout) picoT2(record uint32) ptuEvent {
	e := ptuEvent{channel: int(record >> 28), count: uint64(record & (1<<28 - 1))}
	switch {
	case e.channel <= 4:
	case e.channel != 15:
		e.kind = ptuIllegal
	case e.count&15 != 0: // in the place of the lowest bits of the time
		e.kind, e.step = ptuMarker, e.count&15
		e.count &^= 15
	default:
		e.kind, e.wraps = ptuOverflow, 1
	}
	return e
}

func (l ptuLayout) picoT3(record uint32) ptuEvent {
	e := ptuEvent{channel: int(record >> 28), step: uint64(record >> 16 & (1<<12 - 1)), count: uint64(record & (1<<16 - 1))}
	switch {
	case e.channel >= 1 && e.channel <= 4:
	case e.channel != 15:
		e.kind = ptuIllegal
	case e.step != 0:
		e.kind, e.step = ptuMarker, e.step&15
	default:
		e.kind, e.wraps = ptuOverflow, 1
	}
	return e
}

// add64 adds n times m to base; not ok beyond 64 bits.
func add64(base, n, m uint64) (sum uint64, ok bool) {
	high, low := bits.Mul64(n, m)
	sum, carry := bits.Add64(base, low, 0)
	return sum, high == 0 && carry == 0
}
