package tagfile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// ptuSource reads the records of a PicoQuant file. In T2 a record tells ticks
// since the last overflow. In T3 it tells sync periods since the last overflow
// and steps of the clock since that sync; the time is
//
//	periods × MeasDesc_GlobalResolution + steps × MeasDesc_Resolution
//
// computed exactly and rounded to the nearest picosecond, halves up.
type ptuSource struct {
	f        *file
	r        *bufio.Reader
	header   ptuHeader
	layout   ptuLayout
	overflow uint64 // counts, added to every record's
	read     int64
	factBook
}

func openPTU(f *file) (source, error) {
	r := bufio.NewReaderSize(f, ioBuffer)
	h, err := readPTUHeader(r, f.Size())
	if err != nil {
		return nil, readError(f.path, err)
	}
	layout, err := ptuLayoutOf(h.recordType)
	if err != nil {
		return nil, readError(f.path, err)
	}
	if !layout.t3 {
		h.unit, h.step = h.unit.wholeIfNear(), decimal{0, 1}
	}
	return &ptuSource{f: f, r: r, header: h, layout: layout}, nil
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
		switch e := s.layout.decode(record); e.kind {
		case ptuTagged:
			t, err := s.time(e)
			return e.channel, t, err
		case ptuOverflow:
			s.note(Wraps, 0, s.place)
			var ok bool
			if s.overflow, ok = add64(s.overflow, e.count, s.layout.wrap); !ok {
				return 0, 0, s.tooLate()
			}
		case ptuMarker:
			s.note(Markers, 0, s.place)
		case ptuIllegal:
			return 0, 0, s.f.errorf("%s is %#08x, which means nothing in mode T%d; the file is damaged",
				s.place(), record, ptuMode(s.header.recordType))
		}
	}
	return 0, 0, io.EOF
}

func (s *ptuSource) time(e ptuEvent) (uint64, error) {
	count, ok := add64(s.overflow, 1, e.count)
	if unit := s.header.unit; ok && unit.den == 1 && e.step == 0 { // whole picoseconds, as T2 nearly always has
		if t, ok := add64(0, count, unit.num); ok {
			return t, nil
		}
		return 0, s.tooLate()
	}
	t, fits := sumTimes(count, s.header.unit, e.step, s.header.step)
	if !ok || !fits {
		return 0, s.tooLate()
	}
	return t, nil
}

func (s *ptuSource) tooLate() error {
	return s.f.errorf("%s is later than 64 bits of picoseconds can tell; the file is damaged", s.place())
}

func (s *ptuSource) place() string { return fmt.Sprintf("record %d", s.read-1) }

func (s *ptuSource) resolution() float64 {
	if s.layout.t3 {
		return s.header.step.float()
	}
	return s.header.unit.float()
}
