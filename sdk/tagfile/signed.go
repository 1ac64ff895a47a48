package tagfile

import (
	"errors"
	"fmt"
	"math/bits"

	"tsrun/sdk/tag"
)

// Raise is what is added to every tag of files of which one holds times below 0,
// in ps: 10^6 s. Tags are unsigned everywhere, so that their order and their
// differences are those of the times; who shows a tag takes Raise off again.
//
// Formats with signed times are swabian and npy. A time below -Raise is one of
// a 64-bit counter that rolled over after 2^63 ps = 107 days: it goes on there,
// and is 2^64 more.
const Raise = 1_000_000_000_000_000_000

// belowZeroError is the error of a file with times below 0 that was not raised.
type belowZeroError struct{ err error }

func (b *belowZeroError) Error() string {
	return b.err.Error() + ", before 0, where tags do not go; raise all times of the recording by the same first: tsrun convert IN OUT --shift '1 s'"
}

// IsBelowZero says whether an error is of a file with times below 0.
func IsBelowZero(err error) bool { return errors.As(err, new(*belowZeroError)) }

// signed is the tag of a signed time, of the record at a place.
func (f *file) signed(t int64, place func() string) (uint64, error) {
	if t < 0 && t >= -Raise && f.raise == 0 {
		return 0, &belowZeroError{f.errorf("%s is at %d ps", place(), t)}
	}
	if t < 0 && t >= -Raise {
		return f.raise - uint64(-t), nil
	}
	return f.raised(uint64(t), place)
}

// raised is the tag of an unsigned time.
func (f *file) raised(t uint64, place func() string) (uint64, error) {
	raised, carry := bits.Add64(t, f.raise, 0)
	if carry > 0 {
		return 0, f.errorf("%s is at %d ps, too late to be raised by %d ps as other times are that lie before 0", place(), t, f.raise)
	}
	return raised, nil
}

// raiseAll raises unsigned times in place.
func (f *file) raiseAll(tags []uint64) (err error) {
	for i := 0; f.raise > 0 && i < len(tags) && err == nil; i++ {
		tags[i], err = f.raised(tags[i], func() string { return "a tag" })
	}
	return err
}

// raiser raises the tags of a source of unsigned times.
type raiser struct {
	source
	f *file
}

func (r raiser) next() (int, uint64, error) {
	channel, t, err := r.source.next()
	if err == nil {
		t, err = r.f.raised(t, r.place)
	}
	return channel, t, err
}

func (r raiser) cause() string { return causeOf(r.source) }

func (r raiser) resolution() float64 {
	if of, ok := r.source.(resolved); ok {
		return of.resolution()
	}
	return 0
}

// raisedReader raises the tags of a reader.
type raisedReader struct {
	FileReader
	f *file
}

func (r raisedReader) Next(buf []uint64) (int, error) {
	n, err := r.FileReader.Next(buf)
	if wrong := r.f.raiseAll(buf[:n]); wrong != nil {
		return 0, wrong
	}
	return n, err
}

// BeginsBelowZero says whether the tags of a channel begin before 0, so that all
// that is read beside them has to be raised. The rest of a file in order does
// not tell more.
func BeginsBelowZero(path, format string, channel int) (bool, error) {
	f, ft, err := openAs(path, format)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if !ft.signed {
		return false, nil
	}
	r, _, err := f.reader(ft, channel)
	if err == nil {
		_, err = r.Next(make([]uint64, 1))
	}
	return IsBelowZero(err), nil // what else is wrong is found again by who reads it
}

// OpenRaised is [Open] with all tags raised by 0 or [Raise].
func OpenRaised(path, format string, channel int, raise uint64) (FileReader, Info, error) {
	return openFor(path, format, channel, raise, (*file).format)
}

// again reads a file a second time, raised, when the first met times below 0.
func again[T any](f *file, read func() (T, error)) (T, error) {
	result, err := read()
	if !IsBelowZero(err) || f.raise > 0 {
		return result, err
	}
	f.raise = Raise
	if _, err := f.Seek(0, 0); err != nil {
		return result, readError(f.path, err)
	}
	return read()
}

// Moment is what a tag of the file's Info stands for.
func (i Info) Moment(t uint64) tag.Moment { return tag.MomentOf(t, i.Raised) }

// move adds a shift to tags in place, which stay raised as they are.
func move(tags []uint64, raise uint64, shift int64) error {
	for i, t := range tags {
		moved, carry := bits.Add64(t, uint64(shift), 0)
		if shift < 0 {
			carry = 1 - carry
		}
		if carry > 0 {
			return fmt.Errorf("%s ps shifted by %d ps is beyond what times can be", tag.MomentOf(t, raise), shift)
		}
		tags[i] = moved
	}
	return nil
}
