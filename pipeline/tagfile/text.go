package tagfile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
)

const (
	// maxLine bounds a line of text: a channel, a separator, twenty digits and
	// a line end are half of it.
	maxLine   = 64
	csvHeader = "channel,ps"
	// maxChannel bounds the channel numbers in text.
	maxChannel = math.MaxUint16
)

// textSource reads lines of a channel, a separator and a time.
type textSource struct {
	f         *file
	r         *bufio.Reader
	separator byte
	line      int
}

func openTxt(f *file) (source, error) {
	return &textSource{f: f, r: bufio.NewReaderSize(f, 64<<10), separator: ';'}, nil
}

func openCsv(f *file) (source, error) {
	s := &textSource{f: f, r: bufio.NewReaderSize(f, 64<<10), separator: ','}
	line, err := s.readLine()
	if err != nil && err != io.EOF {
		return nil, err
	}
	if string(line) != csvHeader {
		return nil, f.errorf("line 1 is %q, want the heading %q", line, csvHeader)
	}
	return s, nil
}

// readLine returns the next line without its end, io.EOF when there is none.
func (s *textSource) readLine() ([]byte, error) {
	line, err := s.r.ReadSlice('\n')
	s.line++
	if len(line) > maxLine || err == bufio.ErrBufferFull {
		return nil, s.f.errorf("line %d is longer than %d bytes; the file is not in this format", s.line, maxLine)
	}
	if err == io.EOF && len(line) > 0 {
		err = nil // the last line need not end
	}
	if err != nil && err != io.EOF {
		err = readError(s.f.path, err)
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), err
}

func (s *textSource) next() (int, uint64, error) {
	line, err := s.readLine()
	if err != nil {
		return 0, 0, err
	}
	at := bytes.IndexByte(line, s.separator)
	channel, ok := parseUint(line[:max(at, 0)])
	t, okTime := parseUint(line[at+1:])
	if at < 0 || !ok || !okTime || channel > maxChannel {
		return 0, 0, s.f.errorf("line %d is %q, want CHANNEL%cPS in whole numbers", s.line, line, s.separator)
	}
	return int(channel), t, nil
}

func (s *textSource) place() string { return fmt.Sprintf("line %d", s.line) }
func (s *textSource) facts() []Fact { return nil }

// parseUint reads a number that fits 64 bits, with no sign, space or
// underscore. It is not strconv's because that wants a string for each tag.
func parseUint(digits []byte) (n uint64, ok bool) {
	const always = 19 // this many digits always fit
	if len(digits) == 0 || len(digits) > always+1 {
		return 0, false
	}
	for _, c := range digits[:min(len(digits), always)] {
		d := uint64(c - '0')
		if d > 9 {
			return 0, false
		}
		n = n*10 + d
	}
	if len(digits) > always {
		d := uint64(digits[always] - '0')
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
