package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// inlet is where one driver's blocks come in.
type inlet struct {
	name     string
	listener *zmtp.Listener
	streams  []uint16

	life context.Context // ends when the driver is abandoned
	end  context.CancelFunc

	header [tag.HeaderSize]byte // of a block whose times were moved
	ring   *ring                // that longer blocks are received into; nil: none is
	slot   *slot                // of the block in hand; nil: it is not in the ring

	mu     sync.Mutex
	conn   *zmtp.Conn
	closed bool
	drain  time.Duration // for which it may still wait for what a driver that is gone has left
	rest   int           // bytes of that which are still taken
}

// serveInlet forwards what one driver brings, and ends its streams however it ends.
func (c *Core) serveInlet(ctx context.Context, in *inlet) error {
	err := c.receiveBlocks(ctx, in)
	if c.Refused != nil && err != nil && ctx.Err() == nil && !errors.Is(err, errGone) && !errors.Is(err, errLeft) {
		c.Refused(&Fault{Name: in.name, Err: err})
	}
	in.close() // a driver that still sends gets an error
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		c.log.Error("driver's streams end early", "inlet", in.name, "error", err)
	}
	for _, id := range in.streams {
		s := c.streams[id]
		if !s.seq.Ended() {
			c.endEarly(ctx, s, err)
		}
	}
	if err != nil {
		return &Fault{Name: in.name, Err: err}
	}
	return nil
}

// receiveBlocks forwards blocks until every stream of the inlet has had its End.
func (c *Core) receiveBlocks(ctx context.Context, in *inlet) error {
	conn, err := in.accept(ctx)
	if err != nil {
		return err
	}
	blocks := blockio.NewReader(conn)
	if in.ring != nil {
		blocks.Place = in.place
		defer in.letGo()
	}
	for open := len(in.streams); open > 0; {
		m, err := in.next(blocks)
		switch {
		case err == io.EOF:
			return fmt.Errorf("%w before %d of its %d streams had ended", errLeft, open, len(in.streams))
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("%w in the middle of a block", errLeft)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errGone
		case err != nil:
			return err
		}
		s := c.streams[m.Head.Stream]
		if s == nil || s.in != in {
			return fmt.Errorf("refuse block %d of stream %d: this driver brings streams %v", m.Head.Seq, m.Head.Stream, in.streams)
		}
		bad := m.Check()
		if bad != nil && !m.CutAtDisorder() {
			return bad
		}
		if c.Origin > 0 {
			if err := in.move(m, c.Origin); err != nil {
				return err
			}
		}
		if err := c.countBlock(s, m.Head); err != nil {
			return err
		}
		if c.Tap != nil {
			c.Tap(m.Head, m.Payload)
		}
		c.forward(ctx, s, m.Header, m.Payload, in.slot)
		in.letGo()
		if bad != nil {
			return bad
		}
		if m.Head.Kind == tag.End {
			open--
		}
	}
	return nil
}

// next is the next block. What a driver that is gone has left lies in its socket, however long
// a sink takes for the block before: only the time in which nothing comes counts.
func (in *inlet) next(blocks *blockio.Reader) (m *blockio.Message, err error) {
	if in.life.Err() == nil {
		return blocks.Next()
	}
	in.mu.Lock()
	in.boundReads()
	in.mu.Unlock()
	began := time.Now()
	if m, err = blocks.Next(); err != nil {
		return nil, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.drain -= time.Since(began)
	if in.rest -= len(m.Payload); in.rest < 0 { // somebody sends for it
		return nil, errGone
	}
	return m, nil
}

// countBlock checks a block's place in its stream and counts it.
func (c *Core) countBlock(s *stream, h tag.Header) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.seq.Run = c.RunID
	if err := s.seq.Accept(h); err != nil {
		return err
	}
	n := &s.count
	if h.Count > 0 {
		if n.Tags == 0 {
			n.First = h.First
		}
		n.Last = h.Last
	}
	n.Blocks++
	n.Tags += uint64(h.Count)
	n.Lost += h.Lost
	n.Until = s.seq.Until()
	n.Ended = s.seq.Ended()
	return nil
}

// place is where a longer block is received; nil: in memory of the reader.
func (in *inlet) place(head tag.Header) []byte {
	if head.Size() < blockio.LeastNamed {
		return nil
	}
	if in.slot = in.ring.reserve(head.Size()); in.slot == nil {
		return nil
	}
	return in.ring.bytes(in.slot, head.Size())
}

// letGo has the block in hand no more.
func (in *inlet) letGo() {
	in.ring.release(in.slot)
	in.slot = nil
}

// forward hands one block to every outlet of its stream, unchanged; slot is where in
// the ring of the only one it lies, nil elsewhere.
func (c *Core) forward(ctx context.Context, s *stream, header, payload []byte, slot *slot) {
	for _, out := range s.out {
		if err := out.send(ctx, c.Patience, header, payload, slot); err != nil {
			c.log.Error("sink fails and gets no more blocks", "outlet", out.name, "stream", s.count.Stream, "error", err)
		}
	}
}

// endEarly makes the End that a stream's driver owes.
func (c *Core) endEarly(ctx context.Context, s *stream, because error) {
	c.mu.Lock()
	s.count.Ended, s.count.Err = true, because
	end := tag.Block{Kind: tag.End, Run: c.RunID, Stream: s.count.Stream, Seq: s.seq.Accepted(), Until: s.seq.Until()}
	c.mu.Unlock()
	var header [tag.HeaderSize]byte
	end.EncodeHeader(header[:])
	c.forward(ctx, s, header[:], nil, nil)
}

// accept waits for the driver. No other connection is accepted after it.
func (in *inlet) accept(ctx context.Context) (*zmtp.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A driver that connected before it died is still let in.
	unhook := context.AfterFunc(in.life, func() { time.AfterFunc(abandonedConnect, func() { cancel(errGone) }) })
	defer unhook()
	conn, err := in.listener.Accept(ctx)
	in.listener.Close()
	if err != nil {
		return nil, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		conn.Close()
		return nil, context.Canceled
	}
	in.conn = conn
	in.boundReads()
	return conn, nil
}

// abandon bounds the time in which the inlet reads what is left.
func (in *inlet) abandon() {
	in.end()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.boundReads()
}

// boundReads bounds the reads of an abandoned connection; mu is held.
func (in *inlet) boundReads() {
	if in.life.Err() != nil && in.conn != nil {
		_ = in.conn.SetReadDeadline(time.Now().Add(max(in.drain, 0))) // else it ends when the kernel closes it
	}
}

func (in *inlet) close() {
	in.end()
	in.listener.Close()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	if in.conn != nil {
		in.conn.Close()
	}
}
