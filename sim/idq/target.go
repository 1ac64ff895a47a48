package idq

import (
	"context"
	"sync"
	"time"
)

const (
	linger   = time.Second // how long stop waits for what was not taken yet
	maxQueue = 1 << 30     // bytes waiting for a peer; what comes on top is lost and said so
)

// outlet is where an acquisition's data goes.
type outlet interface {
	// write returns when the peer or the file has all of it. It waits for a
	// peer as long as ctx lasts.
	write(ctx context.Context, values, indices []uint64, withIndex bool) error
	// end says that nothing follows, to a peer that is there.
	end(ctx context.Context) error
	close() error
}

// target is one acquisition of the DataLinkTargetService. Its goroutine hands
// parts to the outlet in order, and counts them only then.
type target struct {
	hub       *hub
	id        string
	channel   int
	withIndex bool
	out       outlet

	life   context.Context // ends when the outlet must be left at once
	cancel context.CancelFunc
	done   chan struct{} // closed when run returns
	wake   chan struct{} // has room for one: the queue or finishing changed

	mu        sync.Mutex
	queue     []part
	queued    int // bytes
	finishing bool
	silent    bool // the stream ends without a last message
	records   uint64
	tags      uint64
	heard     time.Time // of the device
	errors    []string
}

func newTarget(h *hub, id string, channel int, withIndex bool, out outlet) *target {
	t := &target{
		hub: h, id: id, channel: channel, withIndex: withIndex, out: out,
		done: make(chan struct{}), wake: make(chan struct{}, 1), heard: time.Now(),
	}
	t.life, t.cancel = context.WithCancel(context.Background())
	if h.faults.dltError != "" {
		t.errors = append(t.errors, h.faults.dltError)
	}
	return t
}

// put queues a part; it never blocks.
func (t *target) put(p part) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = time.Now()
	if size := 8 * (len(p.values) + len(p.indices)); t.queued+size <= maxQueue {
		t.queue = append(t.queue, p)
		t.queued += size
	} else {
		p.gone.Add(uint64(len(p.values)))
		t.errors = append(t.errors, "data lost: nobody takes the stream and its buffer is full")
	}
	t.signal()
}

func (t *target) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run delivers until finish or the end of ctx.
func (t *target) run(ctx context.Context) {
	defer close(t.done)
	defer t.cancel()
	defer context.AfterFunc(ctx, t.cancel)()
	for p, ok := t.next(); ok; p, ok = t.next() {
		t.deliver(p)
	}
	if t.life.Err() == nil && !t.silent { // silent is set before finishing
		t.fail(t.out.end(t.life))
	}
	t.fail(t.out.close())
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.queue {
		p.gone.Add(uint64(len(p.values)))
	}
	t.queue = nil
}

// next waits for a part. It is over when finishing and nothing is left, or
// when life is.
func (t *target) next() (p part, ok bool) {
	for t.life.Err() == nil {
		t.mu.Lock()
		if len(t.queue) > 0 {
			p, t.queue[0] = t.queue[0], part{} // which else would keep its tags alive
			t.queue = t.queue[1:]
			t.queued -= 8 * (len(p.values) + len(p.indices))
			t.mu.Unlock()
			return p, true
		}
		finishing := t.finishing
		t.mu.Unlock()
		if finishing {
			break
		}
		select {
		case <-t.wake:
		case <-t.life.Done():
		}
	}
	return part{}, false
}

// deliver hands one part over, then counts it. A record without tags is only
// counted: an empty message would end the stream.
func (t *target) deliver(p part) {
	if len(p.values) > 0 {
		if err := t.out.write(t.life, p.values, p.indices, t.withIndex); err != nil {
			p.gone.Add(uint64(len(p.values)))
			t.fail(err)
			return
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tags += uint64(len(p.values))
	if p.ends {
		t.records++
	}
}

func (t *target) fail(err error) {
	if err == nil {
		return
	}
	t.hub.log.Warn("acquisition failed", "id", t.id, "error", err)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errors = append(t.errors, err.Error())
}

// finish delivers what is left within linger, ends the stream and waits for
// the end.
func (t *target) finish() {
	t.mu.Lock()
	t.finishing = true
	t.mu.Unlock()
	t.signal()
	timer := time.AfterFunc(linger, t.cancel)
	defer timer.Stop()
	<-t.done
}

// kill delivers what is left like finish, and then leaves without a word.
func (t *target) kill() {
	t.mu.Lock()
	t.silent = true
	t.mu.Unlock()
	t.finish()
}

// status returns the object that status and stop reply with.
func (t *target) status() any {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []description{}
	for _, e := range t.errors {
		list = append(list, description{e})
	}
	inactivity := "inactivity"
	if t.hub.faults.oldStatus {
		inactivity = "seconds_since_last_activity"
	}
	return map[string]any{
		"acquisitions_count": t.records,
		"timestamps_count":   t.tags,
		inactivity:           float64(time.Since(t.heard).Microseconds()) / 1e6,
		"errors":             list,
	}
}
