package serve

import (
	"context"
	"sync"

	"google.golang.org/grpc"
)

// Feed keeps events in order until the host has taken them. Putting never
// blocks: a driver does not wait for whoever listens.
type Feed[T any] struct {
	mu     sync.Mutex
	items  []T
	closed bool
	merge  func(pending []T, next T) bool // see NewFeed
	wake   chan struct{}                  // holds a token when there may be something to take
}

// NewFeed makes a feed. Merge may fold an event into those that wait, so that a
// flood stays small; nil: none is folded.
func NewFeed[T any](merge func(pending []T, next T) bool) *Feed[T] {
	return &Feed[T]{merge: merge, wake: make(chan struct{}, 1)}
}

// Put adds an event, and says whether it will be told as one of its own; after
// Close it is dropped.
func (f *Feed[T]) Put(item T) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.merge != nil && f.merge(f.items, item) {
		return false
	}
	f.items = append(f.items, item)
	f.signal()
	return true
}

// Close ends the feed; what is in it can still be taken.
func (f *Feed[T]) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.signal()
}

func (f *Feed[T]) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Next takes the oldest event, or returns false when the feed is closed and
// empty or ctx ended.
func (f *Feed[T]) Next(ctx context.Context) (item T, ok bool) {
	for {
		f.mu.Lock()
		if len(f.items) > 0 {
			item = f.items[0]
			f.items = f.items[1:]
			f.mu.Unlock()
			return item, true
		}
		closed := f.closed
		f.mu.Unlock()
		if closed {
			f.signal() // for the next who asks
			return item, false
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			return item, false
		}
	}
}

// Relay passes events on to the host until there will be no more or it hangs up.
func Relay[E any](events *Feed[*E], out grpc.ServerStreamingServer[E]) error {
	for {
		e, ok := events.Next(out.Context())
		if !ok {
			return out.Context().Err()
		}
		if err := out.Send(e); err != nil {
			return err
		}
	}
}
