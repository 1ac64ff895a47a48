package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const (
	tagBytes = 8

	// pieceTags is how many tags are held at once of a message: 32 MiB, which
	// is a record of 200 ms at twice the rate the device can send. Messages
	// can be 25 times as large and are then passed on in pieces.
	pieceTags = 4 << 20
	readSize  = 1 << 20 // bytes asked of the connection at once

	// spareBuffers are kept for the next messages.
	spareBuffers = 4
)

// piece is a part of a message, nearly always all of it.
type piece struct {
	at          time.Time // when the message began to arrive
	size        uint64    // tags in the whole message
	first, last bool      // piece of its message
	buffer      *buffer
	tags        []uint64 // within buffer
}

// buffer is room for the tags of a piece.
type buffer struct {
	bytes   []byte
	scratch []uint64 // for machines that need a copy
}

// stream takes the messages of one channel from the service.
type stream struct {
	conn    *zmtp.Conn
	waiting *atomic.Bool // for the next message, with none before it in hand
	pieces  chan piece
	spare   chan *buffer
	err     error // why the stream ended, once pieces is closed; nil: by the service's end mark
}

func newStream(conn *zmtp.Conn, waiting *atomic.Bool) *stream {
	return &stream{conn: conn, waiting: waiting, pieces: make(chan piece), spare: make(chan *buffer, spareBuffers)}
}

// errClosed is a stream that the service closed without an end mark.
var errClosed = errors.New("the DataLinkTarget service closed the stream")

// read reads messages until the service says that there are no more, the
// connection ends, or ctx does. Closing the connection wakes it.
func (s *stream) read(ctx context.Context) {
	defer close(s.pieces)
	for {
		s.waiting.Store(true)
		size, more, err := s.conn.NextFrame()
		s.waiting.Store(false)
		switch {
		case errors.Is(err, io.EOF):
			s.err = errClosed
		case err != nil:
			s.err = err
		case more || size%tagBytes != 0:
			s.err = fmt.Errorf("read stream: a message of %d bytes is not one of tags", size)
		case size == 0:
			return
		default:
			s.err = s.readMessage(ctx, time.Now(), size/tagBytes)
		}
		if s.err != nil {
			return
		}
	}
}

// readMessage passes one message on, in pieces when it is large.
func (s *stream) readMessage(ctx context.Context, at time.Time, size uint64) error {
	for left := size; left > 0; {
		n := min(left, pieceTags)
		p := piece{at: at, size: size, first: left == size, last: left == n}
		if err := s.fill(&p, int(n)); err != nil {
			return err
		}
		left -= n
		select {
		case s.pieces <- p:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// fill reads n tags into a buffer.
func (s *stream) fill(p *piece, n int) error {
	select {
	case p.buffer = <-s.spare:
	default:
		p.buffer = &buffer{}
	}
	if b := p.buffer; cap(b.bytes) < n*tagBytes {
		b.bytes = tag.AsBytes(make([]uint64, n)) // aligned, so that it can be looked at as tags
	}
	bytes := p.buffer.bytes[:n*tagBytes]
	for done := 0; done < len(bytes); {
		k, err := s.conn.Read(bytes[done:min(done+readSize, len(bytes))])
		if err != nil {
			return err
		}
		done += k
	}
	p.tags = tag.AsTags(bytes, p.buffer.scratch)
	p.buffer.scratch = p.tags
	return nil
}

// recycle takes a buffer back.
func (s *stream) recycle(b *buffer) {
	select {
	case s.spare <- b:
	default:
	}
}
