package tagfile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	// maxLine bounds a line of text: a channel, a separator, twenty digits and
	// a line end are half of it.
	maxLine   = 64
	csvHeader = "channel,ps"
	// maxChannel bounds the channel numbers in text.
	maxChannel = math.MaxUint16
	// alwaysFit is how many digits any number of 64 bits may have.
	alwaysFit = 19
)

// lines reads lines of text and knows where they stand.
type lines struct {
	f       *file
	r       *bufio.Reader
	line    int
	from    int64 // the byte where the last line begins
	at      int64 // the byte behind it
	spoiled int64 // bytes of lines that mean nothing
	unended bool  // the last line has no end
	held    []byte
	taken   int // bytes of held that lines were read of
}

func newLines(f *file, r *bufio.Reader) *lines { return &lines{f: f, r: r} }

// ahead is what the reader's buffer holds behind the last line: whole lines and the
// begin of one. It is none at the end of the file and before an error.
func (l *lines) ahead() []byte {
	if l.taken == len(l.held) {
		l.settle()
		_, _ = l.r.Peek(1) // next tells what goes wrong
		l.held, _ = l.r.Peek(l.r.Buffered())
	}
	return l.held[l.taken:]
}

// take makes a line of the first bytes that are ahead; its last is a line end.
func (l *lines) take(n int) {
	l.line++
	l.from, l.at, l.unended = l.at, l.at+int64(n), false
	l.taken += n
}

// settle takes from the buffer what lines were read of.
func (l *lines) settle() {
	_, _ = l.r.Discard(l.taken) // which is there
	l.held, l.taken = nil, 0
}

// next returns the next line without its end, io.EOF when there is none.
func (l *lines) next() ([]byte, error) {
	l.settle()
	line, err := l.r.ReadSlice('\n')
	if err == io.EOF && len(line) == 0 {
		return nil, io.EOF
	}
	l.line++
	l.from, l.at, l.unended = l.at, l.at+int64(len(line)), err == io.EOF
	if len(line) > maxLine || err == bufio.ErrBufferFull {
		return nil, l.tooLong(err)
	}
	if err != nil && err != io.EOF {
		return nil, readError(l.f.path, err)
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// tooLong passes over the rest of a line that is too long. More than a buffer
// of it is no text.
func (l *lines) tooLong(err error) error {
	long := &damageError{at: l.from, goesOn: err != bufio.ErrBufferFull,
		err: l.f.errorf("line %d is longer than %d bytes; the file is damaged or not in this format", l.line, maxLine)}
	l.spoil(l.at - l.from)
	return long
}

// spoil takes bytes from those that are whole.
func (l *lines) spoil(n int64) { l.spoiled += n }

func (l *lines) whole() int64 { return l.at - l.spoiled }

// textSource reads lines of a channel, a separator and a time.
type textSource struct {
	*lines
	separator byte
	tags      uint64
	factBook
}

const textBuffer = 64 << 10

func openTxt(f *file) (source, error) {
	return &textSource{lines: newLines(f, f.buffered(textBuffer)), separator: ';'}, nil
}

func openCsv(f *file) (source, error) {
	s := &textSource{lines: newLines(f, f.buffered(textBuffer)), separator: ','}
	line, err := s.lines.next()
	if err != nil && err != io.EOF {
		return nil, err
	}
	if string(line) != csvHeader {
		if strings.HasPrefix(csvHeader, string(line)) && s.at == f.Size() {
			return nil, f.damagef(0, "line 1 is %q, want the heading %q; the file is cut off", line, csvHeader)
		}
		return nil, f.errorf("line 1 is %q, want the heading %q%s", line, csvHeader, oddHeading(line))
	}
	return s, nil
}

func (s *textSource) next() (int, uint64, error) {
	if channel, t, n := plainLine(s.ahead(), s.separator); n > 0 {
		s.take(n)
		s.tags++
		return channel, t, nil
	}
	line, err := s.lines.next()
	if err != nil {
		return 0, 0, err
	}
	at := bytes.IndexByte(line, s.separator)
	channel, ok := parseUint(line[:max(at, 0)])
	t, okTime := parseUint(line[at+1:])
	if at < 0 || !ok || !okTime || channel > maxChannel {
		return 0, 0, s.senseless(line, line[at+1:], s.wants(line, channel))
	}
	if err := s.lastLine(&s.factBook); err != nil {
		return 0, 0, err
	}
	s.tags++
	return int(channel), t, nil
}

// plainLine reads the line that text begins with where it is as most are: few
// digits, the separator, at most 19 digits and a line end. For any other n is 0.
func plainLine(text []byte, separator byte) (channel int, t uint64, n int) {
	at := 0
	for ; at < min(len(text), len("65535")); at++ {
		d := int(text[at] - '0')
		if d > 9 {
			break
		}
		channel = channel*10 + d
	}
	if at == 0 || at == len(text) || text[at] != separator || channel > maxChannel {
		return 0, 0, 0
	}
	digits := text[at+1 : min(len(text), at+2+alwaysFit)]
	for i, c := range digits {
		if d := uint64(c - '0'); d <= 9 {
			t = t*10 + d
		} else if c == '\n' && i > 0 {
			return channel, t, at + 2 + i
		} else {
			break
		}
	}
	return 0, 0, 0
}

// wants is what a line should be, and what it may be instead.
func (s *textSource) wants(line []byte, channel uint64) string {
	form := fmt.Sprintf("CHANNEL%cPS in whole numbers", s.separator)
	switch {
	case bytes.HasPrefix(line, []byte("-")):
		return form + " without a sign"
	case bytes.IndexByte(line, '-') >= 0 && oddText(line) == "":
		return form + " without a sign (npy and swabian hold times below 0)"
	case s.separator == ';' && (isNumber(line) || channel > maxChannel):
		return form + " (lines PS or PS;INDEX, as of ID Quantique, are format idqtxt)"
	case channel > maxChannel:
		return fmt.Sprintf("%s and a channel of at most %d", form, maxChannel)
	}
	if odd := oddText(line); odd != "" {
		return form + odd
	}
	return form + oddColumns(line, s.separator)
}

// oddHeading says what a first line of csv is instead of the heading.
func oddHeading(line []byte) string {
	if odd := oddText(line); odd != "" {
		return odd
	}
	plain := bytes.ToLower(bytes.Map(func(r rune) rune {
		switch r {
		case ';', '\t':
			return ','
		case '"', '\'', ' ':
			return -1
		}
		return r
	}, line))
	switch first, second, two := bytes.Cut(plain, []byte(",")); {
	case string(plain) == csvHeader:
		return "; write exactly that, and divide columns by commas, numbers without quotes and spaces"
	case two && isNumber(first) && isNumber(second):
		return "; there is no heading: write it above the first tag"
	}
	return "; it is another table: make one of these two columns, with times in whole picoseconds"
}

// oddColumns says what is odd about a line of two numbers that are not divided as they
// should be.
func oddColumns(line []byte, separator byte) string {
	if bytes.ContainsAny(line, "\"'") {
		return "; write numbers without quotes, and digits without separators"
	}
	for _, other := range []byte(";,\t ") {
		if first, second, two := bytes.Cut(line, []byte{other}); two && other != separator && isNumber(first) && isNumber(second) {
			return fmt.Sprintf("; its columns are divided by %q: write %q there", other, separator)
		}
	}
	return ""
}

// oddText says what is odd about a line that means nothing, where that is plain.
func oddText(line []byte) string {
	switch {
	case bytes.HasPrefix(line, []byte("\ufeff")), bytes.HasPrefix(line, []byte("\xff\xfe")), bytes.HasPrefix(line, []byte("\xfe\xff")):
		return "; it begins with a byte order mark: save the file as ASCII or as UTF-8 without one"
	case bytes.IndexByte(line, '\r') >= 0:
		return "; its lines end with CR alone: let them end with LF or CR LF"
	case bytes.IndexByte(line, '.') >= 0 || bytes.ContainsAny(line, "eE") && bytes.ContainsAny(line, "0123456789"):
		return "; write whole picoseconds, without point and exponent"
	case bytes.HasPrefix(line, []byte("#")):
		return "; there are no comments in this format: remove the line"
	case len(bytes.TrimSpace(line)) == 0:
		return "; remove the empty line"
	}
	return ""
}

// senseless is damage: a line that is not what it should be.
func (l *lines) senseless(line, number []byte, want string) error {
	l.spoil(l.at - l.from)
	d := &damageError{at: l.from, goesOn: true}
	switch {
	case isNumber(number) && len(bytes.TrimLeft(number, "0")) > 19:
		d.err = l.f.errorf("line %d is %q, a time of 2^64 ps = 213 days or more, which tags cannot tell", l.line, line)
	case l.unended && bytes.IndexByte(line, '\r') < 0:
		d.err = l.f.errorf("line %d is %q, want %s; it is the last and has no end, so the file may be cut off", l.line, line, want)
	default:
		d.err = l.f.errorf("line %d is %q, want %s", l.line, line, want)
	}
	return d
}

func isNumber(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// lastLine remarks a last line that has no end. It may lack digits, so that it is
// damage while salvaging.
func (l *lines) lastLine(b *factBook) error {
	if l.unended && l.f.salvaging {
		l.spoil(l.at - l.from)
		return l.f.damagef(l.from, "line %d, the last, has no line end; it may be cut within its number and is left out", l.line)
	}
	if l.unended {
		b.remark("line %d, the last, has no line end: whether it is whole or cut within its number cannot be told", l.line)
	}
	return nil
}

func (l *lines) place() string { return fmt.Sprintf("line %d", l.line) }

func (s *textSource) whole() (uint64, int64) { return s.tags, s.lines.whole() }

// cause is why a line may go back in time.
func (l *lines) cause() string {
	if l.unended {
		return "the line is the last and has no end, so it is cut within its number"
	}
	return severalRecords
}

// parseUint reads a number that fits 64 bits, with no sign, space or
// underscore. It is not strconv's because that wants a string for each tag.
func parseUint(digits []byte) (n uint64, ok bool) {
	if len(digits) == 0 || len(digits) > alwaysFit+1 {
		return 0, false
	}
	for _, c := range digits[:min(len(digits), alwaysFit)] {
		d := uint64(c - '0')
		if d > 9 {
			return 0, false
		}
		n = n*10 + d
	}
	if len(digits) > alwaysFit {
		d := uint64(digits[alwaysFit] - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// textEncoder writes a line for each tag.
type textEncoder struct {
	head      string
	separator byte
}

func newTxtEncoder(encoding) (encoder, error) { return textEncoder{separator: ';'}, nil }

func newCsvEncoder(encoding) (encoder, error) {
	return textEncoder{head: csvHeader + "\n", separator: ','}, nil
}

func (e textEncoder) heading() []byte { return []byte(e.head) }

func (e textEncoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if err := checkChannel(channel, 0, maxChannel); err != nil {
		return dst, err
	}
	var prefix [maxLine]byte
	head := append(strconv.AppendInt(prefix[:0], int64(channel), 10), e.separator)
	for _, t := range tags {
		dst = append(dst, head...)
		dst = strconv.AppendUint(dst, t, 10)
		dst = append(dst, '\n')
	}
	return dst, nil
}

func (e textEncoder) finish(dst []byte) ([]byte, error) { return dst, nil }
