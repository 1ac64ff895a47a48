package tagfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/bits"

	"tsrun/sdk/fifteen"
)

// S-Fifteen time stamp units write the events of package fifteen. As a file an
// event is
//
//	a1  eight bytes, little-endian
//	a0  two lines of eight hexadecimal digits, the low half first
//	a2  one line of sixteen hexadecimal digits
//
// and a1x is a1 with its halves swapped, as older units write it. There is no
// such thing of a0 and a2: the units' software swaps in binary files only.
const (
	// fifteenReorder is the reorder window, in ps: the units send a dummy event
	// every 2^26 ticks, and around it some events come as late as that.
	fifteenReorder = 1 << 26 / 256 * 1000
	// fifteenBack is how far back, in ticks, a time may be without being one of
	// the next round.
	fifteenBack = 1 << (fifteen.EventTimeBits - 1)
)

// fifteenText is how the events of a format are lines.
type fifteenText struct {
	lines   int // per event; 0 when events are not text
	swapped bool
}

var fifteenFormats = map[string]fifteenText{
	A0: {2, false}, A1: {0, false}, A1X: {0, true}, A2: {1, false},
}

// fifteenFormat makes the table's line of a format.
func fifteenFormat(name, about string) Format {
	l := fifteenFormats[name]
	return Format{Name: name, Suffixes: []string{"." + name, ".ts"}, About: "S-Fifteen, " + about, Resolution: fifteen.EventTick, reorder: fifteenReorder,
		open:    func(f *file) (source, error) { return openFifteen(f, l) },
		encoder: func(encoding) (encoder, error) { return newFifteenEncoder(l), nil }}
}

type fifteenSource struct {
	records        // of events that are no text
	text    *lines // of those that are
	layout  fifteenText
	time    unwrap
	t       uint64 // of the last event
	left    uint64 // its detectors that are still to be told
}

func openFifteen(f *file, l fifteenText) (*fifteenSource, error) {
	s := &fifteenSource{layout: l, time: unwrap{period: 1 << fifteen.EventTimeBits, window: fifteenBack}}
	s.records = newRecords(f, f.buffered(ioBuffer), 0, 8)
	if l.lines > 0 {
		s.text = newLines(f, s.r)
	}
	return s, nil
}

func (s *fifteenSource) next() (int, uint64, error) {
	for s.left == 0 {
		word, err := s.word()
		if err != nil {
			return 0, 0, err
		}
		if err := s.event(fifteen.Event(word)); err != nil {
			return 0, 0, err
		}
	}
	detector := bits.TrailingZeros64(s.left)
	s.left &= s.left - 1
	return detector + 1, s.t, nil
}

// word reads one event.
func (s *fifteenSource) word() (word uint64, err error) {
	if s.text == nil {
		record, err := s.record()
		if err != nil {
			return 0, err
		}
		word = binary.LittleEndian.Uint64(record)
	} else if word, err = s.digits(); err != nil {
		return 0, err
	}
	if s.layout.swapped {
		word = bits.RotateLeft64(word, 32)
	}
	return word, nil
}

// digits reads the lines of one event. Their number of digits is known, so that
// the last one need not end.
func (s *fifteenSource) digits() (word uint64, err error) {
	width, start, bad := 16/s.layout.lines, s.text.at, []byte(nil)
	for nth := range s.layout.lines {
		line, err := s.text.next()
		if err == io.EOF && nth > 0 {
			s.text.spoil(s.text.at - start)
			return 0, s.f.damagef(start, "it ends within record %d, of which the second line is missing; the file is cut off or in another format", s.read)
		}
		if err != nil {
			return 0, err
		}
		half, ok := hexadecimal(line, width)
		if !ok && bad == nil {
			bad = bytes.Clone(line)
		}
		word |= half << (32 * nth)
	}
	s.read++
	if bad != nil {
		s.bad++
		s.text.spoil(s.text.at - start)
		return 0, &damageError{at: start, goesOn: true, err: s.f.errorf("%s has a line %q, want %d hexadecimal digits a line; the file is damaged or in another format",
			s.place(), bad, width)}
	}
	return word, nil
}

func (s *fifteenSource) whole() (uint64, int64) {
	if s.text != nil {
		return s.read - s.bad, s.text.whole()
	}
	return s.records.whole()
}

// event takes an event apart. One without a detector tells nothing but that
// time goes on; dummies are written late and do not even tell that.
func (s *fifteenSource) event(word fifteen.Event) error {
	if word.Dummy() {
		s.note(Dummies, 0, s.place)
		return nil
	}
	if s.left = word.Detectors(); s.left == 0 {
		s.note(Markers, 0, s.place)
		return nil
	}
	ticks, wrapped, ok := s.time.at(word.Time())
	if wrapped {
		s.note(Wraps, 0, s.place)
	}
	if ok {
		s.t, ok = fifteen.TicksToPs(ticks)
	}
	if !ok {
		return s.f.errorf("%s is later than 64 bits of picoseconds can tell", s.place())
	}
	return nil
}

// hexadecimal reads a number of so many digits.
func hexadecimal(line []byte, digits int) (n uint64, ok bool) {
	if len(line) != digits {
		return 0, false
	}
	for _, c := range line {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		n = n<<4 | uint64(c)
	}
	return n, true
}

// sniffFifteen tells the formats of S-Fifteen apart: by the length of lines,
// and where there are none, by which half of the events counts the time.
func (f *file) sniffFifteen() (Format, error) {
	start, err := f.head(20)
	if err != nil {
		return Format{}, err
	}
	name := A1
	switch bytes.IndexByte(bytes.ReplaceAll(start, []byte("\r"), nil), '\n') {
	case 8:
		name = A0
	case 16:
		name = A2
	default:
		way, waySwapped := f.wayOfTime(fifteenFormats[A1]), f.wayOfTime(fifteenFormats[A1X])
		if way == waySwapped {
			return Format{}, f.errorf("its content does not tell whether it is %s or %s; name one", A1, A1X)
		}
		if waySwapped < way {
			name = A1X
		}
	}
	ft, _ := find(name)
	return ft, nil
}

// wayOfTime is how far times go forth and back at the beginning of the file,
// read in one format: in the wrong one the low half of the time jumps about in
// the place of the high half. What cannot be read goes without end.
func (f *file) wayOfTime(l fifteenText) float64 {
	const enough = 4096
	whole := *f
	whole.SectionReader = io.NewSectionReader(f.SectionReader, 0, f.Size())
	s, err := openFifteen(&whole, l)
	if err != nil {
		return math.Inf(1)
	}
	way, before := 0.0, uint64(0)
	for range enough {
		word, err := s.word()
		if errors.As(err, new(*damageError)) || err == io.EOF {
			break
		}
		if err != nil {
			return math.Inf(1)
		}
		if s.read > 1 {
			way += math.Abs(float64(word) - float64(before))
		}
		before = word
	}
	return way
}

// fifteenEncoder writes one event per tag. A time that is not a whole number of
// ticks becomes the nearest.
type fifteenEncoder struct {
	layout fifteenText
	wrap   rewrap
	moved  uint64 // tags that are not where they were
}

func newFifteenEncoder(l fifteenText) *fifteenEncoder {
	return &fifteenEncoder{layout: l, wrap: rewrap{period: 1 << fifteen.EventTimeBits, window: fifteenBack}}
}

func (e *fifteenEncoder) heading() []byte { return nil }

func (e *fifteenEncoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if err := checkChannel(channel, 1, fifteen.Detectors); err != nil {
		return dst, err
	}
	for _, t := range tags {
		ticks := fifteen.PsToTicks(t)
		if back, _ := fifteen.TicksToPs(ticks); back != t {
			e.moved++
		}
		counter, err := e.wrap.at(ticks)
		if err != nil {
			return dst, err
		}
		word := uint64(fifteen.NewEvent(counter, 1<<(channel-1)))
		if e.layout.swapped {
			word = bits.RotateLeft64(word, 32)
		}
		switch e.layout.lines {
		case 0:
			dst = binary.LittleEndian.AppendUint64(dst, word)
		case 1:
			dst = appendHexadecimal(dst, word, 16)
		case 2:
			dst = appendHexadecimal(dst, word&math.MaxUint32, 8)
			dst = appendHexadecimal(dst, word>>32, 8)
		}
	}
	return dst, nil
}

// appendHexadecimal appends a line of so many digits.
func appendHexadecimal(dst []byte, n uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[n>>shift&15])
	}
	return append(dst, '\n')
}

func (e *fifteenEncoder) finish(dst []byte) ([]byte, error) { return dst, nil }

// shift is a whole number of picoseconds, because 2^54 ticks are.
func (e *fifteenEncoder) shift() uint64 {
	ps, _ := fifteen.TicksToPs(e.wrap.shift())
	return ps
}

// rounded counts the times that come back as another.
func (e *fifteenEncoder) rounded() uint64 { return e.moved }
