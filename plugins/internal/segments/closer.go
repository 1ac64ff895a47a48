package segments

import (
	"context"
	"fmt"
	"sync"
)

// pending bounds the segments that wait to be published; when there are more,
// writing waits for the disk.
const pending = 64

// closer publishes segments in a goroutine of its own, because a sync can take
// long and blocks keep coming: those that wait together, with one sync of the
// directory. After a failure it publishes nothing more.
type closer struct {
	dir     *place
	closed  func(*segment)
	queue   chan *segment
	once    sync.Once
	drained chan struct{} // closed when the goroutine is done
	broken  chan struct{} // closed when err is set
	err     error
}

func newCloser(dir *place, closed func(*segment)) *closer {
	c := &closer{dir: dir, closed: closed, queue: make(chan *segment, pending),
		drained: make(chan struct{}), broken: make(chan struct{})}
	go c.run()
	return c
}

func (c *closer) run() {
	defer close(c.drained)
	for g := range c.queue {
		named, err := c.publish(c.waiting(g))
		if len(named) > 0 {
			if synced := c.dir.Sync(); synced != nil {
				named, err = nil, fmt.Errorf("make names of segments durable: %w", synced)
			}
		}
		for _, g := range named {
			c.closed(g)
		}
		if err != nil && c.failed() == nil {
			c.err = c.dir.failure(err)
			close(c.broken)
		}
	}
}

// waiting returns g and what is in the queue behind it.
func (c *closer) waiting(g *segment) []*segment {
	batch := []*segment{g}
	for len(batch) < pending {
		select {
		case g, open := <-c.queue:
			if !open {
				return batch
			}
			batch = append(batch, g)
		default:
			return batch
		}
	}
	return batch
}

// publish names segments in order and returns those that have their names.
// After a failure the others are given up.
func (c *closer) publish(batch []*segment) (named []*segment, err error) {
	for _, g := range batch {
		if err != nil || c.failed() != nil {
			_ = g.abandon() // the first failure is the one to tell
			continue
		}
		if err = c.dir.replaced(); err != nil { // what has the segment's name there is another file
			_ = g.abandon()
		} else if err = g.publish(); err == nil {
			named = append(named, g)
		}
	}
	return named, err
}

// failed returns what stopped the closer, if anything has.
func (c *closer) failed() error {
	select {
	case <-c.broken:
		return c.err
	default:
		return nil
	}
}

// take puts a segment in the queue; the segment stays the caller's when it
// fails.
func (c *closer) take(ctx context.Context, g *segment) error {
	select {
	case c.queue <- g:
		return nil
	case <-c.broken:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish waits until every segment taken is published. Nothing is taken after.
func (c *closer) finish(ctx context.Context) error {
	c.once.Do(func() { close(c.queue) })
	select {
	case <-c.drained:
		return c.failed()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stop waits for the goroutine, however long its last sync takes.
func (c *closer) stop() {
	c.once.Do(func() { close(c.queue) })
	<-c.drained
}
