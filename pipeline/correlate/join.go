package correlate

import (
	"io"
	"runtime"
	"sync"
)

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

// close ends the reading, which may be ahead of what was handed out. What was handed
// out is no longer there.
func (j *join) close() {
	j.a.close()
	j.b.close()
}

// next returns the next block of A with its tags of B, or io.EOF when both
// streams have been read and checked to their ends. The slices hold until the
// next call.
func (j *join) next() (a, b []uint64, err error) {
	if len(j.block) == 0 {
		if j.block, err = j.a.next(nil); err != nil {
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
func (j *join) gather() (ready int, err error) {
	for {
		j.held = j.held[search(len(j.held), func(i int) bool { return int64(j.held[i]-j.block[0]) >= j.lo }):]
		if j.b.over() {
			return len(j.block), nil
		}
		if n := len(j.held); n > 0 {
			ready := search(len(j.block), func(i int) bool {
				return int64(j.held[n-1]-j.block[i]) <= j.hi
			})
			if ready > 0 {
				return ready, nil
			}
		}
		if len(j.held) > maxWindow {
			return 0, &LimitError{What: "window", Value: "more than 67 million tags of B", Limit: "that", Hint: "choose a shorter range"}
		}
		if j.held, err = j.b.next(j.held); err != nil {
			return 0, err
		}
	}
}

// drain reads B to its end, so that all of it has been checked and counted.
func (j *join) drain() error {
	for !j.b.over() {
		if _, err := j.b.next(nil); err != nil {
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
	size    int        // of a chunk, in tags
	buffers [2]*buffer // one is in use while the other is filled
	turn    int        // the one that is filled next
	long    []uint64   // memory for what is kept, where it is long
	pending bool       // a chunk is being filled: the feed is not ours
	filled  chan filled
}

// buffer has room for a chunk, and before it for what is kept of those before, so
// that few tags are moved.
type buffer [front + sharedChunk]uint64

const (
	front       = chunk / 4
	sharedChunk = 2 * chunk // where several cores share the work on one: they wait for each other half as often
)

// buffers are those that nobody uses: a page of memory that is new costs more than to
// count what fits it.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

type filled struct {
	tags []uint64
	err  error
}

func newAhead(from Stream, name string, correct Correction) ahead {
	size := chunk
	if runtime.GOMAXPROCS(0) > 1 {
		size = sharedChunk
	}
	return ahead{feed: feed{from: from, name: name}, correct: correct, size: size, filled: make(chan filled, 1)}
}

// next returns the next chunk, an empty one only at the end, behind those tags of
// the chunks before it that are kept. They hold until the next call.
func (r *ahead) next(kept []uint64) ([]uint64, error) {
	if r.over() {
		return kept, nil
	}
	if !r.pending {
		r.start()
	}
	f := <-r.filled
	r.pending = false
	tags := r.join(kept, f.tags)
	if f.err == nil && !r.ended {
		r.start()
	}
	return tags, f.err
}

// join puts what is kept before the chunk that has been filled.
func (r *ahead) join(kept, tags []uint64) []uint64 {
	if n, end := len(kept), front+len(tags); n <= front {
		room := r.buffers[1-r.turn][front-n : end : end]
		copy(room, kept)
		return room
	}
	if need := len(kept) + len(tags); need > cap(kept) { // there is room where others were kept before, or nowhere
		if need+need/2 > cap(r.long) {
			r.long = make([]uint64, 0, 2*need)
		}
		kept = append(r.long[:0], kept...)
	}
	return append(kept, tags...)
}

// over says whether the last chunk was taken.
func (r *ahead) over() bool { return !r.pending && r.ended }

// close waits until nothing reads the stream any more.
func (r *ahead) close() {
	if r.pending {
		<-r.filled
		r.pending = false
	}
	for i, b := range r.buffers {
		if b != nil {
			buffers.Put(b)
			r.buffers[i] = nil
		}
	}
}

func (r *ahead) start() {
	r.pending = true
	if r.buffers[r.turn] == nil {
		r.buffers[r.turn] = buffers.Get().(*buffer)
	}
	room := r.buffers[r.turn][front:front]
	r.turn = 1 - r.turn
	go func() {
		tags, err := r.fill(room)
		r.filled <- filled{tags, err}
	}()
}

func (r *ahead) fill(room []uint64) (tags []uint64, err error) {
	tags, err = r.more(room, r.size)
	if err != nil || r.correct.IsZero() {
		return tags, err
	}
	return r.correct.ApplyAll(tags[:0], tags), nil // each takes the place of its own
}
