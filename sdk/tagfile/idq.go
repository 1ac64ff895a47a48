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

// likeness is how much a file looks like one of ID Quantique's.
type likeness int

const (
	unlike likeness = iota
	may             // it can be either
	must            // it can be nothing else
)

// idqSniffed is how much of a file is looked at.
const idqSniffed = 1 << 16

// sniffBin tells bin from ID Quantique's bin with index: there, every second
// word is a number of events, which never falls and says nothing of the time
// before it. Times in order are bin.
func (f *file) sniffBin() (likeness, error) {
	start, err := f.head(idqSniffed)
	if err != nil {
		return unlike, err
	}
	word := func(nth int) uint64 { return binary.LittleEndian.Uint64(start[nth*8:]) }
	pairs := len(start) / idqRecord
	below, farBelow := 0, 0 // pairs whose index is less than the time, and by how much
	descents, falls := 0, 0 // of words, and of times
	constant, counting, rising := true, true, true
	for i := range pairs {
		t, index := word(2*i), word(2*i+1)
		below += oneIf(index < t)
		farBelow += oneIf(index < t && t-index > reorder)
		descents += oneIf(index < t)
		if i == 0 {
			continue
		}
		before := word(2*i - 1)
		descents += oneIf(t < before)
		falls += oneIf(t < word(2*i-2))
		constant, counting, rising = constant && index == before, counting && index == before+1, rising && index >= before
	}
	const several = 8
	plain := pairs > 0 && (constant || counting) && word(1) <= 1
	switch {
	case !rising:
		return unlike, nil
	case pairs > 1 && 2*farBelow >= pairs && (plain || constant && pairs >= several):
		return must, nil
	case plain && 2*below >= pairs, pairs >= several && descents >= pairs-1 && 4*falls >= pairs:
		return may, nil
	}
	return unlike, nil
}

func oneIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// sniffTxt tells lines CHANNEL;PS from ID Quantique's PS and PS;INDEX. A number
// alone, and first numbers that are no channels, are theirs.
func (f *file) sniffTxt() (likeness, error) {
	start, err := f.head(idqSniffed)
	if err != nil {
		return unlike, err
	}
	if int64(len(start)) < f.Size() {
		start = start[:bytes.LastIndexByte(start, '\n')+1]
	}
	n, alone, large := 0, 0, 0
	firsts := map[uint64]bool{}
	rising, before := true, uint64(0)
	for line := range bytes.Lines(start) {
		number, behind, paired := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(";"))
		first, ok := parseUint(number)
		second := uint64(0)
		if paired && ok {
			second, ok = parseUint(behind)
		}
		if !ok {
			return unlike, nil
		}
		n++
		if !paired {
			alone++
		}
		if first > maxChannel {
			large++
		}
		firsts[first] = true
		rising, before = rising && second >= before, second
	}
	return idqLike(n, alone, large, firsts, rising), nil
}

func idqLike(n, alone, large int, firsts map[uint64]bool, rising bool) likeness {
	const usual = 255 // channels of a file, at most
	highest := uint64(0)
	for c := range firsts {
		highest = max(highest, c)
	}
	switch {
	case n == 0 || !rising:
		return unlike
	case alone == n || n > 1 && 2*large >= n:
		return must
	case alone > 0:
		return unlike
	case n > 1 && highest > usual && 2*len(firsts) > n:
		return may
	}
	return unlike
}

// maybeIDQ finds whether a file that is named as one of another format, or said
// to be one, is ID Quantique's. Where it can be either, the user is asked.
func (f *file) maybeIDQ(ft Format, said bool) (Format, error) {
	looks, name := unlike, ""
	var err error
	switch ft.Name {
	case Bin:
		name = IDQ
		looks, err = f.sniffBin()
	case Txt:
		name = IDQText
		looks, err = f.sniffTxt()
	}
	switch {
	case err != nil:
		return Format{}, err
	case looks == must && said:
		return Format{}, f.errorf("it is not of format %s: it looks like ID Quantique's %s; name %s with %s, or none", ft.Name, idqAbout[name], name, nameFormat)
	case looks == must:
		ft, _ = find(name)
	case looks == may && !said:
		return Format{}, f.errorf("its content does not tell whether it is %s or ID Quantique's %s; name %s or %s with %s",
			idqAbout[ft.Name], idqAbout[name], ft.Name, name, nameFormat)
	}
	return ft, nil
}

var idqAbout = map[string]string{
	Bin: "words of 8 bytes, a time each", IDQ: "pairs of a time and an index, 16 bytes",
	Txt: "lines CHANNEL;PS", IDQText: "lines PS or PS;INDEX",
}
