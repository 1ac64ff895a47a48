package main

import (
	"context"
	"os"
	"sync"

	"tsrun/sdk"
)

// pending bounds the segments that wait to be published; when there are more,
// writing waits for the disk.
const pending = 64

// closer publishes segments one after another in a goroutine of its own,
// because a sync can take long and blocks keep coming. After a failure it
// publishes nothing more.
type closer struct {
	dir     *os.File
	closed  func(sdk.Artifact)
	queue   chan *segment
	once    sync.Once
	drained chan struct{} // closed when the goroutine is done
	broken  chan struct{} // closed when err is set
	err     error
}

func newCloser(dir *os.File, closed func(sdk.Artifact)) *closer {
	c := &closer{dir: dir, closed: closed, queue: make(chan *segment, pending),
		drained: make(chan struct{}), broken: make(chan struct{})}
	go c.run()
	return c
}

func (c *closer) run() {
	defer close(c.drained)
	for g := range c.queue {
		if c.failed() != nil {
			_ = g.abandon() // the first failure is the one to tell
			continue
		}
		a, err := g.publish(c.dir)
		if err != nil {
			c.err = failure(c.dir.Name(), err)
			close(c.broken)
			continue
		}
		c.closed(a)
	}
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
