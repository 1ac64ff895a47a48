package slave

import (
	"context"
	"errors"
	"sync"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/core"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/wire"
)

// errNoMore: no further shot is taken, and what was recorded is delivered.
var errNoMore = errors.New("no further shot is taken")

// record carries out the master's orders from ready to the last closed file: one shot
// after another, on devices that stay open. What is left of the equipment is returned.
func (s *session) record(ctx context.Context, cancel context.CancelCauseFunc, eq *equipment) (*equipment, error) {
	for {
		s.reporter.setPhase(wire.Ready)
		next, order, err := s.awaitArm(ctx, eq)
		if eq = next; err == nil {
			err = s.shoot(ctx, cancel, eq, order)
		}
		if errors.Is(err, errNoMore) {
			return eq, nil
		}
		if err != nil || s.lastShot(eq) {
			return eq, err
		}
		if eq, err = eq.next(ctx); err != nil {
			return eq, err
		}
	}
}

// shoot takes a shot, from the order to arm to its last closed file.
func (s *session) shoot(ctx context.Context, cancel context.CancelCauseFunc, eq *equipment, order wire.Order) error {
	if err := s.compareAgain(ctx); err != nil {
		return err
	}
	s.ledger.hold()
	if order.Shared {
		s.shared = &order.SharedNs
		eq.shareEarly()
	}
	if err := eq.arm(ctx); err != nil {
		return err
	}
	if !s.fired {
		s.reporter.setProgress(eq.progress)
	}
	s.reporter.acknowledge(order.Seq)
	s.tellDeaf()
	s.reporter.setPhase(wire.Armed)
	s.observe(event.Armed{Node: s.node.Name})
	order, err := s.awaitOrder(ctx, wire.Fire)
	if err == nil {
		err = s.fire(ctx, eq, order)
	}
	switch {
	case errors.Is(err, errNoMore):
		s.ledger.releaseAt(time.Now())
		eq.stopDrivers(ctx)
		err = errors.Join(err, eq.finish(ctx))
		eq.markRecorded()
		s.endShots(err)
		return err
	case err != nil:
		return err
	}
	return s.follow(ctx, cancel, eq)
}

// moment is when a node is fired, by its own clock.
type moment struct {
	begins  time.Time      // its controllers, as far as that is known beforehand
	given   time.Time      // what the drivers are told; zero: at once
	first   time.Time      // of all that is to happen here
	reading *clock.Reading // by which the master's time was translated; nil: by none
}

// momentOf is when an order wants the node fired.
func (s *session) momentOf(eq *equipment, order wire.Order) (m moment, err error) {
	if s.recipe.Trigger.OnReceipt() {
		m.begins, m.first, m.reading = s.received(order)
		eq.sent.Store(m.first.UnixNano())
		return m, nil
	}
	local, reading, err := s.translate(order.Instant)
	at := time.Unix(0, local)
	return moment{begins: at, given: at, first: at.Add(-max(eq.earliest(), 0)), reading: reading}, err
}

// fire has the armed controllers started at the instant of an order.
func (s *session) fire(ctx context.Context, eq *equipment, order wire.Order) error {
	m, err := s.momentOf(eq, order)
	if err != nil {
		return err
	}
	instant := m.begins
	asked, err := s.confirm(ctx, m.first, time.Duration(order.Instant-order.Sent))
	if err != nil {
		return err
	}
	eq.stayAwakeAbout(ctx, m.first)
	s.ledger.releaseAt(instant)
	s.ledger.keep(entry{Fired: &order, BeganNs: instant.UnixNano(), SharedNs: s.shared})
	if !s.fired {
		s.first = order.Instant
	}
	if number := eq.part.shot; number > 0 {
		eq.placed(time.Duration(order.Instant - s.first))
		take := fact.Take{Number: number, At: eq.begins(), InstantNs: order.Instant, CompensationNs: eq.earliest().Nanoseconds()}
		s.reporter.queueNews(wire.News{Take: &wire.Take{Take: take, Clock: m.reading}})
	}
	missed, err := eq.startDrivers(ctx, eq.drivers, m.given, !asked && s.recipe.Trigger.Method == "scheduled")
	if err == nil && len(missed) > 0 { // this process was held up since it looked
		if err = s.askAgain(ctx, m.first, 0); err == nil {
			_, err = eq.startDrivers(ctx, missed, instant, false)
		}
	}
	if err != nil {
		return err
	}
	s.fired, s.instant = true, instant
	eq.fired.Store(instant.UnixNano())
	s.user.setStage(underWay)
	s.reporter.setProgress(eq.progress)
	s.reporter.acknowledge(order.Seq)
	s.reporter.setPhase(wire.Running)
	if h := s.heard(eq); h != nil && s.recipe.Trigger.OnReceipt() {
		s.log.Info("fired on receipt", "shot", h.Shot, "by", h.By, "at_ns", h.AtNs)
		s.reporter.queueNews(wire.News{Heard: h})
	}
	s.observe(event.Fired{InstantNs: order.Instant, Method: s.recipe.Trigger.Method, Shot: eq.part.shot, Of: eq.shots()})
	return nil
}

// lastShot reports whether a shot that was taken is the last of this node: it was so
// planned, or somebody ended it, or something of the equipment has failed.
func (s *session) lastShot(eq *equipment) bool {
	return eq.part.number+1 >= s.recipe.Acquire.Shots() || eq.stopping.Load() || eq.failureReported() || s.user.hasAsked()
}

// endShots notes that what was recorded is all, where no further shot is taken.
func (s *session) endShots(why error) {
	if s.fired && errors.Is(why, errNoMore) {
		s.user.setStage(over)
		s.ledger.keep(entry{Recorded: true})
	}
}

// shots is how many there are, where that is more than one.
func (eq *equipment) shots() int {
	if eq.part.shot == 0 {
		return 0
	}
	return eq.s.recipe.Acquire.Shots()
}

// placed says how long after the first shot this one begins.
func (eq *equipment) placed(after time.Duration) {
	eq.mu.Lock()
	defer eq.mu.Unlock()
	eq.part.begins = max(after, 0)
}

// begins is where the time 0 of the shot or part lies in the run, in ps.
func (eq *equipment) begins() uint64 { return eq.stretch().origin() }

// stretch is what is recorded now.
func (eq *equipment) stretch() part {
	eq.mu.Lock()
	defer eq.mu.Unlock()
	return eq.part
}

// next is the equipment of the next shot: the same devices, a distribution core and
// sinks of its own. The one before is over.
func (eq *equipment) next(ctx context.Context) (*equipment, error) {
	s := eq.s
	base := map[uint16]fact.Counts{}
	for _, c := range eq.progress() {
		base[c.Stream] = c.Counts
	}
	s.kept.part = part{number: eq.part.number + 1, shot: eq.part.shot + 1, base: base}
	return eq.hand(ctx, s.kept.part)
}

// hand gives the open devices to equipment for another part of the record, which has
// sinks of its own. What the devices did before is over.
func (eq *equipment) hand(ctx context.Context, p part) (*equipment, error) {
	s := eq.s
	eq.halt()
	eq.pumps.Wait()
	next := &equipment{s: s, log: eq.log, host: eq.host, recorded: make(chan struct{}), coreDone: make(chan error, 1), halt: func() {}}
	next.core, next.part = core.New(s.runtime.Path(), s.log), p
	next.core.RunID = s.id
	for _, c := range eq.drivers {
		next.drivers = append(next.drivers, &controller{recipe: c.recipe, driver: c.driver, streams: c.streams, noThresholds: c.noThresholds, early: eq.follow(c), ended: make(chan struct{})})
	}
	next.elsewhere = eq.elsewhere
	for _, k := range eq.sinks {
		next.elsewhere = append(next.elsewhere, k.elsewhere...)
	}
	next.keepAwake()
	eq.awake.close()
	eq.host, eq.drivers = nil, nil // they are the next one's
	return next, next.openSinks(ctx)
}

// openSinks starts the sinks of the recipe that keep channels of this node.
func (eq *equipment) openSinks(ctx context.Context) error {
	var opening sync.WaitGroup
	var errs []error
	var mu sync.Mutex
	for _, r := range eq.s.recipe.Sinks {
		if k := eq.sinkFor(r); k != nil {
			eq.sinks = append(eq.sinks, k)
			opening.Go(func() {
				if err := eq.openSink(ctx, k); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
				}
			})
		}
	}
	eq.alive = len(eq.sinks)
	opening.Wait()
	return errors.Join(errs...)
}
