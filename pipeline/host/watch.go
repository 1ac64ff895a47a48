package host

import (
	"context"
	"sync"
	"time"
)

// eventBuffer is how many events wait for a slow receiver before the plugin
// has to keep them itself.
const eventBuffer = 1024

// watch is the goroutine that follows a plugin's events.
type watch struct {
	cancel    context.CancelFunc
	abandoned chan struct{} // closed when nobody needs events any more
	followed  chan struct{} // closed when the last event has come; nil before start
	running   sync.WaitGroup
	once      sync.Once
}

// passOn notes that an event is being passed on, until the function that it returns is called.
func (p *process) passOn() (done func()) {
	p.telling.Store(true)
	return func() {
		p.told.Add(1)
		p.telling.Store(false)
	}
}

func (w *watch) start(p *process, follow func(context.Context)) {
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	w.abandoned, w.followed = make(chan struct{}), make(chan struct{})
	w.running.Go(func() {
		defer close(w.followed)
		follow(ctx)
	})
}

// await gives the plugin's last events, which are on their way when it has
// answered Close, time to arrive before its process is ended.
func (w *watch) await(ctx context.Context) {
	if w.followed == nil {
		return
	}
	select {
	case <-w.followed:
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// stop waits until the last event is in the channel; one that does not fit
// because nobody receives is dropped.
func (w *watch) stop() {
	w.once.Do(func() {
		grace := time.AfterFunc(time.Second, func() { close(w.abandoned) })
		defer grace.Stop()
		w.running.Wait()
		w.cancel()
	})
}
