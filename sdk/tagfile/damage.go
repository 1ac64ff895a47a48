package tagfile

import (
	"errors"
	"fmt"
	"io"
)

// damageError is an error of what a file holds from some byte on: a record that is
// cut off, or that means nothing. What stands before it is whole.
type damageError struct {
	err    error
	at     int64 // the byte where it begins
	goesOn bool  // the source can go on behind it
}

func (d *damageError) Error() string {
	return d.err.Error() + "; tsrun convert --salvage writes what is whole"
}
func (d *damageError) Unwrap() error { return d.err }

// damagef is damage at a byte, which ends the file.
func (f *file) damagef(at int64, format string, args ...any) error {
	return &damageError{err: f.errorf(format, args...), at: at}
}

// Damage says how much of a damaged file is whole.
type Damage struct {
	Records uint64 `json:"whole_records"`
	Bytes   int64  `json:"whole_bytes"` // of the header and the whole records
	Places  uint64 `json:"places"`      // that are damaged
	From    int64  `json:"from_byte"`   // where the first of them begins
	First   string `json:"first"`       // what is wrong there
}

// salvager passes over damage where a source can go on behind it, and else ends
// before it.
type salvager struct {
	source
	found Damage
	first error
}

// salvage makes a source that passes over damage of one that was opened, or that
// holds nothing when the header is damaged.
func salvage(src source, err error) (*salvager, error) {
	s := &salvager{source: src}
	var d *damageError
	if errors.As(err, &d) {
		s.source, err = nothing{}, nil
		s.note(d)
	}
	return s, err
}

func (s *salvager) next() (int, uint64, error) {
	for {
		channel, t, err := s.source.next()
		if err == nil || err == io.EOF {
			return channel, t, err
		}
		var d *damageError
		if !errors.As(err, &d) {
			return 0, 0, err
		}
		s.note(d)
		if !d.goesOn {
			s.source = ended{s.source}
		}
	}
}

func (s *salvager) note(d *damageError) {
	if s.found.Places == 0 {
		s.found.From, s.found.First, s.first = d.at, d.err.Error(), d.err
	}
	s.found.Places++
}

func (s *salvager) resolution() float64 {
	if r, ok := s.source.(resolved); ok {
		return r.resolution()
	}
	return 0
}

func (s *salvager) cause() string { return causeOf(s.source) }

// damage is what was found so far; nil for a file without.
func (s *salvager) damage() *Damage {
	if s.found.Places == 0 {
		return nil
	}
	d := s.found
	d.Records, d.Bytes = s.whole()
	return &d
}

// String says what is wrong, for an error or a report.
func (d *Damage) String() string {
	if d.Places > 1 {
		return fmt.Sprintf("%s; there are %d such places", d.First, d.Places)
	}
	return d.First
}

// nothing is a source of no tags.
type nothing struct{}

func (nothing) next() (int, uint64, error) { return 0, 0, io.EOF }
func (nothing) place() string              { return "the header" }
func (nothing) facts() []Fact              { return nil }
func (nothing) whole() (uint64, int64)     { return 0, 0 }

// ended is a source that yields no more tags.
type ended struct{ source }

func (ended) next() (int, uint64, error) { return 0, 0, io.EOF }

func (e ended) resolution() float64 {
	if r, ok := e.source.(resolved); ok {
		return r.resolution()
	}
	return 0
}
