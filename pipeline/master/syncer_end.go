package master

import (
	"context"
	"time"

	"tsrun/pipeline/align"
)

// limitSearches limits those for clocks of several nodes at the end of the run. Where tags
// are merged, they wait for their clocks: there all are looked for as long as there are tags.
func (s *syncer) limitSearches() {
	clocks := map[string]int{} // of each stage
	for _, f := range s.stages {
		clocks[f.Stage]++
	}
	for _, f := range s.stages {
		if clocks[f.Stage] > 1 && len(s.lives) == 0 {
			f.patience = s.patience
			f.live.SearchUntil(f.patience)
		}
	}
}

// finish waits until everything offered was followed, though not for ever, and less long
// for clocks that were never found. Nothing is offered after it.
func (s *syncer) finish(ctx context.Context) {
	s.finishing.Store(true)
	close(s.segments)
	patience := time.AfterFunc(s.searches, s.resign)
	defer patience.Stop()
	select {
	case <-s.done:
	case <-ctx.Done():
	case <-time.After(s.last):
		s.warn("the live values of the last segments were given up", "the align stages look at everything")
	}
	s.end()
}

// end stops the syncer, wherever it is.
func (s *syncer) end() {
	s.stop()
	<-s.done
}

func (s *syncer) loop(ctx context.Context) {
	defer close(s.done)
	defer s.close()
	for {
		select {
		case <-ctx.Done():
			return
		case segment, more := <-s.segments:
			if !more {
				s.followRest(ctx)
				return
			}
			s.lag()
			for _, f := range s.stages {
				// Both: a recipe may align a channel with itself.
				isReference, isTarget := f.reference.put(segment), f.target.put(segment)
				if (isReference || isTarget) && !s.waits(f) {
					s.follow(ctx, f)
				}
			}
		}
	}
}

// waits says whether a stage is followed when all others are: at the end of the run, a clock
// that must be looked for, so that no search costs those that are known their values.
func (s *syncer) waits(f *follower) bool {
	return s.finishing.Load() && f.patience != nil && f.live.State() == align.Searching
}

// followRest takes the stages that had to wait through what is left of the run.
func (s *syncer) followRest(ctx context.Context) {
	for _, f := range s.stages {
		s.follow(ctx, f)
	}
}
