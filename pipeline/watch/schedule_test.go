package watch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/wire"
)

// told keeps when something was told, and the last of it.
type told struct {
	at   []time.Time
	last event.Watched
}

func (o *told) Observe(e event.Event) {
	o.at, o.last = append(o.at, time.Now()), e.(event.Watched)
}

// What is seen is told five times a second for as long as somebody looks, the first rates
// within a second of the first report: by the clock of the test, which no PC holds up.
func TestFiveTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &told{}
		w, err := New(bench(t), o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.Run(ctx); close(ended) }()
		time.Sleep(3 * time.Second) // nobody is ready yet
		if synctest.Wait(); len(o.at) > 0 {
			t.Errorf("%d times something was told of nothing", len(o.at))
		}
		begun, rated := time.Now(), time.Time{}
		for at := uint64(0); at < 60*second; at += second / 5 {
			to := at + second/5
			w.Offer("alice", &wire.Glimpse{Streams: []wire.StreamGlimpse{show(0, []uint64{at, at + 5}, at, to, 1e18)}})
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if rated.IsZero() && o.last.Channels != nil && o.last.Channels[0].Rate != nil {
				rated = time.Now()
			}
		}
		end()
		<-ended
		if n := len(o.at); n < 299 || n > 301 {
			t.Errorf("told %d times in 60 s", n)
		}
		if first := rated.Sub(begun); rated.IsZero() || first > time.Second {
			t.Errorf("the first rate came after %v", first)
		}
	})
}
