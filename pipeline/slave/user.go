package slave

import (
	"context"
	"errors"
	"sync"

	"tsrun/pipeline/event"
	"tsrun/sdk"
)

// errStopped ends a session that the user of this PC gave up.
var errStopped = &sdk.Failure{Code: "node-stopped", Message: "stopped by this node's user"}

// Stopped reports whether [Run] ended because the user wanted it.
func Stopped(err error) bool { return errors.Is(err, errStopped) }

// user is what the person at this PC has asked for in a session.
type user struct {
	stop chan struct{} // closed: the recording shall end, and what was recorded be kept

	mu    sync.Mutex
	stage int // of the recording
	asked bool
}

// Stages of the recording, as far as an interrupt means something else in each.
const (
	ahead = iota
	underWay
	over
)

func (u *user) setStage(stage int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stage = stage
}

// interrupt reports whether the session is to be given up. The first one within a
// recording ends that, and everything is kept; the first one after it asks for
// what happens anyway. One before it, or a second one, gives up.
func (u *user) interrupt() (giveUp bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	giveUp = u.stage == ahead || u.asked
	u.asked = true
	if giveUp {
		return true
	}
	if u.stage == underWay {
		close(u.stop)
	}
	return false
}

func (u *user) hasAsked() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked
}

// applyInterrupts stops the recording, or the session, as the user asks, until ctx ends.
func (s *session) applyInterrupts(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.options.Interrupts:
			if s.user.interrupt() {
				cancel(errStopped)
			} else {
				s.log.Info("interrupted by this node's user: what was recorded is being sent; interrupt again to give that up")
				s.observe(event.Problem{Node: s.node.Name, Code: errStopped.Code, Message: "stopped by its user: what was recorded is being sent", Hint: "interrupt again to give that up"})
			}
		}
	}
}
