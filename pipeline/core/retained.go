package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
)

// DefaultRetained bounds what is kept for one sink: with more that it has not
// acknowledged, another process cannot go on with its recording.
const DefaultRetained = 64 << 20

// blockCost is what a block takes beside its tags.
const blockCost = 256

// retained is what a sink was sent and has not acknowledged. It lets another
// process go on where the one before has died: each stream is sent again from the
// time that was acknowledged, numbered from 0.
type retained struct {
	most    int             // bytes
	blocks  []retainedBlock // the oldest first
	memory  []retainedBlock // that blocks are part of
	bytes   int
	spare   [][]byte // buffers that are free
	acked   map[uint16]uint64
	dropped map[uint16]uint64 // ps: behind the last tag that is kept no more
	next    map[uint16]uint64 // number of the next block that the process is sent
	anew    bool              // the process is not the first: blocks have other numbers
	up      chan struct{}     // of a sink that is away: closed when another process has all
	header  [tag.HeaderSize]byte
}

// retainedBlock is a block with a copy of its tags, or with its slot of the ring.
type retainedBlock struct {
	head    tag.Header
	payload []byte
	slot    *slot // nil: payload is a copy
}

func newRetained(most int) *retained {
	return &retained{most: most, acked: map[uint16]uint64{}, dropped: map[uint16]uint64{}, next: map[uint16]uint64{}}
}

// Retain keeps what a sink is sent until it is acknowledged, so that another
// process can take the place of one that dies. It is called before Run. ring is the path of
// the socket where its processes may get the memory that blocks lie in, see [blockio.OpenRing].
func (c *Core) Retain(name string) (ring string, err error) {
	o := c.outlet(name)
	if o == nil {
		return "", fmt.Errorf("keep blocks for sink %s: there is none", name)
	}
	if o.lending, err = newLending(filepath.Join(c.dir, "ring-"+name)); err != nil {
		return "", err
	}
	o.retained = newRetained(c.Retained)
	return o.lending.path, nil
}

// Acknowledge says that a sink has durably what it was sent of a stream before a
// time in ps.
func (c *Core) Acknowledge(name string, id uint16, before uint64) {
	o := c.outlet(name)
	if o == nil || o.retained == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.retained.acked[id] = max(o.retained.acked[id], before)
}

// GiveUp ends the blocks of a sink, because nobody goes on with its recording.
func (c *Core) GiveUp(name string, because error) {
	if o := c.outlet(name); o != nil {
		o.fail(because)
	}
}

func (c *Core) outlet(name string) *outlet {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.outlets, func(o *outlet) bool { return o.name == name })
	if i < 0 {
		return nil
	}
	return c.outlets[i]
}

// away notes that the process of a sink is gone, and that another may come.
func (o *outlet) away() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lending.retire()
	if o.conn != nil {
		o.conn.Close()
		o.conn = nil
	}
	if o.retained.up == nil && o.err == nil {
		o.retained.up = make(chan struct{})
	}
}

// blame gives a sink up that has gone wrong while it goes on, and hangs up.
func (o *outlet) blame(err error) {
	_ = o.fail(err)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn != nil {
		o.conn.Close()
	}
}

// fail gives a sink up, and wakes who waits for it.
func (o *outlet) fail(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.setFailure(err)
	if o.lending != nil {
		o.lending.retire()
	}
	if r := o.retained; r != nil && r.up != nil {
		close(r.up)
		r.up = nil
	}
	return o.err
}

// sendRetained keeps a block and sends it, or leaves it for the process to come.
func (o *outlet) sendRetained(ctx context.Context, patience time.Duration, header, payload []byte, slot *slot) error {
	head, err := tag.DecodeHeader(header)
	if err != nil {
		return o.fail(err)
	}
	o.order.Lock()
	for {
		o.mu.Lock()
		up, failed := o.retained.up, o.err
		o.mu.Unlock()
		if failed != nil {
			o.order.Unlock()
			return nil
		}
		if up == nil || o.retained.bytes+len(payload)+blockCost <= o.retained.most {
			break
		}
		o.order.Unlock() // the driver waits for the process to come
		select {
		case <-up:
		case <-ctx.Done():
			return nil
		case <-time.After(patience):
			return o.fail(fmt.Errorf("it died, and no other process has gone on within %v", patience))
		}
		o.order.Lock()
	}
	defer o.order.Unlock()
	b := retainedBlock{head, payload, slot}
	o.keep(b)
	return o.sendNow(ctx, patience, header, b)
}

// sendNow sends a block, or only names it where it lies in a ring that the sink has, unless
// the sink is away; order is held.
func (o *outlet) sendNow(ctx context.Context, patience time.Duration, header []byte, b retainedBlock) error {
	o.mu.Lock()
	isAway := o.retained.up != nil
	o.mu.Unlock()
	if isAway {
		return nil
	}
	conn, err := o.connection(ctx, patience)
	if conn == nil {
		return err
	}
	r, head, payload := o.retained, b.head, b.payload
	if r.anew {
		head.Seq = r.next[head.Stream]
		encode(r.header[:], head, payload)
		header = r.header[:]
	}
	r.next[head.Stream]++
	if b.slot != nil && len(payload) >= blockio.LeastNamed {
		named, err := o.lending.lend(ctx, patience, b.slot, len(payload))
		if err != nil {
			o.blame(err)
			return err
		}
		if named {
			payload = o.lending.name(payload)
		}
	}
	err = conn.Send(patience, header, payload)
	switch {
	case err == nil || ctx.Err() != nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return o.fail(fmt.Errorf("it took no block within %v: %w", patience, os.ErrDeadlineExceeded))
	}
	o.away() // who started it will say whether another comes
	return nil
}

// encode writes the header of a block whose tags lie in payload.
func encode(dst []byte, h tag.Header, payload []byte) {
	b := h.Block(payload, nil)
	b.EncodeHeader(dst)
}

// keep keeps a block in its slot or copies it, and lets go of what is acknowledged or too
// much; order is held.
func (o *outlet) keep(block retainedBlock) {
	r, payload := o.retained, block.payload
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(r.blocks) > 0 {
		b := &r.blocks[0]
		acked := b.head.Kind != tag.End && max(b.head.Last, b.head.Until) < r.acked[b.head.Stream]
		if !acked && r.bytes+len(payload)+blockCost <= r.most {
			break
		}
		if !acked {
			r.dropped[b.head.Stream] = max(r.dropped[b.head.Stream], b.head.Last+1, b.head.Until)
		}
		r.bytes -= len(b.payload) + blockCost
		if b.slot != nil {
			o.lending.ring.release(b.slot)
		} else {
			r.spare = append(r.spare, b.payload)
		}
		r.blocks[0] = retainedBlock{}
		r.blocks = r.blocks[1:]
	}
	r.bytes += len(payload) + blockCost
	if block.slot != nil {
		o.lending.ring.hold(block.slot)
		r.push(block)
		return
	}
	var buffer []byte
	if n := len(r.spare); n > 0 && cap(r.spare[n-1]) >= len(payload) {
		buffer = r.spare[n-1][:len(payload)]
	} else {
		buffer = tag.AsBytes(make([]uint64, (len(payload)+tag.Size-1)/tag.Size))[:len(payload)]
	}
	r.spare = r.spare[:max(0, len(r.spare)-1)]
	copy(buffer, payload)
	r.push(retainedBlock{head: block.head, payload: buffer})
}

// push adds a block. Where the memory is full behind the newest and half of it free before
// the oldest, the blocks move: in the long run nothing is allocated.
func (r *retained) push(b retainedBlock) {
	if len(r.blocks) == cap(r.blocks) && len(r.blocks) <= len(r.memory)/2 {
		n := copy(r.memory, r.blocks)
		clear(r.memory[n:])
		r.blocks = r.memory[:n]
	}
	grows := len(r.blocks) == cap(r.blocks)
	r.blocks = append(r.blocks, b)
	if grows {
		r.memory = r.blocks[:cap(r.blocks)]
	}
}
