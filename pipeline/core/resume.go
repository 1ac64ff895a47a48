package core

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// resumeWithin is how long another process of a sink may take to connect.
const resumeWithin = 20 * time.Second

// Resume lets another process go on for a sink that has died: it connects to the
// endpoint within the core's patience, and is sent what the one before has not
// acknowledged. The error says why that cannot be; the sink gets no more blocks.
func (c *Core) Resume(name string) (endpoint string, err error) {
	o := c.outlet(name)
	if o == nil || o.retained == nil {
		return "", fmt.Errorf("resume sink %s: nothing was kept for it", name)
	}
	c.mu.Lock()
	ctx := c.life
	c.mu.Unlock()
	over := fmt.Errorf("resume sink %s: the recording is over", name)
	if ctx == nil || ctx.Err() != nil {
		return "", o.fail(over)
	}
	o.away()
	o.listener.Close() // the one that died need not be waited for
	o.order.Lock()
	defer o.order.Unlock()
	if err := o.failure(); err != nil {
		return "", err
	}
	if err := o.whole(); err != nil {
		return "", o.fail(fmt.Errorf("resume sink %s: %w", name, err))
	}
	o.resumed++
	l, endpoint, err := c.listen(fmt.Sprintf("out-%s-%d", name, o.resumed), zmq4.Push)
	if err != nil {
		return "", o.fail(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil { // Run waits only for those that began before it ended
		l.Close()
		return "", o.fail(over)
	}
	c.resuming.Go(func() { o.resend(ctx, l, c.Patience) })
	return endpoint, nil
}

// whole says why what is kept is not all that was not acknowledged; order is held.
func (o *outlet) whole() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, dropped := range o.retained.dropped {
		if dropped > o.retained.acked[id] {
			return fmt.Errorf("it had not acknowledged more than %d KiB, and no more is kept in memory", o.retained.most>>10)
		}
	}
	return nil
}

// resend waits for the process to come and sends it what is kept. Blocks that come
// meanwhile wait.
func (o *outlet) resend(ctx context.Context, l *zmtp.Listener, patience time.Duration) {
	within, cancel := context.WithTimeout(ctx, resumeWithin)
	conn, err := l.Accept(within)
	cancel()
	l.Close()
	if err != nil {
		if ctx.Err() == nil {
			o.fail(fmt.Errorf("no other process has connected within %v: %w", resumeWithin, err))
		}
		return
	}
	o.order.Lock()
	defer o.order.Unlock()
	o.mu.Lock()
	if o.closed || o.err != nil {
		o.mu.Unlock()
		conn.Close()
		return
	}
	o.conn = conn
	o.retained.anew, o.retained.next = true, map[uint16]uint64{}
	blocks := slices.Clone(o.retained.blocks)
	close(o.retained.up)
	o.retained.up = nil
	o.mu.Unlock()
	for _, b := range blocks {
		rest, left := o.behind(b)
		if left && o.sendNow(ctx, patience, nil, rest) != nil {
			return
		}
	}
}

// behind cuts off a block what was acknowledged; order is held. left: something is.
func (o *outlet) behind(b retainedBlock) (rest retainedBlock, left bool) {
	o.mu.Lock()
	acked := o.retained.acked[b.head.Stream]
	o.mu.Unlock()
	head := &b.head
	if head.Count == 0 || head.First >= acked {
		return b, head.Count > 0 || head.Kind == tag.End || head.Until >= acked
	}
	n, _ := slices.BinarySearch(tag.AsTags(b.payload, nil), acked)
	if n == head.Count {
		return b, false
	}
	b.payload = b.payload[n*tag.Size:]
	head.Count, head.Lost = head.Count-n, 0 // what was lost stands in the segment before
	head.First = binary.LittleEndian.Uint64(b.payload)
	return b, true
}

// settle waits, when all blocks have come, until a sink that is away has got them.
func (o *outlet) settle(ctx context.Context, patience time.Duration) {
	if o.retained == nil {
		return
	}
	o.mu.Lock()
	up := o.retained.up
	o.mu.Unlock()
	if up == nil {
		return
	}
	select {
	case <-up:
		o.order.Lock() // all is sent when it is free
		defer o.order.Unlock()
	case <-ctx.Done():
	case <-time.After(resumeWithin + patience):
		o.fail(errors.New("it died, and no other process has gone on"))
	}
}
