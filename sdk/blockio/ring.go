package blockio

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"tsrun/sdk/tag"
)

const (
	// LeastNamed is the shortest payload in bytes that is named and not sent: below it
	// a copy costs less than what is said about it.
	LeastNamed = 32 << 10
	// MostNamed is how many blocks may be named that were not given back.
	MostNamed = 256
	// PlaceSize is the length in bytes of a second frame that names a place: where the
	// tags begin in the ring, little-endian. How many there are stands in the header.
	PlaceSize = 8

	// tellAfter is how many bytes are done with before that is told.
	tellAfter = 1 << 20
	// tellWithin bounds how long telling may take: the core always listens.
	tellWithin = 5 * time.Second
	// mostMemory bounds the memory that is mapped.
	mostMemory = 1 << 30
)

// Ring is memory of the distribution core that blocks lie in, mapped to be read. The core
// leaves a block there until it is given back: when the next one is asked of the reader,
// and whoever holds it has let go.
type Ring struct {
	conn   *net.UnixConn
	memory []byte

	mu     sync.Mutex
	blocks [MostNamed]use // a circle
	taken  uint64         // blocks that were named
	done   uint64         // of those, from the first on
	owed   int            // bytes of those that the core has not been told of
	word   [8]byte
}

// use is what still needs a block.
type use struct {
	size   int
	inHand bool // the reader's caller has it
	holds  int
}

// OpenRing gets the ring that is offered at the path of a socket. Without it, all that is said
// here is an error: blocks then come through the reader's connection as ever.
func OpenRing(ctx context.Context, path string) (*Ring, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("ask for the core's memory: %w", err)
	}
	r := &Ring{conn: conn.(*net.UnixConn)}
	_ = conn.SetReadDeadline(time.Now().Add(tellWithin))
	if r.memory, err = receiveMemory(r.conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("get the core's memory: %w", err)
	}
	return r, nil
}

// take returns the memory that a message names, with its block in hand.
func (r *Ring) take(place []byte, size int) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, memory := binary.LittleEndian.Uint64(place), uint64(len(r.memory))
	if at%tag.Size != 0 || at > memory || uint64(size) > memory-at {
		return nil, fmt.Errorf("its %d bytes of tags are said to lie at %d in a memory of %d", size, at, memory)
	}
	if r.taken-r.done == MostNamed {
		return nil, fmt.Errorf("%d blocks before it lie in the core's memory and were not given back", MostNamed)
	}
	r.blocks[r.taken%MostNamed] = use{size: size, inHand: true}
	r.taken++
	return r.memory[at : at+uint64(size)], nil
}

// Hold keeps the tags of the block in hand as they are until [Ring.LetGo], which is
// called once for each Hold, in their order. false: its tags do not lie in the ring.
func (r *Ring) Hold() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken == r.done || !r.newest().inHand {
		return false
	}
	r.newest().holds++
	return true
}

// LetGo ends the oldest Hold.
func (r *Ring) LetGo() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := r.done; n < r.taken; n++ {
		if u := &r.blocks[n%MostNamed]; u.holds > 0 {
			u.holds--
			break
		}
	}
	r.tell()
}

// leave has the block in hand no more.
func (r *Ring) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken > r.done {
		r.newest().inHand = false
		r.tell()
	}
}

// newest is the block that was named last; mu is held.
func (r *Ring) newest() *use { return &r.blocks[(r.taken-1)%MostNamed] }

// tell gives back what is done with, when that is worth it; mu is held. What cannot be told
// need not be: the core is gone.
func (r *Ring) tell() {
	for r.done < r.taken {
		u := &r.blocks[r.done%MostNamed]
		if u.inHand || u.holds > 0 {
			break
		}
		r.done++
		r.owed += u.size
	}
	if r.owed < tellAfter {
		return
	}
	binary.LittleEndian.PutUint64(r.word[:], r.done)
	r.owed = 0
	_ = r.conn.SetWriteDeadline(time.Now().Add(tellWithin))
	_, _ = r.conn.Write(r.word[:])
}

// Close gives everything back. Nothing of the ring is read after it.
func (r *Ring) Close() error {
	freeMemory(r.memory)
	r.memory = nil
	return r.conn.Close()
}
