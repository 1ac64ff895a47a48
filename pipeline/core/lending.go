package core

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"tsrun/sdk/blockio"
)

// handOver bounds how long a sink may take to be given the ring.
const handOver = 5 * time.Second

// ErrLied is what a sink has done that gave blocks back which it did not have. Nothing
// that it says of its blocks is believed after that.
var ErrLied = errors.New("it broke the protocol of plugins")

// lending is the way by which a sink gets a ring, and gives blocks back. It connects to a
// socket of its own, is handed the ring's descriptor, and says now and then with how many
// blocks it is done, of those that it was named since. One process at a time is lent to. What
// it has not given back stays as it is until that process is gone.
type lending struct {
	listener *net.UnixListener
	path     string
	ring     *ring // nil: there is none, and who connects is sent away; set before serve

	word [blockio.PlaceSize]byte // of the message being sent

	mu       sync.Mutex
	conn     *net.UnixConn // nil: nobody is there
	retired  bool          // the sink is named no more blocks
	closed   bool
	lent     [blockio.MostNamed]loan // a circle
	named    uint64
	returned uint64
	bytes    int // of what is lent
	patience time.Duration
	until    time.Time     // when patience is over
	wake     chan struct{} // has a token when any of this has changed
	timer    *time.Timer
}

type loan struct {
	slot *slot
	size int
}

func newLending(path string) (*lending, error) {
	_ = os.Remove(path) // of a process that was killed; the directory is private
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for who reads blocks in place: %w", err)
	}
	timer := time.NewTimer(0)
	timer.Stop()
	return &lending{listener: l, path: path, wake: make(chan struct{}, 1), timer: timer}, nil
}

// serve lends to one process after the other, until the lending is closed. blame is told
// of a lie.
func (l *lending) serve(ctx context.Context, blame func(error)) {
	for {
		conn, err := l.listener.AcceptUnix()
		if err != nil {
			return
		}
		l.serveOne(ctx, conn, blame)
	}
}

func (l *lending) serveOne(ctx context.Context, conn *net.UnixConn, blame func(error)) {
	defer conn.Close()
	if l.ring == nil || !l.begin(conn) { // before it has the ring: it connects to the endpoint at once
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(handOver))
	var word [8]byte
	err := blockio.SendMemory(conn, l.ring.file)
	for err == nil {
		if _, err = io.ReadFull(conn, word[:]); err != nil {
			break
		}
		if err = l.giveBack(binary.LittleEndian.Uint64(word[:])); err != nil {
			l.retire()
			blame(err)
			_, _ = io.Copy(io.Discard, conn) // it may still read what it has: until it is gone
		}
	}
	l.end(ctx)
}

// begin lends to a process from now on.
func (l *lending) begin(conn *net.UnixConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.retired = conn, false
	l.named, l.returned, l.bytes = 0, 0, 0
	return !l.closed
}

// end takes back what a process has that is gone. When the core is being closed it may
// still be there, and nothing needs room any more.
func (l *lending) end(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = nil
	if ctx.Err() == nil {
		l.take(l.named)
	}
	l.poke()
}

// giveBack takes back blocks until so many are back.
func (l *lending) giveBack(blocks uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if blocks <= l.returned || blocks > l.named {
		return fmt.Errorf("%w: it gave %d blocks back, where it was lent %d and had given back %d", ErrLied, blocks, l.named, l.returned)
	}
	l.take(blocks)
	l.until = time.Now().Add(l.patience)
	l.poke()
	return nil
}

// take frees what is lent, until so many blocks are back; mu is held.
func (l *lending) take(blocks uint64) {
	for ; l.returned < blocks; l.returned++ {
		back := &l.lent[l.returned%blockio.MostNamed]
		l.bytes -= back.size
		l.ring.release(back.slot)
		*back = loan{}
	}
}

// lend notes that a block in a slot is named to the sink, once that has given enough
// back. named: false where it cannot be named and has to go through the socket.
func (l *lending) lend(ctx context.Context, patience time.Duration, s *slot, size int) (named bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.patience, l.until = patience, time.Now().Add(patience)
	for l.lends() && (l.bytes+size > mostLent || l.named-l.returned == blockio.MostNamed) {
		left := time.Until(l.until)
		switch {
		case ctx.Err() != nil:
			return false, nil
		case left <= 0:
			return false, fmt.Errorf("it gave no block back within %v: %w", patience, os.ErrDeadlineExceeded)
		}
		l.mu.Unlock()
		l.timer.Reset(left)
		select {
		case <-l.wake:
		case <-l.timer.C:
		case <-ctx.Done():
		}
		l.mu.Lock()
	}
	if !l.lends() {
		return false, nil
	}
	l.ring.hold(s)
	l.lent[l.named%blockio.MostNamed] = loan{s, size}
	l.named++
	l.bytes += size
	return true, nil
}

// lends says whether blocks can be named; mu is held.
func (l *lending) lends() bool { return l.conn != nil && !l.retired }

// name is what a sink is sent in the place of tags in the ring; it is valid until the next call.
func (l *lending) name(payload []byte) []byte {
	binary.LittleEndian.PutUint64(l.word[:], uint64(l.ring.place(payload)))
	return l.word[:]
}

// progressed gives a sink its whole patience again, because it has done something.
func (l *lending) progressed(patience time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(patience)
	l.poke()
}

// retire names no more blocks to the process that is there, and wakes who waits for it.
func (l *lending) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
	l.poke()
}

func (l *lending) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lending) close() {
	l.listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		l.conn.Close()
	}
	l.poke()
}
