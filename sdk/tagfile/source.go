package tagfile

import (
	"bufio"
	"fmt"
	"io"

	"tsrun/sdk/quantity"
)

// source yields the tags of a file in file order, io.EOF at the end. It holds
// no more than a few blocks of the file.
type source interface {
	next() (channel int, t uint64, err error)
	// place says where the tag that next returned last is: "line 7", "record 6".
	place() string
	// facts are what the file has said beside tags so far.
	facts() []Fact
	// whole says how many records were read whole, and how many bytes these
	// and what stands before the first of them are.
	whole() (records uint64, bytes int64)
}

// resolved is a source that knows the resolution of its file.
type resolved interface{ resolution() float64 }

// ioBuffer is how much of a file is read at once.
const ioBuffer = 256 << 10

// records reads records of one size.
type records struct {
	f      *file
	r      *bufio.Reader
	header int64 // bytes before the first record
	size   int
	ahead  []byte // the records after the last one, as far as the buffer holds them
	held   int    // bytes of the buffer that ahead began with
	read   uint64
	bad    uint64 // of those, records that mean nothing
	// missing is what the header promised and the file does not hold: damage at
	// the end of a file that is salvaged.
	missing string
	factBook
}

// newRecords reads what is behind the first bytes of f, which r has read.
func newRecords(f *file, r *bufio.Reader, header int64, size int) records {
	return records{f: f, r: r, header: header, size: size}
}

// record returns the next record, valid until the next call. A file that ends
// within one is damaged.
func (s *records) record() ([]byte, error) {
	if len(s.ahead) < s.size {
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
	record := s.ahead[:s.size:s.size]
	s.ahead = s.ahead[s.size:]
	s.read++
	return record, nil
}

// fill looks ahead at as many records as the buffer holds.
func (s *records) fill() error {
	if _, err := s.r.Discard(s.held); err != nil {
		return readError(s.f.path, err)
	}
	s.held = 0
	start, err := s.r.Peek(s.size)
	switch {
	case err == io.EOF && len(start) == 0 && s.missing != "":
		return s.f.damagef(s.offset(), "%s", s.missing)
	case err == io.EOF && len(start) == 0:
		return io.EOF
	case err == io.EOF:
		return s.f.damagef(s.offset(), "it ends within a record of %d bytes, %s after the last whole one; the file is cut off or in another format",
			s.size, quantity.Counted(len(start), "byte"))
	case err != nil:
		return readError(s.f.path, err)
	}
	s.held = s.r.Buffered() / s.size * s.size
	if s.ahead, err = s.r.Peek(s.held); err != nil {
		return readError(s.f.path, err)
	}
	return nil
}

// offset is the byte behind the last record read.
func (s *records) offset() int64 { return s.header + int64(s.read)*int64(s.size) }

// senseless is damage: the last record means nothing. Those behind it may.
func (s *records) senseless(format string, args ...any) error {
	s.bad++
	return &damageError{err: s.f.errorf(format, args...), at: s.offset() - int64(s.size), goesOn: true}
}

func (s *records) whole() (uint64, int64) {
	return s.read - s.bad, s.offset() - int64(s.bad)*int64(s.size)
}

func (s *records) place() string { return fmt.Sprintf("record %d", s.read-1) }

// unwrap makes times of a counter that begins again from 0 go on. A counter
// that goes back by at most the reorder window went back; one that goes back
// farther has wrapped. What is wrapped twice between two tags cannot be seen.
type unwrap struct {
	period uint64 // ticks
	window uint64 // ticks
	latest uint64 // unwrapped
	any    bool
}

// at returns the ticks since the counter's zero before the first record.
func (u *unwrap) at(counter uint64) (ticks uint64, wrapped, ok bool) {
	if !u.any {
		u.latest, u.any = counter, true
		return counter, false, true
	}
	now := u.latest % u.period
	forward := (counter + u.period - now) % u.period
	if back := u.period - forward; forward != 0 && back <= min(u.window, u.latest) {
		return u.latest - back, false, true
	}
	if u.latest > 1<<64-1-forward {
		return 0, false, false
	}
	u.latest += forward
	return u.latest, counter < now, true
}
