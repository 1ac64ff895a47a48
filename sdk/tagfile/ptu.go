package tagfile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// ptuSource reads the records of a PicoQuant file, and those of others that are
// built alike. In T2 a record tells ticks
// since the last overflow. In T3 it tells sync periods since the last overflow
// and steps of the clock since that sync; the time is
//
//	periods × MeasDesc_GlobalResolution + steps × MeasDesc_Resolution
//
// computed exactly and rounded to the nearest picosecond, halves up.
type ptuSource struct {
	records
	header   ptuHeader
	layout   ptuLayout
	ticks    uint64 // ps, of T2 with tags as most devices write them; 0: others
	overflow uint64 // counts, added to every record's
	markers  uint64 // inputs of the last marker that are still to be told, a bit each
	at       uint64 // its time
	marked   [markerInputs]uint64
	// contradicted says that the header names another mode than its records'.
	contradicted bool
}

func (s *ptuSource) cause() string {
	if s.contradicted {
		return "the header contradicts itself about the mode of its records, so they may not be what they are read as"
	}
	return severalRecords
}

func openPTU(f *file) (source, error) {
	r := f.buffered(ioBuffer)
	h, err := readPTUHeader(r, f)
	if err != nil {
		return nil, err
	}
	return newPTUSource(f, r, h)
}

// newPTUSource reads the records behind a header, which r has read.
func newPTUSource(f *file, r *bufio.Reader, h ptuHeader) (*ptuSource, error) {
	layout, err := ptuLayoutOf(h.recordType)
	if err != nil {
		return nil, readError(f.path, err)
	}
	s := &ptuSource{records: newRecords(f, r, h.size, ptuRecord), layout: layout}
	s.contradictions(h, (f.Size()-h.size)/ptuRecord)
	if !layout.t3 {
		h.unit, h.step = h.unit.wholeIfNear(), decimal{0, 1}
	}
	s.header = h
	if !layout.t3 && !layout.pico && !layout.spc && h.unit.den == 1 {
		s.ticks = h.unit.num
	}
	return s, nil
}

// contradictions notes what the header says and the file does not bear out.
func (s *ptuSource) contradictions(h ptuHeader, there int64) {
	switch {
	case h.records == there:
	case h.records < 0:
		s.remark("the header says %d records, as counts of more than 32 bits come out; the file holds %d, which are all read", h.records, there)
	case h.records == 0:
		s.remark("the header says 0 records, the file holds %d, which are all read; the recording was not closed properly", there)
	case h.records > there && s.f.salvaging:
		s.missing = fmt.Sprintf("the header says %d records, the file holds %d; it is cut off", h.records, there)
	case h.records > there:
		s.remark("the header says %d records, the file holds %d; it is cut off, or the recording was not closed properly", h.records, there)
	default:
		s.remark("the header says %d records, the file holds %d; the %d beyond them are read too", h.records, there, there-h.records)
	}
	if h.bits != 8*ptuRecord {
		s.remark("the header says %d bits a record, which is taken for %d", h.bits, 8*ptuRecord)
	}
	if mode := int64(ptuMode(h.recordType)); h.mode != 0 && h.mode != mode {
		s.contradicted = true
		s.remark("the header says measurement mode %d, its record type %#08x is of mode T%d, which is how the records are read", h.mode, h.recordType, mode)
	}
}

func (s *ptuSource) next() (int, uint64, error) {
	for {
		if s.markers != 0 {
			input := bits.TrailingZeros64(s.markers)
			s.markers &= s.markers - 1
			return MarkerChannel(input + 1), s.at, nil
		}
		record, err := s.record()
		if err != nil {
			return 0, 0, err
		}
		word := binary.LittleEndian.Uint32(record)
		if s.ticks != 0 && word>>31 == 0 {
			if t, ok := s.tick(word); ok {
				return int(word>>25) + 1, t, nil
			}
		}
		e := s.layout.decode(word)
		if e.wraps > 0 {
			s.note(Wraps, 0, s.place)
			var ok bool
			if s.overflow, ok = add64(s.overflow, e.wraps, s.layout.wrap); !ok {
				return 0, 0, s.tooLate()
			}
		}
		if e.lost {
			s.note(Overflows, 0, s.place)
		}
		switch e.kind {
		case ptuTagged:
			t, err := s.time(e.count, e.step)
			return e.channel, t, err
		case ptuMarker:
			if err := s.mark(e); err != nil {
				return 0, 0, err
			}
		case ptuIllegal:
			s.note(Unknown, 0, s.place)
		}
	}
}

// tick is the time of a tag as T2 of most devices has it; not ok beyond 64 bits.
// It is what decode and time give, at once.
func (s *ptuSource) tick(word uint32) (t uint64, ok bool) {
	count := s.overflow + uint64(word&(1<<25-1))
	high, t := bits.Mul64(count, s.ticks)
	return t, high == 0 && count >= s.overflow
}

// mark takes a marker as tags, or as a fact.
func (s *ptuSource) mark(e ptuEvent) (err error) {
	inputs := e.step
	if s.f.markers {
		s.markers = inputs
		s.at, err = s.time(e.count, 0)
		return err
	}
	s.note(Markers, 0, s.place)
	for input := range s.marked {
		s.marked[input] += inputs >> input & 1
	}
	return nil
}

// facts says of which inputs markers are.
func (s *ptuSource) facts() []Fact {
	all := slices.Clone(s.known)
	for i := range all {
		if all[i].Kind != Markers {
			continue
		}
		var inputs []string
		for input, n := range s.marked {
			if n > 0 {
				inputs = append(inputs, fmt.Sprintf("m%d %d", input+1, n))
			}
		}
		all[i].Inputs = list(inputs)
	}
	return all
}

// time is that of a record: counts since the last overflow, and steps.
func (s *ptuSource) time(counts, step uint64) (uint64, error) {
	count, ok := add64(s.overflow, 1, counts)
	if step > s.header.steps {
		s.note(Beyond, 0, s.place)
	}
	if unit := s.header.unit; ok && unit.den == 1 && step == 0 { // whole picoseconds, as T2 nearly always has
		if t, ok := add64(0, count, unit.num); ok {
			return t, nil
		}
		return 0, s.tooLate()
	}
	t, fits := sumTimes(count, s.header.unit, step, s.header.step)
	if !ok || !fits {
		return 0, s.tooLate()
	}
	return t, nil
}

func (s *ptuSource) tooLate() error {
	s.bad++
	return s.f.damagef(s.offset()-ptuRecord, "%s is later than 64 bits of picoseconds can tell; the file is damaged", s.place())
}

func (s *ptuSource) resolution() float64 {
	if s.layout.t3 {
		return s.header.step.float()
	}
	return s.header.unit.float()
}

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
// Its signals are tags only where such a channel is asked for, and else facts.
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
