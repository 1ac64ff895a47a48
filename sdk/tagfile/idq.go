package tagfile

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// ID Quantique's own programs write a file for each channel, of times in ps
// since the last event on the channel's reference, or since the begin of the
// acquisition where none is linked. On demand each time has an index behind it:
// how many events of the reference there were.
//
//	bin      without index: format bin
//	idq      bin with index: u64 LE time, u64 LE index
//	idqtxt   lines of text, TIME or TIME;INDEX
//
// When a reference was, no file says. So times are of one line of time only
// while they go on across its events; else they cannot be placed.
const idqRecord = 16

// idqTimes sees to it that times can be placed.
type idqTimes struct {
	index, t uint64
	any      bool
	several  bool // events of the reference
}

// next takes a time and its index. It is not ok when it counts from another event
// than the one before it.
func (i *idqTimes) next(t, index uint64) (changed, ok bool) {
	changed = i.any && index != i.index
	i.several = i.several || changed
	ok = !i.several || t >= i.t
	i.index, i.t, i.any = index, t, true
	return changed, ok
}

const idqStartStop = "times that count from events of the reference input cannot be placed on one line of time, as the file does not say when these were; record with the reference NONE"

type idqSource struct {
	records
	times idqTimes
}

func openIDQ(f *file) (source, error) {
	return &idqSource{records: newRecords(f, f.buffered(ioBuffer), 0, idqRecord)}, nil
}

func (s *idqSource) next() (int, uint64, error) {
	record, err := s.record()
	if err != nil {
		return 0, 0, err
	}
	t, index := binary.LittleEndian.Uint64(record), binary.LittleEndian.Uint64(record[8:])
	changed, ok := s.times.next(t, index)
	if changed {
		s.note(References, 0, s.place)
	}
	if !ok {
		return 0, 0, s.f.errorf("%s is at %d ps after event %d of the reference, earlier than the one before it: %s", s.place(), t, index, idqStartStop)
	}
	return binChannel, t, nil
}

// idqText reads lines TIME or TIME;INDEX.
type idqText struct {
	*lines
	times idqTimes
	tags  uint64
	factBook
}

func openIDQText(f *file) (source, error) {
	return &idqText{lines: newLines(f, f.buffered(textBuffer))}, nil
}

func (s *idqText) next() (int, uint64, error) {
	line, err := s.lines.next()
	if err != nil {
		return 0, 0, err
	}
	number, behind, indexed := bytes.Cut(line, []byte(";"))
	t, ok := parseUint(number)
	index := uint64(0)
	if indexed && ok {
		index, ok = parseUint(behind)
	}
	if !ok {
		return 0, 0, s.senseless(line, number, "PS or PS;INDEX in whole numbers")
	}
	if err := s.lastLine(&s.factBook); err != nil {
		return 0, 0, err
	}
	changed, ok := s.times.next(t, index)
	if changed {
		s.note(References, 0, s.place)
	}
	if !ok {
		return 0, 0, s.f.errorf("%s is at %d ps after event %d of the reference, earlier than the one before it: %s", s.place(), t, index, idqStartStop)
	}
	s.tags++
	return binChannel, t, nil
}

func (s *idqText) whole() (uint64, int64) { return s.tags, s.lines.whole() }

type idqEncoder struct {
	one  oneChannel
	text bool
}

func newIDQEncoder(encoding) (encoder, error) {
	return &idqEncoder{one: oneChannel{format: IDQ}}, nil
}

func newIDQTextEncoder(encoding) (encoder, error) {
	return &idqEncoder{one: oneChannel{format: IDQText}, text: true}, nil
}

func (e *idqEncoder) heading() []byte { return nil }

func (e *idqEncoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if len(tags) == 0 {
		return dst, nil
	}
	if err := e.one.check(channel); err != nil {
		return dst, err
	}
	for _, t := range tags {
		if e.text {
			dst = append(strconv.AppendUint(dst, t, 10), '\n')
			continue
		}
		dst = binary.LittleEndian.AppendUint64(dst, t)
		dst = binary.LittleEndian.AppendUint64(dst, 0)
	}
	return dst, nil
}

func (e *idqEncoder) finish(dst []byte) ([]byte, error) { return dst, nil }
