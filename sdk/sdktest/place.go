package sdktest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
)

// ring is memory of the core, in which a sink may read longer blocks where they lie.
type ring struct {
	listener *net.UnixListener
	file     *os.File
	memory   []byte
	used     int // bytes that blocks lie in: none is used again

	mu    sync.Mutex
	conn  *net.UnixConn // nil: the sink has not asked for the memory
	named uint64
	lie   error // what it gave back and did not have
}

const (
	longBlocks = 40                     // in the recording of the check
	longTags   = blockio.LeastNamed / 8 // of each: the shortest that is named
)

// offerRing lets the sink ask for memory in which the longer blocks of its recording lie.
func (k *sink) offerRing() (err error) {
	r := &ring{}
	if r.file, r.memory, err = blockio.SealedMemory(longBlocks * blockio.LeastNamed); err != nil {
		return err
	}
	k.atEnd = append(k.atEnd, func() { blockio.FreeMemory(r.file, r.memory) })
	if r.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(k.process.dir, "ring"), Net: "unix"}); err != nil {
		return err
	}
	served := make(chan struct{})
	k.atEnd = append([]func(){func() { r.hangUp(); <-served }}, k.atEnd...)
	k.ring = r
	go func() { defer close(served); r.serve() }()
	return nil
}

// serve hands the memory to the one who asks, and hears what is given back.
func (r *ring) serve() {
	conn, err := r.listener.AcceptUnix()
	if err != nil {
		return
	}
	r.mu.Lock()
	r.conn = conn
	r.mu.Unlock()
	var word [8]byte
	back := uint64(0)
	for err = blockio.SendMemory(conn, r.file); err == nil; {
		if _, err = io.ReadFull(conn, word[:]); err != nil {
			return
		}
		n := binary.LittleEndian.Uint64(word[:])
		r.mu.Lock()
		if n <= back || n > r.named {
			r.lie = fmt.Errorf("it gave %d blocks of the core's memory back, where it was lent %d and had given back %d", n, r.named, back)
		}
		r.mu.Unlock()
		back = n
	}
}

func (r *ring) hangUp() {
	r.listener.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != nil {
		r.conn.Close()
	}
}

// asked says whether the sink has the memory.
func (r *ring) asked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn != nil
}

func (r *ring) lied() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lie
}

// place puts a payload into the memory, if the sink has it, and returns what names it.
func (r *ring) place(payload []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil || len(payload) < blockio.LeastNamed || r.used+len(payload) > len(r.memory) {
		return payload
	}
	copy(r.memory[r.used:], payload)
	named := binary.LittleEndian.AppendUint64(nil, uint64(r.used))
	r.used += len(payload)
	r.named++
	return named
}

// fillLong sends blocks that are long enough to be named.
func (k *sink) fillLong() error {
	const apart, second = 30_000_000, uint64(1e12) // ps: eight blocks fill a second
	tags := make([]uint64, longTags)
	for n := range uint64(longBlocks) {
		for i := range tags {
			tags[i] = n/8*second + (n%8*longTags+uint64(i))*apart
		}
		until := tags[longTags-1]
		if err := errors.Join(k.send(busy, until, 0, tags...), k.send(quiet, until, 0)); err != nil {
			return err
		}
	}
	return nil
}

// inPlace: a sink that reads the tags in memory of the core only reads them there, and keeps
// each.
func (k *sink) inPlace(ctx context.Context) (string, error) {
	if err := k.offerRing(); err != nil {
		return "", openError{err.Error()}
	}
	note, err := k.record(ctx, time.Second, (*sink).fillLong)
	switch {
	case err != nil && k.ring.asked() && k.faulted(ctx):
		return "", fmt.Errorf("it says InPlace(), so tags lie in memory of the core, and it died of a fault of memory: it must only read them there; copy them first, or do not say it: %w", err)
	case err != nil || k.ring.lied() != nil:
		return "", errors.Join(err, k.ring.lied())
	case k.ring.asked():
		return note + ", read where they lay", nil
	}
	return note + "; it does not read in place", nil
}

// payload is the second frame of a block.
func (k *sink) payload(tags []uint64) []byte {
	if payload := tag.AsBytes(tags); k.ring == nil {
		return payload
	} else {
		return k.ring.place(payload)
	}
}
