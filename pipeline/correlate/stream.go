package correlate

import (
	"errors"
	"io"

	"tsrun/pipeline/tag"
)

// Stream yields the tags of one channel in order of time.
type Stream = tag.Reader

const (
	chunk     = 1 << 14         // tags asked of a stream at a time
	maxWindow = 1 << 26         // tags of B held at once: 512 MiB, and as much again corrected
	maxSpan   = uint64(1) << 61 // ps; within it, offsets included, differences modulo 2^64 are true
	patience  = 1 << 10         // empty answers in a row before a stream counts as stuck
)

// feed reads one stream and checks what it says.
type feed struct {
	from  Stream
	name  string
	zero  *uint64 // ps: A's first tag, from which spans are measured; nil: not known yet
	first uint64
	last  uint64
	count uint64
	ended bool
}

var errStuck = errors.New("stream yields neither tags nor an end")

// more appends up to a chunk of tags to buf.
func (f *feed) more(buf []uint64) ([]uint64, error) {
	if f.ended {
		return buf, nil
	}
	start := len(buf)
	buf = append(buf, make([]uint64, chunk)...)
	for range patience {
		n, err := f.from.Next(buf[start:])
		if err == io.EOF {
			f.ended = true
		} else if err != nil {
			return buf[:start], err
		}
		if n == 0 && !f.ended {
			continue
		}
		buf = buf[:start+n]
		return buf, f.check(buf[start:])
	}
	return buf[:start], errStuck
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
		f.first, f.last = tags[0], tags[0]
		if f.zero == nil {
			f.zero = &f.first
		}
	}
	for i, t := range tags {
		if t < f.last {
			return &OrderError{Stream: f.name, Index: f.count + uint64(i), Tag: t, Previous: f.last}
		}
		f.last = t
	}
	f.count += uint64(len(tags))
	for _, t := range []uint64{tags[0], f.last} {
		if max(t, *f.zero)-min(t, *f.zero) >= maxSpan {
			return &SpanError{Stream: f.name, Tag: t, First: *f.zero}
		}
	}
	return nil
}

// join walks two streams side by side. It hands out blocks of A, each with all
// tags of B whose corrected time minus some tag of the block lies in [lo, hi].
type join struct {
	a, b    feed
	lo, hi  int64 // ps
	correct Correction

	buffer  []uint64 // of A
	block   []uint64 // what of it was not handed out
	raw     []uint64 // of B, as recorded
	fixed   []uint64 // of B, on A's scale
	dropped uint64   // tags of B that no later block of A needs
}

func newJoin(a, b Stream, lo, hi int64, c Correction) *join {
	return &join{a: feed{from: a, name: "A"}, b: feed{from: b, name: "B"}, lo: lo, hi: hi, correct: c}
}

// next returns the next block of A with its window of B, or io.EOF. The slices
// hold until the next call.
func (j *join) next() (a, raw, fixed []uint64, err error) {
	if len(j.block) == 0 && !j.a.ended {
		if j.buffer, err = j.a.more(j.buffer[:0]); err != nil {
			return nil, nil, nil, err
		}
		j.block, j.b.zero = j.buffer, j.a.zero
	}
	j.release()
	if len(j.block) == 0 {
		return nil, nil, nil, j.drain()
	}
	ready, err := j.gather()
	if err != nil {
		return nil, nil, nil, err
	}
	a, j.block = j.block[:ready], j.block[ready:]
	return a, j.raw, j.fixed, nil
}

// gather reads B until a part of the block has its whole window, and returns
// how many tags of A that part has.
func (j *join) gather() (int, error) {
	for {
		if j.b.ended {
			return len(j.block), nil
		}
		if n := len(j.fixed); n > 0 {
			ready := search(len(j.block), func(i int) bool {
				return int64(j.fixed[n-1]-j.block[i]) <= j.hi
			})
			if ready > 0 && (ready == len(j.block) || n >= 4*chunk) {
				return ready, nil
			}
		}
		if len(j.raw) > maxWindow {
			return 0, &LimitError{What: "window", Value: "more than 67 million tags of B", Limit: "that", Hint: "choose a shorter range"}
		}
		if err := j.readB(); err != nil {
			return 0, err
		}
	}
}

func (j *join) readB() (err error) {
	j.release()
	had := len(j.raw)
	if j.raw, err = j.b.more(j.raw); err != nil {
		return err
	}
	j.fixed = j.correct.ApplyAll(j.fixed, j.raw[had:])
	return nil
}

// release forgets the tags of B that lie before the window of what is left of A.
func (j *join) release() {
	next := j.a.last
	if len(j.block) > 0 {
		next = j.block[0]
	}
	j.forget(search(len(j.fixed), func(i int) bool { return int64(j.fixed[i]-next) >= j.lo }))
}

func (j *join) forget(n int) {
	if n == 0 || n < len(j.fixed)/2 { // moving little costs more than it frees
		return
	}
	j.dropped += uint64(n)
	j.raw = j.raw[:copy(j.raw, j.raw[n:])]
	j.fixed = j.fixed[:copy(j.fixed, j.fixed[n:])]
}

// drain reads B to its end, so that all of it has been checked and counted.
func (j *join) drain() error {
	for !j.b.ended {
		var err error
		if j.raw, err = j.b.more(j.raw[:0]); err != nil {
			return err
		}
	}
	return io.EOF
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
