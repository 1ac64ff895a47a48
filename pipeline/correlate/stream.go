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
	first  uint64
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
		f.first, f.last = tags[0], tags[0]
		if f.zero == nil {
			f.zero = &f.first
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

// join walks two streams side by side. It hands out blocks of A, each with all
// tags of B whose corrected time minus some tag of the block lies in [lo, hi].
type join struct {
	a, b   ahead
	lo, hi int64 // ps
	begun  bool

	block []uint64 // of A, not handed out
	held  []uint64 // of B, on A's clock
}

func newJoin(a, b Stream, lo, hi int64, c Correction) *join {
	return &join{a: newAhead(a, "A", Correction{}), b: newAhead(b, "B", c), lo: lo, hi: hi}
}

// close ends the reading, which may be ahead of what was handed out.
func (j *join) close() {
	j.a.close()
	j.b.close()
}

// next returns the next block of A with its tags of B, or io.EOF when both
// streams have been read and checked to their ends. The slices hold until the
// next call.
func (j *join) next() (a, b []uint64, err error) {
	if len(j.block) == 0 {
		if j.block, err = j.a.next(); err != nil {
			return nil, nil, err
		}
	}
	if !j.begun {
		j.begun, j.b.zero = true, j.a.zero
	}
	if len(j.block) == 0 {
		return nil, nil, j.drain()
	}
	ready, err := j.gather()
	if err != nil {
		return nil, nil, err
	}
	a, j.block = j.block[:ready], j.block[ready:]
	return a, j.held, nil
}

// gather reads B until a part of the block has all its tags of B, and returns
// how many tags of A that part has.
func (j *join) gather() (int, error) {
	for {
		j.release()
		if j.b.over() {
			return len(j.block), nil
		}
		if n := len(j.held); n > 0 {
			ready := search(len(j.block), func(i int) bool {
				return int64(j.held[n-1]-j.block[i]) <= j.hi
			})
			if ready > 0 && (ready == len(j.block) || n >= 4*chunk) {
				return ready, nil
			}
		}
		if len(j.held) > maxWindow {
			return 0, &LimitError{What: "window", Value: "more than 67 million tags of B", Limit: "that", Hint: "choose a shorter range"}
		}
		tags, err := j.b.next()
		if err != nil {
			return 0, err
		}
		j.held = append(j.held, tags...)
	}
}

// release forgets the tags of B that are before the reach of the block.
func (j *join) release() {
	n := search(len(j.held), func(i int) bool { return int64(j.held[i]-j.block[0]) >= j.lo })
	if n >= len(j.held)/2 { // moving little costs more than it frees
		j.held = j.held[:copy(j.held, j.held[n:])]
	}
}

// drain reads B to its end, so that all of it has been checked and counted.
func (j *join) drain() error {
	for !j.b.over() {
		if _, err := j.b.next(); err != nil {
			return err
		}
	}
	return io.EOF
}

// ahead reads a stream, checks it and carries it to A's clock, one chunk ahead
// of the caller.
type ahead struct {
	feed
	correct Correction
	buffers [2][]uint64 // one is in use while the other is filled
	turn    int
	pending bool // a chunk is being filled: the feed is not ours
	filled  chan filled
}

type filled struct {
	tags []uint64
	err  error
}

func newAhead(from Stream, name string, correct Correction) ahead {
	return ahead{feed: feed{from: from, name: name}, correct: correct, filled: make(chan filled, 1)}
}

// next returns the next chunk, an empty one only at the end. It holds until the
// next call.
func (r *ahead) next() ([]uint64, error) {
	if r.over() {
		return nil, nil
	}
	if !r.pending {
		r.start()
	}
	f := <-r.filled
	r.pending = false
	if f.err == nil && !r.ended {
		r.start()
	}
	return f.tags, f.err
}

// over says whether the last chunk was taken.
func (r *ahead) over() bool { return !r.pending && r.ended }

// close waits until nothing reads the stream any more.
func (r *ahead) close() {
	if r.pending {
		<-r.filled
		r.pending = false
	}
}

func (r *ahead) start() {
	r.pending = true
	buffer := &r.buffers[r.turn]
	r.turn = 1 - r.turn
	go func() {
		tags, err := r.fill(buffer)
		r.filled <- filled{tags, err}
	}()
}

func (r *ahead) fill(buffer *[]uint64) (tags []uint64, err error) {
	*buffer, err = r.more((*buffer)[:0], chunk)
	if err != nil || r.correct.IsZero() {
		return *buffer, err
	}
	*buffer = r.correct.ApplyAll((*buffer)[:0], *buffer) // each takes the place of its own
	return *buffer, nil
}
