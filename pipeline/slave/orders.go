package slave

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/wire"
)

// inbox holds the newest orders. Each arrives by publication and with the master's
// answers, and may arrive as a datagram; put accepts it once, by its number.
type inbox struct {
	mu     sync.Mutex
	last   uint64
	copies copies // of the newest Fire
	ch     chan wire.Order
	err    error
	shut   chan struct{}
}

func newInbox() *inbox {
	return &inbox{ch: make(chan wire.Order, 16), shut: make(chan struct{})}
}

// put takes an order that came some way at a moment.
func (b *inbox) put(o wire.Order, by string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o.Kind == wire.Fire && (o.Seq > b.last || o.Seq == b.copies.seq) {
		b.copies.note(o.Seq, by, at)
	}
	if o.Seq <= b.last || o.Kind == wire.Beacon || b.err != nil {
		return
	}
	b.last = o.Seq
	select {
	case b.ch <- o:
	default: // 16 orders behind: a run has six
	}
}

// close ends every wait for an order.
func (b *inbox) close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		close(b.shut)
	}
}

func (b *inbox) closedBy() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// receiveOrders puts the orders that the master publishes into the inbox.
func (s *session) receiveOrders(ctx context.Context) error {
	sub, err := wire.DialTrigger(ctx, s.address.trigger, hex.EncodeToString(s.token[:]), s.options.Security)
	if err != nil {
		return nil // the reporter's answers repeat every order; without a beacon the master will not arm
	}
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case r, open := <-sub.Orders():
			if !open {
				return nil
			}
			if s.hearOrder(r, fact.ByPub) {
				s.reporter.setBeacon()
			}
		}
	}
}

// hearOrder puts an order into the inbox, if it is one of this run.
func (s *session) hearOrder(r wire.Received, by string) bool {
	if why := s.unsuited(r.Order); why != "" {
		s.tellIgnored(why)
		return false
	}
	if fast := s.fast.Load(); fast != nil && by == fact.ByPub {
		fast.Note(r.Sent)
	}
	s.orders.put(r.Order, by, r.At)
	return true
}

// longestWay is how far ahead of its sending an instant is at most: twice the longest
// trigger.lead.
const longestWay = 2 * time.Minute

// unsuited says why a message from the trigger port is no order of this run; "" for
// one that is.
func (s *session) unsuited(o wire.Order) string {
	switch ahead := time.Duration(o.Instant - o.Sent); {
	case o.Run != s.id:
		return "of another run"
	case o.Kind == wire.Fire && s.recipe.Trigger.OnReceipt():
		if ahead != 0 {
			return fmt.Sprintf("to start %v after it was sent, and not at once", ahead)
		}
	case o.Kind == wire.Fire && (ahead <= 0 || ahead > longestWay):
		return fmt.Sprintf("to start %v after it was sent", ahead)
	}
	return ""
}

// tellIgnored tells the users, once, that a message of the trigger port was ignored.
func (s *session) tellIgnored(why string) {
	s.ignored.Do(func() {
		s.log.Warn("an order was ignored", "why", why)
		s.reporter.queueNews(wire.News{Warning: &wire.Warning{
			Message: "an order " + why + " came from the trigger port, and was ignored",
			Hint:    "look for another tsrun at the master's address and for who else reaches this network; with tsrun pair nobody else can give orders"}})
	})
}

// startTakes is how long before the instant a node must have the order, beside a round
// trip: the master may have to call it off, and drivers are to be told.
const startTakes = 50 * time.Millisecond

// confirm asks the master, where the instant has passed already or is too near, whether
// the start still holds, and says whether it has asked.
func (s *session) confirm(ctx context.Context, instant time.Time, lead time.Duration) (asked bool, err error) {
	if s.recipe.Trigger.OnReceipt() { // an old order may have been recalled since
		if time.Since(instant) > s.recipe.Trigger.Lead.Duration() {
			return true, s.askAgain(ctx, instant, 0)
		}
		return false, nil
	}
	needs := min(startTakes+s.reporter.roundTrip(), lead/4) // the master waits no longer for it
	if time.Until(instant) >= needs || s.recipe.Trigger.Method != "scheduled" {
		return false, nil
	}
	return true, s.askAgain(ctx, instant, needs)
}

// askAgain asks the master whether a start holds for which the time is short: it is
// called off if this node was missed, and then nothing starts here alone. A start that
// holds is late, which the run tells.
func (s *session) askAgain(ctx context.Context, instant time.Time, needs time.Duration) error {
	left := time.Until(instant)
	late := -left
	if late < 0 {
		s.log.Warn("the order to start came too shortly before its instant; it is carried out if the master says it again", "left", left.String(), "needs", needs.String())
	} else {
		s.log.Warn("the order to start came after its instant; it is carried out if the master says it again", "late", late.String())
	}
	s.reporter.queueNews(wire.News{Short: &wire.Short{LeftNs: int64(left), NeedsNs: int64(needs)}})
	for !s.reporter.newsSeen() { // the answer that takes that line has the newest order
		if s.reporter.silence() > s.patience() {
			return fmt.Errorf("the order to start came %v after its instant, and the master does not say it again", late)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.orders.shut:
			return s.orders.closedBy()
		case <-time.After(confirmEvery):
		}
	}
	select {
	case o := <-s.orders.ch:
		s.reporter.acknowledge(o.Seq)
		return s.endedBy(o)
	default:
		return nil
	}
}

// confirmEvery is how often confirm looks.
const confirmEvery = 5 * time.Millisecond

// stopWhenTold ends the recording early when the master or the user of this PC orders it.
func (s *session) stopWhenTold(ctx context.Context, cancel context.CancelCauseFunc, eq *equipment) {
	stopped, shut := s.user.stop, s.orders.shut
	overdue, over := time.After(time.Until(s.instant.Add(s.recipe.Acquire.Duration.Duration()))), overrun{}
	var stopping sync.WaitGroup // an Abort must be seen while a device takes its time
	defer stopping.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-eq.recorded:
			return
		case <-stopped:
			stopped = nil
			s.reporter.queueNews(wire.News{Stopped: true})
			eq.stopping.Store(true)
			stopping.Go(func() { eq.stopDrivers(ctx) })
		case <-shut:
			shut = nil
			s.recordOn(s.orders.closedBy())
		case <-overdue:
			switch stands, late := over.look(eq.reached(eq.lasted(), eq.drivers...)+eq.handed(), time.Now()); {
			case stands:
				stopping.Go(func() {
					eq.tellOverrun(ctx, "comes no farther: it is stopped")
					eq.stopDrivers(ctx)
				})
				continue // for the last time
			case late:
				stopping.Go(func() { eq.tellOverrun(ctx, "is waited for as long as it comes farther") })
			}
			overdue = time.After(time.Second)
		case o := <-s.orders.ch:
			switch o.Kind {
			case wire.Stop:
				eq.stopping.Store(true)
				stopping.Go(func() {
					eq.stopDrivers(ctx)
					s.reporter.acknowledge(o.Seq)
				})
			case wire.Abort, wire.Release:
				s.reporter.acknowledge(o.Seq)
				cancel(errAborted)
				return
			}
		}
	}
}

// overrunAfter is for how long after its end a recording may come no farther, as devices
// hand over what they hold. Then it is stopped, which a driver that hangs does not survive,
// before the master gives the node up without knowing for what.
const overrunAfter = 30 * time.Second

// overrun watches a recording that should have ended.
type overrun struct {
	reached uint64    // how far it had come: ps of channels, and what sinks have done with them
	ended   time.Time // when it was looked at first
	since   time.Time // when it last came farther
	isLate  bool      // overrunAfter its end it had not ended
}

// look says of a recording that has come so far now whether it came no farther for
// overrunAfter, and once whether it comes farther so long after its end.
func (o *overrun) look(reached uint64, now time.Time) (stands, late bool) {
	if o.ended.IsZero() {
		o.ended, o.since = now, now
	}
	if reached > o.reached {
		o.reached, o.since = reached, now
	}
	stands = now.Sub(o.since) >= overrunAfter
	comes := now.Sub(o.since) < overrunAfter/2 // or it may be about to be stopped
	late = comes && !o.isLate && now.Sub(o.ended) >= overrunAfter
	o.isLate = o.isLate || late
	return stands, late
}

// endedBy says what an order ends that came instead of the one awaited: where shots
// were taken, a Stop keeps them.
func (s *session) endedBy(o wire.Order) error {
	if o.Kind == wire.Stop && s.fired {
		return errNoMore
	}
	return errAborted
}

// awaitOrder waits for one kind of order. An order that ends the run ends the wait.
func (s *session) awaitOrder(ctx context.Context, kind wire.OrderKind) (wire.Order, error) {
	var stopped <-chan struct{} // between two shots
	if s.fired && (kind == wire.Arm || kind == wire.Fire) {
		stopped = s.user.stop
	}
	for {
		select {
		case <-ctx.Done():
			return wire.Order{}, context.Cause(ctx)
		case <-s.orders.shut:
			return wire.Order{}, s.orders.closedBy()
		case <-time.After(heartbeat):
			if err := s.leavesBehind(); err != nil {
				return wire.Order{}, err
			}
			if kind == wire.Release && s.fired && s.reporter.answeredBy() != s.offeredTo {
				return wire.Order{}, errTakenOver
			}
			if s.reporter.silence() > s.patience() {
				return wire.Order{}, fmt.Errorf("the master has not answered for %v", s.patience())
			}
		case o := <-s.orders.ch:
			switch {
			case o.Kind == kind:
				if kind == wire.Release {
					s.reporter.acknowledge(o.Seq)
				}
				return o, nil
			case o.Kind == wire.Stop && kind == wire.Release && s.fired: // another node waits for a further shot; this one has ended its part
				s.reporter.acknowledge(o.Seq)
			case o.Kind == wire.Abort || o.Kind == wire.Release || o.Kind == wire.Stop:
				s.reporter.acknowledge(o.Seq)
				return wire.Order{}, s.endedBy(o)
			}
		case <-stopped:
			s.reporter.queueNews(wire.News{Stopped: true})
			return wire.Order{}, errNoMore
		}
	}
}
