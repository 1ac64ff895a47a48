package slave

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/host"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk/instrument"
)

const (
	// againLead is how far ahead controllers are told to start anew, while they are
	// armed; longestAgain is the most, for those that take longer.
	againLead    = time.Second
	longestAgain = 16 * time.Second
	// leastAgain is the least that is worth another part of a record.
	leastAgain = 100 * time.Millisecond
	// stillLate is how long before their start controllers must be armed.
	stillLate = 20 * time.Millisecond
	// openAgain is how long controllers are tried to be opened: plugins of a process
	// that was killed may have them for a while.
	openAgain = 20 * time.Second
)

// errUnwanted: nobody wants the rest of the record.
var errUnwanted = errors.New("the rest is not wanted")

// after says why, behind what follows from it.
func after(why error) string {
	if errors.Is(why, errUnwanted) {
		return ""
	}
	return fmt.Sprintf(" (it was not recorded on: %v)", why)
}

// cannotGoOn says why what is left of the run is not recorded; nil: it may be. wanted
// is what the master says.
func (s *session) cannotGoOn(wanted bool) error {
	switch {
	case !wanted || s.recipe.Faults.LostNode != "restart":
		return errUnwanted
	case s.user.hasAsked():
		return errStopped
	case s.kept.begun >= run.MaxRestarts:
		return fmt.Errorf("its controllers were started anew %d times", s.kept.begun)
	}
	_, err := s.nextStart(againLead)
	return err
}

// nextStart is how long after the instant of the run controllers begin that are told
// so far ahead.
func (s *session) nextStart(lead time.Duration) (time.Duration, error) {
	const ns = 1000 // ps
	begins := max(0, time.Since(s.instant)+lead, time.Duration(s.kept.reached()/ns)+1)
	if s.kept.reached() == 0 {
		begins = max(0, time.Since(s.instant)+lead)
	}
	if left := s.recipe.Acquire.Duration.Duration() - begins; left < leastAgain {
		return 0, errors.New("the acquisition was over before they could be started anew")
	}
	return begins, nil
}

// broken reports that the recording has ended because all drivers have failed, and
// that it may go on. It is asked when they have ended.
func (eq *equipment) broken() bool {
	if eq.s.recipe.Faults.LostNode != "restart" || eq.stopping.Load() {
		return false
	}
	for _, c := range eq.drivers {
		select {
		case <-c.ended:
		default:
			return false
		}
		if !c.failed {
			return false
		}
	}
	return len(eq.drivers) > 0
}

// recordAgain goes on after drivers have failed. What is left of the equipment is
// returned.
func (s *session) recordAgain(ctx context.Context, cancel context.CancelCauseFunc, eq *equipment) (*equipment, error) {
	for {
		s.kept.count(eq.progress())
		why := s.cannotGoOn(true)
		if why == nil {
			eq.close()
			var err error
			if eq, err = s.beginAgain(ctx, "its driver failed and was started anew"); err == nil {
				if err = s.follow(ctx, cancel, eq); err != nil || !eq.broken() {
					return eq, err
				}
				continue
			}
			if ctx.Err() != nil {
				return eq, context.Cause(ctx)
			}
			why = err
		}
		s.log.Error("the rest of the run is not recorded", "error", why)
		s.reporter.queueNews(wire.News{Warning: &wire.Warning{Message: fmt.Sprintf("the rest of the run is not recorded: %v", why), Hint: "what was recorded is kept"}})
		s.reporter.setPhase(wire.Draining)
		s.ledger.keep(entry{Recorded: true})
		return eq, nil
	}
}

// goOn records what is left of a run that another process has begun.
func (s *session) goOn(ctx context.Context, cancel context.CancelCauseFunc) (*equipment, error) {
	eq, err := s.beginAgain(ctx, "its slave ended and was started anew")
	switch {
	case ctx.Err() != nil:
		return eq, context.Cause(ctx)
	case err != nil:
		s.endCut(err)
		return eq, nil
	}
	if err = s.follow(ctx, cancel, eq); err == nil && eq.broken() {
		return s.recordAgain(ctx, cancel, eq)
	}
	return eq, err
}

// beginAgain opens the controllers and starts them, and tries that again for a while.
func (s *session) beginAgain(ctx context.Context, why string) (*equipment, error) {
	lead := againLead
	for until := time.Now().Add(openAgain); ; {
		eq, err := s.tryAgain(ctx, why, lead)
		if err == nil {
			return eq, nil
		}
		eq.close()
		if errors.Is(err, errLate) {
			lead = min(2*lead, longestAgain)
		}
		if cannot := s.cannotGoOn(true); cannot != nil {
			return nil, errors.Join(err, cannot)
		}
		if time.Now().After(until) || !instrument.Pause(ctx, time.Second) {
			return nil, err
		}
		s.log.Warn("controllers could not be started anew and are tried again", "error", err)
	}
}

var errLate = errors.New("the controllers were not armed in time")

// tryAgain opens, arms and starts everything for the next part of the record.
func (s *session) tryAgain(ctx context.Context, why string, lead time.Duration) (eq *equipment, err error) {
	begins, err := s.nextStart(lead)
	if err != nil {
		return nil, err
	}
	s.runtime.Remove()
	if s.runtime, err = host.NewRuntime(); err != nil {
		return nil, err
	}
	next, from, lost := s.kept.next(begins, len(s.node.Channels), why)
	s.kept.part = next
	if eq, err = newEquipment(s); err != nil {
		return eq, err
	}
	if err = eq.open(ctx); err != nil {
		return eq, err
	}
	eq.shareEarly()
	if err = eq.arm(ctx); err != nil {
		return eq, err
	}
	instant := s.instant.Add(begins)
	eq.fired.Store(s.instant.UnixNano())
	switch {
	case time.Until(instant) < stillLate:
		return eq, errLate
	case s.user.hasAsked():
		return eq, errStopped
	}
	s.kept.begin()
	s.reporter.setProgress(eq.progress)
	for _, l := range lost {
		s.reporter.queueNews(wire.News{Loss: &l})
		s.observe(event.TagsLost{Node: s.node.Name, Channel: s.node.Channels[l.Stream].Name, Loss: l.Loss})
	}
	s.reporter.queueNews(wire.News{Restart: &fact.Restart{From: from, At: next.origin(), InstantNs: instant.UnixNano(), Why: why}})
	s.ledger.keep(entry{Counts: eq.progress()})
	s.user.setStage(underWay)
	s.reporter.setPhase(wire.Running)
	_, err = eq.startDrivers(ctx, eq.drivers, instant, false)
	return eq, err
}
