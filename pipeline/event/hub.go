package event

import (
	"context"
	"slices"
	"sync"
	"time"

	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// MaxWaiting is how many events wait for their reader before events of the
// kind that can come in floods (losses, warnings, files) are only counted.
const MaxWaiting = 4096

// Feed hands events from the run to one reader. Observe never waits: a newer
// Progress, Transfer, Sync or Analysing replaces an older one of the same node, file
// or stage that nobody has read yet, and all other events are kept in order, floods up to
// MaxWaiting. What is left out here is in the manifest and in the log.
type Feed struct {
	mu      sync.Mutex
	waiting []Stamped
	leftOut int
	closed  bool
	ready   chan struct{} // holds one token while there is something to read
	now     func() time.Time
}

// NewFeed is an empty feed.
func NewFeed() *Feed {
	return &Feed{ready: make(chan struct{}, 1), now: time.Now}
}

var _ Observer = (*Feed)(nil)

// Observe takes an event; after Close it does nothing.
func (f *Feed) Observe(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	full := len(f.waiting) >= MaxWaiting
	if key := progressKey(e); key != "" {
		if i := slices.IndexFunc(f.waiting, func(s Stamped) bool { return progressKey(s.Event) == key }); i >= 0 {
			f.waiting = slices.Delete(f.waiting, i, i+1)
		} else if full {
			return
		}
	} else if full && floods(e) {
		f.leftOut++
		return
	}
	f.waiting = append(f.waiting, Stamped{Time: f.now(), Event: e})
	f.wake()
}

// Close lets the reader finish what is waiting and then end.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.wake()
}

func (f *Feed) wake() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// Next waits for events and returns all that are there, in order. ok is false
// when the feed is closed and read, or ctx has ended.
func (f *Feed) Next(ctx context.Context) (events []Stamped, ok bool) {
	for {
		events, closed := f.take()
		if len(events) > 0 {
			return events, true
		}
		if closed {
			return nil, false
		}
		select {
		case <-f.ready:
		case <-ctx.Done():
			return nil, false
		}
	}
}

func (f *Feed) take() (events []Stamped, closed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	events = f.waiting
	if f.leftOut > 0 {
		events = append(events, Stamped{Time: f.now(), Event: Warning{
			Message: quantity.Counted(f.leftOut, "more event") + " came faster than they could be shown",
			Hint:    "they are in " + run.LogFile + " and " + run.ManifestFile,
		}})
	}
	f.waiting, f.leftOut = nil, 0
	return events, f.closed
}

// progressKey names what a progress event is about; "" for all other events.
func progressKey(e Event) string {
	switch e := e.(type) {
	case Progress:
		return "node " + e.Node
	case Transfer:
		return "file " + e.File
	case Sync:
		return "clock " + e.Stage + " " + string(e.State)
	case Analysing:
		return "stage " + e.Stage
	}
	return ""
}

// floods says whether there may be very many events of e's kind.
func floods(e Event) bool {
	switch e.(type) {
	case TagsLost, Warning, FileVerified:
		return true
	}
	return false
}
