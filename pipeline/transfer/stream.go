package transfer

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// stream sends chunks over one connection, which it makes anew where it breaks.
// The lock of the transmission is its too, but for what only run uses.
type stream struct {
	t *transmission

	conn     *zmtp.Conn // nil: none
	flight   []*flying  // in the order in which they are sent
	number   uint64     // of the newest chunk that was sent over conn
	credit   uint64     // the newest that came over conn
	credited time.Time  // when that was, or when something was sent after nothing flew

	buf    []byte // of run
	packer packer
	head   [headSize]byte
}

// flying is a chunk that is being read or sent, or for which no credit has come.
type flying struct {
	o      *outgoing
	part   Range
	bytes  int64  // that travel
	number uint64 // in its connection; 0: it is not sent yet
}

// run sends chunks while there are any, until ctx ends.
func (st *stream) run(ctx context.Context) {
	defer st.hangUp()
	for st.t.awaitWork(ctx) {
		conn, err := st.connect(ctx)
		if err != nil {
			select {
			case <-time.After(redialPause):
			case <-ctx.Done():
			}
			continue
		}
		if c := st.take(conn); c != nil {
			st.send(ctx, conn, c)
		}
	}
}

// awaitWork waits until chunks are to be sent, and reports false when ctx has ended.
func (t *transmission) awaitWork(ctx context.Context) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ctx.Err() == nil {
		for _, o := range t.open {
			if len(o.todo) > 0 {
				return true
			}
		}
		t.changed.Wait()
	}
	return false
}

// connect returns the connection, and makes it where there is none.
func (st *stream) connect(ctx context.Context) (*zmtp.Conn, error) {
	t := st.t
	t.mu.Lock()
	conn := st.conn
	t.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	conn, err := zmtp.DialSecure(ctx, "tcp", t.Addr, zmq4.Pair, t.Security)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.refusal = err
		return nil, err
	}
	st.conn, st.number, st.credit, st.credited = conn, 0, 0, time.Now()
	release := context.AfterFunc(ctx, func() { conn.Close() }) // ends a Send
	t.running.Go(func() {
		defer release()
		if err := st.readCredits(conn); ctx.Err() == nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			st.lose(conn, err)
		}
	})
	return conn, nil
}

// take takes the next chunk of the oldest file that has any to send.
func (st *stream) take(conn *zmtp.Conn) *flying {
	t := st.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if st.conn != conn {
		return nil
	}
	for _, o := range t.open {
		if len(o.todo) == 0 {
			continue
		}
		if err := o.openSource(); err != nil {
			t.fail(o, err)
			continue
		}
		next := &o.todo[0]
		c := &flying{o: o, part: Range{next.Offset, min(int64(t.chunk), next.Length)}}
		next.Offset += c.part.Length
		if next.Length -= c.part.Length; next.Length == 0 {
			o.todo = o.todo[1:]
		}
		o.flying++
		st.flight = append(st.flight, c)
		return c
	}
	return nil
}

// fail says that a file cannot be read. The caller holds t.mu.
func (t *transmission) fail(o *outgoing, err error) {
	o.failed, o.todo = err, nil
	t.nudge()
}

// send reads and sends a chunk. Only the file can make it fail: a broken
// connection leaves the chunk to do.
func (st *stream) send(ctx context.Context, conn *zmtp.Conn, c *flying) {
	t := st.t
	if int64(cap(st.buf)) < c.part.Length {
		st.buf = make([]byte, c.part.Length)
	}
	b := st.buf[:c.part.Length]
	if n, err := c.o.source.ReadAt(b, c.part.Offset); n < len(b) {
		st.drop(conn, c, fmt.Errorf("read %d bytes at %d: %w", len(b), c.part.Offset, err))
		return
	}
	h := head{token: t.Token, file: c.o.file.ID, offset: uint64(c.part.Offset), length: uint32(len(b)), sum: crc32.Checksum(b, tag.Castagnoli)}
	wire, packed := st.prepare(c, b)
	h.packed, c.bytes = packed, int64(len(wire))
	if !st.awaitCredit(ctx, conn, c) {
		return
	}
	h.number = c.number
	h.encode(st.head[:])
	if err := conn.Send(sendTimeout, st.head[:], wire); err != nil && ctx.Err() == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		st.lose(conn, err)
	}
}

// drop takes a chunk that cannot be read out of the flight.
func (st *stream) drop(conn *zmtp.Conn, c *flying, why error) {
	st.t.mu.Lock()
	defer st.t.mu.Unlock()
	if st.conn != conn {
		return // it was lost with its connection, and its file perhaps closed
	}
	st.flight = slices.DeleteFunc(st.flight, func(o *flying) bool { return o == c })
	st.t.fail(c.o, why)
	st.land(c)
}

// awaitCredit waits until a chunk may be sent, and reports false when its
// connection was lost meanwhile. From then on the chunk counts as sent.
func (st *stream) awaitCredit(ctx context.Context, conn *zmtp.Conn, c *flying) bool {
	t := st.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for st.conn == conn && ctx.Err() == nil && len(st.flight) > t.Window {
		t.changed.Wait()
	}
	if st.conn != conn || ctx.Err() != nil {
		return false
	}
	st.number++
	c.number = st.number
	if len(st.flight) == 1 {
		st.credited = time.Now()
	}
	all := span{c.part.Offset, c.part.Offset + c.part.Length}
	t.bytes += c.part.Length
	t.meter.sent.Bytes += c.part.Length
	if c.bytes < c.part.Length {
		t.meter.sent.Packed += c.part.Length
		t.meter.sent.PackedTo += c.bytes
	}
	t.again += c.part.Length - c.o.sent.without(all).bytes()
	c.o.sent, _ = c.o.sent.add(all)
	c.o.tried = true
	return true
}

// readCredits reads the credits of a connection until it ends.
func (st *stream) readCredits(conn *zmtp.Conn) error {
	var b [creditSize]byte
	for {
		frame, more, err := conn.ReadFrame(b[:])
		if err != nil {
			return err
		}
		number, err := decodeCredit(frame)
		if err != nil {
			return err
		}
		if more || !st.applyCredit(conn, number) {
			return fmt.Errorf("credit for chunk %d, which is not on its way", number)
		}
	}
}

// applyCredit takes the chunks up to number as dealt with. It reports false when
// they are not on their way.
func (st *stream) applyCredit(conn *zmtp.Conn, number uint64) bool {
	t := st.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if st.conn != conn || number <= st.credit {
		return false
	}
	carried := int64(0)
	for st.credit < number {
		if len(st.flight) == 0 || st.flight[0].number == 0 {
			return false
		}
		st.credit = st.flight[0].number
		carried += st.flight[0].bytes
		st.land(st.flight[0])
		st.flight = st.flight[1:]
	}
	now := time.Now()
	t.meter.noteCarried(carried, now.Sub(st.credited))
	if now.Sub(st.credited) < quickCredit {
		t.chunk = min(2*t.chunk, t.Chunk)
	}
	st.credited, t.moved = now, now
	t.changed.Broadcast()
	return true
}

// land says that a chunk flies no more. The caller holds t.mu.
func (st *stream) land(c *flying) {
	if c.o.flying--; c.o.flying == 0 && len(c.o.todo) == 0 {
		st.t.nudge()
	}
}

// lose gives conn up where it is the connection. What was to be sent is asked
// about anew: the Receiver may be another process now. Where nothing has come
// through, a chunk may be too long for a slow cable, and the next ones are
// shorter. The caller holds t.mu.
func (st *stream) lose(conn *zmtp.Conn, why error) {
	conn.Close()
	if st.conn != conn {
		return
	}
	t := st.t
	if len(st.flight) > 0 && (st.credit == 0 || time.Since(st.credited) > stillness) {
		t.chunk = max(t.chunk/2, min(t.chunk, leastChunk))
	}
	st.conn, t.refusal = nil, why
	for _, c := range st.flight {
		st.land(c)
	}
	st.flight = nil
	for _, o := range t.open {
		o.todo, o.due, o.poll = nil, time.Time{}, firstPoll
	}
	t.Log.Warn("file connection lost; what is missing is sent again", "master", t.Addr, "error", why)
	t.changed.Broadcast()
	t.nudge()
}

// hangUp ends the connection without a word: all is sent, or nobody wants it any more.
func (st *stream) hangUp() {
	st.t.mu.Lock()
	defer st.t.mu.Unlock()
	if conn := st.conn; conn != nil {
		st.conn = nil
		conn.Close()
	}
}
