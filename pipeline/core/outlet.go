package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tsrun/sdk/zmtp"
)

// outlet is where one sink gets its blocks. Several inlets may send to it.
type outlet struct {
	name     string
	listener *zmtp.Listener
	streams  []uint16
	ready    chan struct{} // closed when the sink has connected, or cannot any more

	order    sync.Mutex  // held while a block is kept and sent; only with retained
	retained *retained   // nil: nothing is kept for another process
	lending  *lending    // of a ring; nil without retained
	resumed  int         // processes that went on for one that died
	sending  atomic.Bool // a block is on its way to it

	mu     sync.Mutex
	conn   *zmtp.Conn
	closed bool
	err    error // the first failure; nothing is sent after it
}

// accept waits for the sink. No other connection is accepted after it.
func (o *outlet) accept(ctx context.Context) {
	defer close(o.ready)
	conn, err := o.listener.Accept(ctx)
	o.listener.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	switch r := o.retained; {
	case r != nil && (r.up != nil || r.anew): // it died meanwhile, and another process goes on
		if err == nil {
			conn.Close()
		}
	case err != nil:
		o.setFailure(err)
	case o.closed || o.err != nil:
		conn.Close()
	default:
		o.conn = conn
	}
}

// send gives the sink one block, and patience to take it. It returns the
// failure that makes it the last one; later calls do nothing.
func (o *outlet) send(ctx context.Context, patience time.Duration, header, payload []byte, slot *slot) error {
	o.sending.Store(true)
	defer o.sending.Store(false)
	if o.retained != nil {
		return o.sendRetained(ctx, patience, header, payload, slot)
	}
	conn, err := o.connection(ctx, patience)
	if conn == nil {
		return err
	}
	if err := conn.Send(patience, header, payload); err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.err != nil || ctx.Err() != nil {
			return nil // reported already, or the core is being closed
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return o.setFailure(fmt.Errorf("it took no block within %v: %w", patience, os.ErrDeadlineExceeded))
		}
		return o.setFailure(fmt.Errorf("it has left: %w", err))
	}
	return nil
}

// progressed gives a block that is under way its whole patience again.
func (o *outlet) progressed(patience time.Duration) {
	if o.lending != nil {
		o.lending.progressed(patience)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn != nil && o.err == nil {
		_ = o.conn.SetWriteDeadline(time.Now().Add(patience)) // of a connection that is gone, Send says more
	}
}

// connection returns the way to the sink, nil when there is none any more.
func (o *outlet) connection(ctx context.Context, patience time.Duration) (*zmtp.Conn, error) {
	select {
	case <-o.ready:
	default:
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-o.ready:
		case <-ctx.Done():
			return nil, nil
		case <-timer.C:
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.err != nil {
				return nil, nil
			}
			return nil, o.setFailure(fmt.Errorf("it has not connected within %v of the first block", patience))
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return nil, nil
	}
	return o.conn, nil
}

// setFailure keeps the first failure and returns it; mu is held.
func (o *outlet) setFailure(err error) error {
	if o.err == nil {
		o.err = err
	}
	return err
}

func (o *outlet) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if errors.Is(o.err, context.Canceled) {
		return nil
	}
	return o.err
}

func (o *outlet) close() {
	o.listener.Close()
	if o.lending != nil {
		o.lending.close()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.conn != nil {
		o.conn.Close()
	}
}
