package event

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// MaxWaiting is how many events wait for their reader before events of the
// kind that can come in floods (losses, warnings, files) are only counted.
const MaxWaiting = 4096

// Hub hands the events of a run to any number of readers. Observe never waits,
// however slow a reader is, or whether there is any: each has a [Feed] of its own.
type Hub struct {
	mu     sync.Mutex
	told   backlog // all so far, as if nobody had read it: what a late reader begins with
	feeds  []*Feed
	closed bool
	now    func() time.Time
}

// NewHub is a hub without readers.
func NewHub() *Hub { return &Hub{now: time.Now} }

var _ Observer = (*Hub)(nil)

// Observe takes an event; after Close it does nothing.
func (h *Hub) Observe(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	s := Stamped{Time: h.now(), Event: e}
	h.told.add(s)
	for _, f := range h.feeds {
		f.add(s)
	}
}

// Subscribe returns the feed of a new reader. A late one is told what one is told
// that has not read until now.
func (h *Hub) Subscribe() *Feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := &Feed{hub: h, backlog: h.told.clone(), closed: h.closed, ready: make(chan struct{}, 1)}
	if f.wake(); !h.closed {
		h.feeds = append(h.feeds, f)
	}
	return f
}

// Close lets the readers finish what is waiting and then end.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, f := range h.feeds {
		f.close()
	}
	h.feeds = nil
}

// Feed is what one reader of a hub has not read yet. A newer Progress, Transfer,
// Sync, Pairs or Analysing replaces an older one of the same node, file, clock or stage, and all
// other events are kept in order, floods up to MaxWaiting. What is left out here is
// in the manifest and in the log.
type Feed struct {
	hub *Hub

	mu      sync.Mutex
	backlog backlog
	closed  bool
	ready   chan struct{} // holds one token while there is something to read
}

func (f *Feed) add(s Stamped) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backlog.add(s)
	f.wake()
}

func (f *Feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.wake()
}

// Leave ends a feed whose reader has gone; what waits is dropped.
func (f *Feed) Leave() {
	f.hub.mu.Lock()
	f.hub.feeds = slices.DeleteFunc(f.hub.feeds, func(o *Feed) bool { return o == f })
	f.hub.mu.Unlock()
	f.mu.Lock()
	f.backlog = backlog{}
	f.mu.Unlock()
	f.close()
}

func (f *Feed) wake() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// Next waits for events and returns all that are there, in order. ok is false
// when the feed is at its end, or ctx has ended.
func (f *Feed) Next(ctx context.Context) (events []Stamped, ok bool) {
	for {
		f.mu.Lock()
		events, closed := f.backlog.take(f.hub.now), f.closed
		f.mu.Unlock()
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

// backlog are events that wait, in order.
type backlog struct {
	waiting []Stamped      // without an Event where a newer one has replaced it
	at      map[string]int // where the newest is of what progressKey names
	gone    int            // of waiting, replaced
	leftOut int
}

func (b *backlog) add(s Stamped) {
	full := len(b.waiting)-b.gone >= MaxWaiting
	key := progressKey(s.Event)
	switch old, replaces := b.at[key]; {
	case key != "" && replaces:
		b.waiting[old] = Stamped{}
		b.gone++
	case key != "" && full:
		return
	case key == "" && full && floods(s.Event), len(b.waiting)-b.gone >= 2*MaxWaiting:
		b.leftOut++
		return
	}
	if b.gone > MaxWaiting {
		b.compact()
	}
	if key != "" {
		if b.at == nil {
			b.at = map[string]int{}
		}
		b.at[key] = len(b.waiting)
	}
	b.waiting = append(b.waiting, s)
}

// compact removes what was replaced.
func (b *backlog) compact() {
	b.waiting = slices.DeleteFunc(b.waiting, func(s Stamped) bool { return s.Event == nil })
	b.gone = 0
	for i, s := range b.waiting {
		if key := progressKey(s.Event); key != "" {
			b.at[key] = i
		}
	}
}

func (b *backlog) clone() backlog {
	return backlog{slices.Clone(b.waiting), maps.Clone(b.at), b.gone, b.leftOut}
}

// take returns what waits, and leaves nothing.
func (b *backlog) take(now func() time.Time) []Stamped {
	b.compact()
	events := b.waiting
	if b.leftOut > 0 {
		events = append(events, Stamped{Time: now(), Event: Warning{
			Message: quantity.Counted(b.leftOut, "more event") + " came faster than they could be shown",
			Hint:    "they are in " + run.LogFile + " and " + run.ManifestFile,
		}})
	}
	*b = backlog{}
	return events
}

// progressKey names what a progress event is about; "" for all other events.
func progressKey(e Event) string {
	switch e := e.(type) {
	case Progress:
		return "node " + e.Node
	case Transfer:
		return "file " + e.File
	case Watched:
		return "watched"
	case Sync:
		return "clock " + e.Stage + " " + e.Target + " " + string(e.State)
	case Pairs:
		return "pairs " + e.Stage + " " + e.Target
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
