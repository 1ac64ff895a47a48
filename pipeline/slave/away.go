package slave

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// patience is how long the master may be away before this session gives it up.
func (s *session) patience() time.Duration {
	if s.recipe == nil || s.recipe.Faults.Patience <= 0 {
		return usualPatience
	}
	return s.recipe.Faults.Patience.Duration()
}

// where says where this run's files are.
func (s *session) where() string { return "the recorded files are in " + s.dir }

// watchMaster tells the user when nothing is heard of the master, and when it is
// back, until ctx ends.
func (s *session) watchMaster(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	away, longest := false, time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.orders.shut:
			return
		case <-tick.C:
		}
		silence := s.reporter.silence()
		switch {
		case !away && silence >= wire.AwayAfter:
			away = true
			s.log.Info("master away", "silent", silence.String())
			s.observe(event.Away{Silent: silence, Patience: s.patience(), Hint: "this node goes on by itself; " + s.where()})
		case away && silence < wire.AwayAfter:
			away = false
			s.log.Info("master back", "silent", longest.String())
			s.observe(event.Back{Silent: longest})
		}
		longest = silence
	}
}

// leavesBehind says why a session whose user has asked it to end waits no longer for a
// master that is away: what it holds and its ledger are on the disk, for another
// process to deliver. nil: it goes on.
func (s *session) leavesBehind() error {
	silence := s.reporter.silence()
	if s.ledger == nil || silence < wire.AwayAfter || !s.user.hasAsked() {
		return nil
	}
	left := &sdk.Failure{Code: "master-gone",
		Message: fmt.Sprintf("stopped by its user while the master is away, nothing heard for %v; not everything is with it", silence.Round(time.Second)),
		Hint:    s.where() + "; start this slave again with the same --node and --data to deliver them, and tsrun resume on the master's PC if that was killed"}
	s.log.Warn("leaving files behind", "error", left)
	s.observe(event.Problem{Node: s.node.Name, Code: left.Code, Message: left.Message, Hint: left.Hint})
	return left
}

// recordOn tells the user that the master has done with this node, which does not
// end what it records: only an order does.
func (s *session) recordOn(why error) {
	s.log.Info("the recording goes on without the master", "error", why)
	s.observe(event.Warning{Node: s.node.Name, Message: fmt.Sprintf("the recording goes on without the master: %v", why), Hint: s.where()})
}

// withPlace adds to the error of a session where its files are, where it may have some.
func (s *session) withPlace(err error) error {
	if err == nil || !s.fired {
		return err
	}
	if _, gone := os.Stat(s.dir); gone != nil {
		return err
	}
	return &keptError{err, s.where()}
}

// keptError is why a session ended before the master had all that was recorded.
type keptError struct {
	error
	where string
}

func (k *keptError) Unwrap() error { return k.error }

func (k *keptError) Error() string {
	var f *sdk.Failure
	if errors.As(k.error, &f) && strings.HasPrefix(f.Hint, k.where) {
		return k.error.Error()
	}
	return k.error.Error() + "; " + k.where
}

// tellLeft tells the user of files that earlier sessions of this node have left here.
func (j *joiner) tellLeft() {
	left := runsOf(j.options.Data, j.options.Node)
	if len(left) == 0 || j.options.Once {
		return
	}
	j.observe(event.Warning{Node: j.options.Node, Message: fmt.Sprintf("files of %d earlier runs are in %s", len(left), j.options.Data),
		Hint: "the newest is " + left[len(left)-1]})
}
