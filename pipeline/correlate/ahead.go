package correlate

import "io"

// slice is a stream of tags in memory, which are used where they are.
type slice struct{ rest []uint64 }

func (s *slice) Next(buf []uint64) (int, error) {
	n := copy(buf, s.rest)
	s.rest = s.rest[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// ahead reads a stream, checks it and carries it to A's clock, one chunk ahead
// of whoever takes the chunks.
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
	if s, ok := r.from.(*slice); ok {
		n := min(chunk, len(s.rest))
		tags, s.rest = s.rest[:n], s.rest[n:]
		r.ended = len(s.rest) == 0
		err = r.check(tags)
	} else {
		*buffer, err = r.more((*buffer)[:0])
		tags = *buffer
	}
	if err != nil || r.correct.IsZero() {
		return tags, err
	}
	*buffer = r.correct.ApplyAll((*buffer)[:0], tags) // each takes the place of its own
	return *buffer, nil
}
