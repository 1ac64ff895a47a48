package tagfile

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A file of numpy is a magic number, a version, the length of a text, the text
// that describes one array, and the array. Three kinds of arrays hold tags:
//
//	one dimension of integers             times of one channel, ps
//	two dimensions, n × 2 of integers     channel and time
//	one dimension of records with fields  a channel and a time by their names
type npySource struct {
	records
	layout npyLayout
}

func openNPY(f *file) (source, error) {
	layout, header, err := f.npyHeader()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(header, 0); err != nil {
		return nil, readError(f.path, err)
	}
	s := &npySource{newRecords(f, f.buffered(ioBuffer), header, layout.size), layout}
	there, says := (f.Size()-header)/int64(layout.size), fmt.Sprint(layout.count)
	if layout.negative {
		says = "-" + says
	}
	switch {
	case !layout.negative && layout.count == uint64(there):
	case !layout.negative && layout.count > uint64(there) && f.salvaging:
		s.missing = fmt.Sprintf("the header says %s rows, the file holds %d; it is cut off", says, there)
	case !layout.negative && layout.count > uint64(there):
		s.remark("the header says %s rows, the file holds %d; it is cut off", says, there)
	default:
		s.remark("the header says %s rows, the file holds %d, which are all read", says, there)
	}
	return s, nil
}

func (s *npySource) next() (int, uint64, error) {
	record, err := s.record()
	if err != nil {
		return 0, 0, err
	}
	channel := int64(binChannel)
	if s.layout.channel.width > 0 {
		n, negative := s.layout.channel.value(record)
		channel = int64(n)
		if negative == (channel >= 0) || channel > math.MaxInt32 || channel <= math.MinInt32 {
			return 0, 0, s.f.errorf("%s is of channel %d, which is beyond 32 bits", s.place(), n)
		}
	}
	t, negative := s.layout.time.value(record)
	if negative {
		t, err = s.f.signed(int64(t), s.place)
	} else {
		t, err = s.f.raised(t, s.place)
	}
	return int(channel), t, err
}

// npyField is an integer in a record.
type npyField struct {
	offset, width int
	signed        bool
	order         binary.ByteOrder
}

// value returns the bits of the number, extended to 64, and whether it is below 0.
func (d npyField) value(record []byte) (bits uint64, negative bool) {
	b := record[d.offset : d.offset+d.width]
	switch d.width {
	case 1:
		bits = uint64(b[0])
	case 2:
		bits = uint64(d.order.Uint16(b))
	case 4:
		bits = uint64(d.order.Uint32(b))
	case 8:
		bits = d.order.Uint64(b)
	}
	if unused := 64 - 8*d.width; d.signed {
		bits = uint64(int64(bits<<unused) >> unused)
		return bits, int64(bits) < 0
	}
	return bits, false
}

// npyEncoder writes a one-dimensional array: of u64 for one channel, else of
// records of an i32 channel and a u64 time.
type npyEncoder struct {
	one   *oneChannel
	count uint64
	below bool   // a time was below 0
	last  uint64 // of those that were not
}

func newNPYEncoder(o encoding) (encoder, error) {
	if o.oneChannel {
		return &npyEncoder{one: &oneChannel{format: NPY}}, nil
	}
	return &npyEncoder{}, nil
}

// npyHeading is as long as every heading that numpy aligns to 64 bytes; there
// is room for any count.
const npyHeading = 128

func (e *npyEncoder) heading() []byte {
	time := "'<u8'"
	if e.below {
		time = "'<i8'"
	}
	descr := time
	if e.one == nil {
		descr = "[('channel', '<i4'), ('ps', " + time + ")]"
	}
	return npyHead(descr, fmt.Sprintf("(%d,)", e.count))
}

// npyHead is what an array of a type and a shape begins with.
func npyHead(descr, shape string) []byte {
	b := append([]byte(npyMagic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, npyHeading-10)
	b = fmt.Appendf(b, "{'descr': %s, 'fortran_order': False, 'shape': %s, }", descr, shape)
	for len(b) < npyHeading-1 {
		b = append(b, ' ')
	}
	return append(b, '\n')
}

func (e *npyEncoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if e.one != nil && len(tags) > 0 {
		if err := e.one.check(channel); err != nil {
			return dst, err
		}
	}
	if err := checkChannel(channel, math.MinInt32+1, math.MaxInt32); err != nil {
		return dst, err
	}
	for _, t := range tags {
		if e.one == nil {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(int32(channel)))
		}
		dst = binary.LittleEndian.AppendUint64(dst, t)
	}
	if n := len(tags); n > 0 {
		e.last = tags[n-1]
	}
	e.count += uint64(len(tags))
	return dst, nil
}

// appendBelow appends a tag before 0, in two's complement.
func (e *npyEncoder) appendBelow(dst []byte, channel int, t uint64) ([]byte, error) {
	e.below = true
	if e.one == nil {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(int32(channel)))
	}
	e.count++
	return binary.LittleEndian.AppendUint64(dst, t), nil
}

func (e *npyEncoder) finish(dst []byte) ([]byte, error) {
	if e.below && e.last > math.MaxInt64 {
		return dst, fmt.Errorf("%d ps is later than the 107 days that an array can tell which also holds times below 0", e.last)
	}
	return dst, nil
}
