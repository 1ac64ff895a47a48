// Package blockio receives blocks of tags from a ZeroMQ connection: what the
// distribution core does with drivers, and sinks do with the core.
package blockio

import (
	"errors"
	"fmt"
	"io"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// Message is one block as it came: the decoded header, and both frames. It is
// valid until the next call of [Reader.Next].
type Message struct {
	Head    tag.Header
	Header  []byte // first frame
	Payload []byte // second frame
}

// Check checks the tags themselves: their number, ends and order.
func (m *Message) Check() error { return m.Head.Check(m.Payload) }

// CutAtDisorder leaves of a block that [Message.Check] refuses the tags before
// the first that is out of order. It tells whether there are any to be believed.
func (m *Message) CutAtDisorder() bool {
	b, h := m.Block(), &m.Head
	n := tag.Disorder(m.Payload)
	if n == 0 || b.Tags[0] != h.First || b.Tags[len(b.Tags)-1] != h.Last {
		return false // it is not what its header says
	}
	b.Tags = b.Tags[:n]
	b.Until = min(b.Until, b.Tags[n-1])
	b.EncodeHeader(m.Header)
	h.Count, h.Last, h.Until = n, b.Tags[n-1], b.Until
	m.Payload = m.Payload[:h.Size()]
	return true
}

// Block returns the message as a block whose tags share its memory.
func (m *Message) Block() tag.Block { return m.Head.Block(m.Payload, nil) }

// Reader receives blocks. It holds the memory of one block and allocates
// nothing while it reads.
type Reader struct {
	// Place is asked where the tags of a block are received; nil: in the reader's own memory.
	// So does a Place that returns nil; else it returns as much as the header says.
	Place func(tag.Header) []byte
	// Ring is memory of the sender where the tags of a message lie that only names
	// their place; nil: there is none, and no such message.
	Ring *Ring

	conn   *zmtp.Conn
	header [tag.HeaderSize]byte
	buffer []byte // aligned, so that tags can be viewed in place
	m      Message
}

// NewReader reads from conn, which stays the caller's.
func NewReader(conn *zmtp.Conn) *Reader {
	return &Reader{conn: conn, buffer: tag.AsBytes(make([]uint64, tag.MaxBlockTags))}
}

// Next receives the next block and checks its shape and everything its header
// says. Its place in its stream is for a [tag.Sequence] to check, its tags for
// [Message.Check]. The error is io.EOF when the peer left between two blocks.
func (r *Reader) Next() (*Message, error) {
	if r.Ring != nil {
		r.Ring.leave()
	}
	header, more, err := r.conn.ReadFrame(r.header[:])
	if err != nil {
		return nil, err
	}
	if !more {
		return nil, errors.New("read block: it has one frame, want header and tags")
	}
	head, err := tag.DecodeHeader(header)
	if err != nil {
		return nil, err
	}
	payload, more, err := r.conn.ReadFrame(r.place(head))
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("read block %d of stream %d: %w", head.Seq, head.Stream, err)
	}
	if more {
		return nil, fmt.Errorf("read block %d of stream %d: it has more than two frames", head.Seq, head.Stream)
	}
	if r.Ring != nil && len(payload) == PlaceSize && head.Size() >= LeastNamed {
		if payload, err = r.Ring.take(payload, head.Size()); err != nil {
			return nil, fmt.Errorf("read block %d of stream %d: %w", head.Seq, head.Stream, err)
		}
	}
	if want := head.Size(); len(payload) != want {
		return nil, fmt.Errorf("read block %d of stream %d: %d bytes of tags, the header says %d", head.Seq, head.Stream, len(payload), want)
	}
	r.m = Message{Head: head, Header: header, Payload: payload}
	return &r.m, nil
}

// place is where the tags of a block are received.
func (r *Reader) place(head tag.Header) []byte {
	if r.Place != nil {
		if b := r.Place(head); b != nil {
			return b
		}
	}
	return r.buffer
}
