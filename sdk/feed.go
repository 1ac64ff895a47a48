package sdk

import (
	"context"
	"sync"

	"google.golang.org/grpc"
)

// feed keeps events in order until the host has taken them. Putting never
// blocks: a driver does not wait for whoever listens.
type feed[T any] struct {
	mu     sync.Mutex
	items  []T
	closed bool
	merge  func(pending []T, next T) bool // may fold next into pending, so that a flood stays small
	wake   chan struct{}                  // holds a token when there may be something to take
}

func newFeed[T any](merge func(pending []T, next T) bool) *feed[T] {
	return &feed[T]{merge: merge, wake: make(chan struct{}, 1)}
}

// put adds an event, and says whether it will be told as one of its own; after
// close it is dropped.
func (f *feed[T]) put(item T) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.merge != nil && f.merge(f.items, item) {
		return false
	}
	f.items = append(f.items, item)
	f.signal()
	return true
}

// close ends the feed; what is in it can still be taken.
func (f *feed[T]) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.signal()
}

func (f *feed[T]) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// next takes the oldest event, or returns false when the feed is closed and
// empty or ctx ended.
func (f *feed[T]) next(ctx context.Context) (item T, ok bool) {
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

// relay passes events on to the host until there will be no more or it hangs up.
func relay[E any](events *feed[*E], out grpc.ServerStreamingServer[E]) error {
	for {
		e, ok := events.next(out.Context())
		if !ok {
			return out.Context().Err()
		}
		if err := out.Send(e); err != nil {
			return err
		}
	}
}
