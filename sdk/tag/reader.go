package tag

import "io"

// Reader yields the tags of one channel in time order.
type Reader interface {
	// Next fills buf from its start and returns how many tags it wrote: at
	// least one, or an error, io.EOF at the end. buf must not be empty.
	Next(buf []uint64) (n int, err error)
}

// Holder is a Reader of tags that are all in memory, which need no copy.
type Holder interface {
	Reader
	// Rest takes all that Next would give. They are not to be changed.
	Rest() []uint64
}

// NewReader returns a Reader of tags, which must be in time order, and stay as they
// are. It is a [Holder].
func NewReader(tags []uint64) Reader { return &sliceReader{tags} }

type sliceReader struct{ rest []uint64 }

func (r *sliceReader) Next(buf []uint64) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(buf, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *sliceReader) Rest() []uint64 {
	rest := r.rest
	r.rest = nil
	return rest
}
