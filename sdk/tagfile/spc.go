package tagfile

import "encoding/binary"

// A file of Becker & Hickl's modules SPC-130 to SPC-180 and SPC-830 in FIFO mode,
// .spc, is records of 32 bits. The first one is the header: bits 0 to 23 the
// period of the macro time clock in units of 0.1 ns, 24 set by modules whose
// records are built otherwise, 31 set. The others:
//
//	bits 0-11   macro time, periods of the clock since the last overflow
//	     12-15  routing, of a marker the inputs it is of
//	     16-27  micro time, which is not read: its scale is only in the .set
//	     28     marker
//	     29     gap: photons before it were lost
//	     30     overflow of the macro time before it
//	     31     invalid; with overflow and without marker bits 0-27 are how many
const (
	spcRecordType = -1 // no number of PicoQuant's
	spcClock      = 1<<24 - 1
	spcOther      = 1 << 24
	spcMarker     = 1 << 28
	spcGap        = 1 << 29
	spcOverflow   = 1 << 30
	spcInvalid    = 1 << 31
)

func openSPC(f *file) (source, error) {
	if f.Size() == 0 {
		return nil, f.damagef(0, "it is empty, a file of an SPC module with no tags has a first record all the same")
	}
	r := f.buffered(ioBuffer)
	start, err := r.Peek(int(min(f.Size(), ioBuffer)))
	if err != nil {
		return nil, readError(f.path, err)
	}
	if len(start) < ptuRecord {
		return nil, f.damagef(0, "it ends within its first record, at byte %d", len(start))
	}
	first := binary.LittleEndian.Uint32(start)
	clock := uint64(first & spcClock)
	const do = "read it by phconvert or the maker's software and write the times, whole ps, by numpy.save: .npy is read"
	switch {
	case first&spcInvalid == 0 || clock == 0:
		return nil, f.errorf("its first record, %#08x, does not tell the clock of the macro time, as those of SPC-130 to SPC-180 and SPC-830 do; %s", first, do)
	case first&spcOther != 0:
		return nil, f.errorf("its first record, %#08x, is of a module whose records are not read; %s", first, do)
	case !spcGoesOn(start[ptuRecord:]):
		return nil, f.errorf("the macro times of its records jump back and forth, so they are not those of SPC-130 to SPC-180 and SPC-830; %s", do)
	}
	if _, err := r.Discard(ptuRecord); err != nil {
		return nil, readError(f.path, err)
	}
	const unit = 100 // ps
	h := ptuHeader{size: ptuRecord, recordType: spcRecordType, bits: 8 * ptuRecord, unit: decimal{unit * clock, 1}}
	h.records = (f.Size() - h.size) / ptuRecord // the file does not say
	s, err := newPTUSource(f, r, h)
	if err == nil {
		s.remark("times are counts of the macro time clock, %d.%d ns by the first record, which tells it to 0.1 ns; times within a period are not read", clock/10, clock%10)
	}
	return s, err
}

// spcGoesOn says whether the macro times of records go on, as far as these tell.
func spcGoesOn(records []byte) bool {
	const few, most = 16, 4096
	steps, back, before := 0, 0, uint32(0)
	for i := range min(len(records)/ptuRecord, most) {
		record := binary.LittleEndian.Uint32(records[i*ptuRecord:])
		count := record & (1<<12 - 1)
		switch {
		case record&spcOverflow != 0 && record&(spcInvalid|spcMarker) == spcInvalid:
			before = 0
			continue
		case record&spcOverflow == 0 && record&(spcInvalid|spcMarker) != spcInvalid:
			if steps++; count < before {
				back++
			}
		}
		before = count
	}
	return steps < few || back < steps/4
}

// spcEvent is one record, understood.
func spcEvent(record uint32) ptuEvent {
	inputs := uint64(record >> 12 & 15)
	e := ptuEvent{channel: int(inputs), count: uint64(record & (1<<12 - 1)), lost: record&spcGap != 0}
	if record&spcOverflow != 0 {
		e.wraps = 1
	}
	switch {
	case record&spcMarker != 0:
		e.kind, e.step = ptuMarker, inputs
	case record&spcInvalid == 0:
	case e.wraps > 0:
		e.kind, e.wraps = ptuOverflow, uint64(record&(1<<28-1))
	default:
		e.kind = ptuIllegal
	}
	return e
}
