package slave

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/wire"
	"tsrun/pipeline/xdp"
)

// copies are what came of one order to start, over several ways.
type copies struct {
	seq   uint64
	by    string // the way of the first
	at    time.Time
	later map[string]time.Duration
}

// note notes a copy. Of an older order nothing is kept.
func (c *copies) note(seq uint64, by string, at time.Time) {
	switch {
	case seq > c.seq:
		*c = copies{seq: seq, by: by, at: at, later: map[string]time.Duration{}}
	case seq == c.seq && by != c.by:
		if _, known := c.later[by]; !known {
			c.later[by] = max(0, at.Sub(c.at))
		}
	}
}

// heard says how the order to start a shot came, as far as that is known; nil: by no way
// that is known.
func (b *inbox) heard(shot int) *fact.Heard {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.copies.seq == 0 {
		return nil
	}
	h := &fact.Heard{Shot: shot, By: b.copies.by, AtNs: b.copies.at.UnixNano()}
	for by, later := range b.copies.later {
		if h.LaterNs == nil {
			h.LaterNs = map[string]int64{}
		}
		h.LaterNs[by] = later.Nanoseconds()
	}
	return h
}

// heard says how the order to start the shot came that is under way.
func (s *session) heard(eq *equipment) *fact.Heard {
	h := s.orders.heard(max(eq.part.shot, 1))
	if fast := s.fast.Load(); h != nil && fast != nil {
		dropped := fast.Dropped()
		h.Dropped = &dropped
	}
	return h
}

// startFast begins to hear orders as datagrams, where the master sends them. Where that
// fails the orders come by the other ways, and the users are told.
func (s *session) startFast(group *errgroup.Group, ctx context.Context) {
	access := s.welcome.Fast
	if access == nil || !s.recipe.Trigger.Datagrams() {
		return
	}
	fast, err := wire.DialFast(s.address.datagrams, *access, s.id, func(r wire.Received, by string) { s.hearOrder(r, by) })
	if err != nil {
		s.warnOfFast(fmt.Sprintf("trigger.fast: %v", err), "look at the network of this PC")
		return
	}
	s.fast.Store(fast)
	if us := s.recipe.Realtime.BusyPoll.Duration().Microseconds(); us > 0 {
		grant := fast.PollBusily(int(us))
		s.polls = &grant
	}
	s.startPast(group, ctx, fast)
	group.Go(func() error {
		if err := fast.Run(ctx); err != nil {
			s.warnOfFast(fmt.Sprintf("trigger.fast: %v", err), "look at the network of this PC")
		}
		return nil
	})
}

// startPast begins to hear datagrams past the kernel's network, where the recipe wants
// that and another PC sends them. Where that fails they come as ever, and the users are
// told.
func (s *session) startPast(group *errgroup.Group, ctx context.Context, fast *wire.FastSubscriber) {
	if !s.recipe.Trigger.PastKernel() {
		return
	}
	switch err := fast.GoPast(); {
	case xdp.Loopback(err): // is so by its nature
		s.log.Info("datagrams come by UDP", "why", err)
	case err != nil:
		s.warnOfPast(err)
	default:
		group.Go(func() error {
			if err := fast.RunPast(ctx); err != nil {
				s.warnOfPast(err)
			}
			return nil
		})
	}
}

// warnOfPast tells the users that datagrams come by the kernel's network.
func (s *session) warnOfPast(why error) {
	hint := "look at the network of this PC"
	var refused *xdp.Refusal
	if errors.As(why, &refused) {
		hint = refused.Remedy
	}
	s.log.Warn("datagrams come by UDP", "why", why)
	s.reporter.queueNews(wire.News{Warning: &wire.Warning{
		Message: fmt.Sprintf("trigger.fast: xdp: %v: datagrams come by UDP", why), Hint: hint}})
}

// tellDeaf tells the users of a node that is about to be fired, and to which no datagram
// has come.
func (s *session) tellDeaf() {
	if fast := s.fast.Load(); fast != nil && !s.fired && !fast.Heard() {
		port := s.welcome.Fast.Port
		s.warnOfFast(fmt.Sprintf("trigger.fast: nothing came from UDP port %d of the master", port), fmt.Sprintf("let the firewalls between pass UDP port %d to the master, and its answers", port))
	}
}

func (s *session) warnOfFast(says, hint string) {
	s.log.Warn("no datagrams", "why", says)
	s.reporter.queueNews(wire.News{Warning: &wire.Warning{Message: says + ": the order to start comes by the other ways alone", Hint: hint}})
}

// received is the moment of an order to start which is carried out on receipt: when it
// came, and when it was sent by this PC's clock, as far as that is known.
func (s *session) received(order wire.Order) (at, sent time.Time, reading *clock.Reading) {
	at = time.Now() // of one that came with a welcome, by no way that is known
	if h := s.orders.heard(1); h != nil {
		at = time.Unix(0, h.AtNs)
	}
	local, reading, err := s.translate(order.Sent)
	switch {
	case err != nil: // the others start all the same
		s.log.Warn("by how much the start was late is not known", "error", err)
		return at, at, nil
	case reading == nil && s.node.Host != "local": // nobody has compared the clocks
		return at, at, nil
	}
	return at, time.Unix(0, local), reading
}

// lateAfter is how long after it was sent an order to start on receipt is late: a busy PC
// takes a few ms.
const lateAfter = 100 * time.Millisecond

// onReceipt puts into a shot that was fired on receipt when it was asked for.
func (eq *equipment) onReceipt(s *fact.Shot) {
	if sent := eq.sent.Load(); sent != 0 {
		s.Asked = sent
		s.Late = s.Called-sent > lateAfter.Nanoseconds()
	}
}
