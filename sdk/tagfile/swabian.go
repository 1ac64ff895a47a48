package tagfile

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A dump of Swabian Instruments' Time Tagger has records of sixteen bytes and
// no header: type u8, a byte that is not used, missed events u16 LE, channel
// i32 LE, time i64 LE in ps. A negative channel means falling edges. Times are
// below 0 when an input has a negative delay, and after 2^63 ps.
const (
	swabianRecord   = 16
	swabianTag      = 0
	swabianError    = 1
	swabianOverflow = 2 // tags are being lost from here on
	swabianRecover  = 3 // and no longer from here on
	swabianMissed   = 4 // so many were lost on this channel
)

type swabianSource struct{ records }

func openSwabian(f *file) (source, error) {
	return &swabianSource{newRecords(f, f.buffered(ioBuffer), 0, swabianRecord)}, nil
}

func (s *swabianSource) next() (int, uint64, error) {
	for {
		record, err := s.record()
		if err != nil {
			return 0, 0, err
		}
		missed := uint64(binary.LittleEndian.Uint16(record[2:]))
		channel := int(int32(binary.LittleEndian.Uint32(record[4:])))
		t := int64(binary.LittleEndian.Uint64(record[8:]))
		switch record[0] {
		case swabianTag:
			if channel == OnlyChannel {
				return 0, 0, s.senseless("%s is of channel %d, which no instrument has", s.place(), channel)
			}
			raised, err := s.f.signed(t, s.place)
			return channel, raised, err
		case swabianError:
			s.note(Faults, 0, s.place)
		case swabianOverflow:
			s.note(Overflows, 0, s.place)
		case swabianRecover:
		case swabianMissed:
			s.note(Missed, missed, s.place)
		default:
			return 0, 0, s.senseless("%s is of type %d, the types are 0 to %d; the file is damaged or in another format", s.place(), record[0], swabianMissed)
		}
	}
}

type swabianEncoder struct{}

func newSwabianEncoder(encoding) (encoder, error) { return swabianEncoder{}, nil }

func (swabianEncoder) heading() []byte { return nil }

func (swabianEncoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if err := checkChannel(channel, math.MinInt32+1, math.MaxInt32); err != nil {
		return dst, err
	}
	for _, t := range tags {
		if t > math.MaxInt64 {
			return dst, fmt.Errorf("%d ps is later than the 107 days this format can tell", t)
		}
		dst = appendSwabian(dst, channel, t)
	}
	return dst, nil
}

// appendBelow appends a tag before 0, in two's complement.
func (swabianEncoder) appendBelow(dst []byte, channel int, t uint64) ([]byte, error) {
	return appendSwabian(dst, channel, t), nil
}

func appendSwabian(dst []byte, channel int, t uint64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, swabianTag)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(int32(channel)))
	return binary.LittleEndian.AppendUint64(dst, t)
}

func (swabianEncoder) finish(dst []byte) ([]byte, error) { return dst, nil }
