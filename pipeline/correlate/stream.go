package correlate

import (
	"errors"
	"io"
	"slices"

	"tsrun/sdk/tag"
)

// Stream yields the tags of one channel in order of time.
type Stream = tag.Reader

const (
	chunk     = 1 << 15         // tags asked of a stream at a time: what is held of two streams stays in a core's cache
	maxWindow = 1 << 26         // tags of B held at once: 512 MiB, and as much again corrected
	maxSpan   = uint64(1) << 61 // ps; within it, offsets included, differences modulo 2^64 are true
	patience  = 1 << 10         // empty answers in a row before a stream counts as stuck
)

// feed reads one stream and checks what it says.
type feed struct {
	from   Stream
	name   string
	zero   *uint64 // ps: A's first tag, from which spans are measured; nil: not known yet
	last   uint64
	count  uint64
	ended  bool
	raised uint64 // ps: of the [Channel], for errors
}

var errStuck = errors.New("stream yields neither tags nor an end")

// more appends n tags to buf, or what the stream has left.
func (f *feed) more(buf []uint64, n int) ([]uint64, error) {
	start, idle := len(buf), 0
	buf = slices.Grow(buf, n)
	for end := start + n; len(buf) < end && !f.ended; {
		n, err := f.from.Next(buf[len(buf):end])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			f.ended = true
		} else if err != nil {
			return buf[:start], err
		}
		if idle++; n > 0 {
			idle = 0
		} else if idle == patience {
			return buf[:start], errStuck
		}
	}
	return buf, f.check(buf[start:])
}

// CheckOrder says where tags run backwards, or lie too far from the first of
// reference for exact differences. The stream is called name in the error.
func CheckOrder(tags []uint64, name string, reference []uint64) error {
	f := feed{name: name}
	if len(reference) > 0 {
		f.zero = &reference[0]
	}
	return f.check(tags)
}

func (f *feed) check(tags []uint64) error {
	if len(tags) == 0 {
		return nil
	}
	if f.count == 0 {
		f.last = tags[0]
		if f.zero == nil {
			f.zero = new(tags[0])
		}
	}
	if i := disorder(f.last, tags); i >= 0 {
		previous := f.last
		if i > 0 {
			previous = tags[i-1]
		}
		return &OrderError{Stream: f.name, Index: f.count + uint64(i), Tag: tags[i], Previous: previous, Raised: f.raised}
	}
	f.last = tags[len(tags)-1]
	f.count += uint64(len(tags))
	for _, t := range []uint64{tags[0], f.last} {
		if max(t, *f.zero)-min(t, *f.zero) >= maxSpan {
			return &SpanError{Stream: f.name, Tag: t, First: *f.zero, Raised: f.raised}
		}
	}
	return nil
}

// disorder returns the index of the first tag that is before the one before
// it, -1 when there is none.
func disorder(previous uint64, tags []uint64) int {
	if len(tags) > 0 && tags[0] < previous {
		return 0
	}
	if i := tag.Disorder(tag.AsBytes(tags)); i > 0 {
		return i
	}
	return -1
}

// search returns the smallest i in [0, n) for which reached is true, or n.
func search(n int, reached func(int) bool) int {
	lo, hi := 0, n
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); reached(mid) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
