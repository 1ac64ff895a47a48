package core

import (
	"os"
	"sync"

	"tsrun/sdk/blockio"
)

const (
	// mostLent bounds the bytes that a sink has been named and has not given back:
	// little, so that a slow sink is noticed soon and what it reads is still in the cache.
	mostLent = 8 << 20
	// ringMargin is what a ring has beyond what is kept and lent: what is being received,
	// and what is lost where it begins anew.
	ringMargin = 4 << 20
	// backStep is how much memory is asked of the system at a time: blocks that never
	// come take none.
	backStep = 2 << 20
	// slotAlign keeps tags aligned, and slots out of each other's lines of the cache.
	slotAlign = 64
)

// ring is memory of the core that blocks are received into. A block stays where it was
// received while it is kept, and while a sink of this PC reads it there. The system
// lets nobody else write it or change its length.
//
// Slots are taken one behind the other, and are free again from the oldest on. Where
// there is none, nobody waits: the block goes the way of sockets.
type ring struct {
	memory []byte
	file   *os.File

	mu          sync.Mutex
	slots       []slot // a circle; those taken are used from first on, as they lie in memory
	first, used int
	head        int // where the next slot begins
	backed      int // bytes that the system has given
	most        int // bytes that can be used
}

// slot is a part of a ring. It is free when nobody holds it.
type slot struct {
	from, to int
	holders  int
}

// newRing makes a ring for a sink of which so many bytes are kept.
func newRing(kept int) (*ring, error) {
	size := (kept + mostLent + ringMargin + backStep - 1) &^ (backStep - 1)
	file, memory, err := blockio.SealedMemory(size)
	if err != nil {
		return nil, err
	}
	return &ring{memory: memory, file: file, slots: make([]slot, size/blockio.LeastNamed), most: size}, nil
}

// reserve takes a slot, whose first holder is the caller; nil: there is no room.
func (r *ring) reserve(size int) *slot {
	r.mu.Lock()
	defer r.mu.Unlock()
	size = (size + slotAlign - 1) &^ (slotAlign - 1)
	from, end := r.head, r.most
	if r.used == 0 {
		from = 0
	} else if oldest := r.slots[r.first].from; from <= oldest {
		end = oldest
	} else if from+size > end {
		from, end = 0, oldest
	}
	if r.used == len(r.slots) || from+size > end || !r.back(from+size) {
		return nil
	}
	s := &r.slots[(r.first+r.used)%len(r.slots)]
	*s = slot{from: from, to: from + size, holders: 1}
	r.used++
	r.head = s.to
	return s
}

// back has the system give memory up to an end: a page that is missing when it is
// touched would end the process. What it does not give is not used.
func (r *ring) back(to int) bool {
	for r.backed < to {
		if err := giveMemory(r.file, r.memory, r.backed, backStep); err != nil {
			r.most = r.backed
			return false
		}
		r.backed += backStep
	}
	return true
}

// bytes is the memory of a slot.
func (r *ring) bytes(s *slot, size int) []byte { return r.memory[s.from : s.from+size] }

// place is where in the ring a part of it begins.
func (r *ring) place(part []byte) int { return cap(r.memory) - cap(part) }

func (r *ring) hold(s *slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.holders++
}

// release ends one holding of a slot; nil is none.
func (r *ring) release(s *slot) {
	if s == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.holders--
	for r.used > 0 && r.slots[r.first].holders == 0 {
		r.first = (r.first + 1) % len(r.slots)
		r.used--
	}
}

// close gives the memory back, when nobody of this process reads it any more. Sinks
// have it mapped themselves.
func (r *ring) close() {
	if r != nil {
		blockio.FreeMemory(r.file, r.memory)
	}
}
