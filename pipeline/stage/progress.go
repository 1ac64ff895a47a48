package stage

import (
	"sync/atomic"
	"time"

	"tsrun/pipeline/event"
)

// tellEvery is the time between two words about a stage.
const tellEvery = 500 * time.Millisecond

// stageProgress counts what a stage reads; its streams add to it, at once if they
// like.
type stageProgress struct {
	done, of atomic.Uint64 // tags
}

// watch tells an observer how far a stage is, until stop is called.
func (p *stageProgress) watch(stage, kind string, o event.Observer) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	begun := time.Now()
	ticker := time.NewTicker(tellEvery)
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
				o.Observe(event.Analysing{Stage: stage, Kind: kind, Done: p.done.Load(), Of: p.of.Load(), Elapsed: time.Since(begun)})
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(end)
		<-ended
	}
}
