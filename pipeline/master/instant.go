package master

import (
	"context"
	"fmt"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk/quantity"
)

// patience is how long nodes that are waiting to be answered when a deadline
// passes are listened to before it counts. When this process itself was held up,
// what they had to say is older than the deadline.
const patience = 50 * time.Millisecond

func (c *conductor) applyDeadline(ctx context.Context) {
	c.forgivePause(time.Now())
	if c.due.After(time.Now()) {
		return // it has been moved
	}
	before := c.state.phase
	wait := time.NewTimer(c.patience())
	defer wait.Stop()
	for c.state.phase == before {
		select {
		case r := <-c.requests:
			r.answer <- c.answer(ctx, r)
			continue
		case <-wait.C:
		}
		break
	}
	if c.state.phase != before {
		return // with a deadline of its own
	}
	c.applyEvent(ctx, evOverdue{fired: c.state.phase == armed && c.untilRecall() <= 0, farther: c.farther(time.Now())})
}

// farther are the nodes whose recording has come farther within the last drainTimeout.
func (c *conductor) farther(now time.Time) (names []string) {
	for name, m := range c.members {
		if now.Sub(m.farther) < drainTimeout {
			names = append(names, name)
		}
	}
	return names
}

// recall is how long before the instant an order still calls it off, on a quick
// network: it is on its way, and the drivers are told.
const recall = 10 * time.Millisecond

// untilRecall is how long the start can still be called off.
func (c *conductor) untilRecall() time.Duration {
	trip := time.Duration(0)
	for _, m := range c.members {
		trip = max(trip, m.trip)
	}
	lead := time.Duration(c.book.manifest.Trigger.LeadNs)
	instant := c.instant // which a clock that is set does not move
	if instant.IsZero() {
		instant = time.Unix(0, c.book.manifest.Trigger.InstantNs)
	}
	return time.Until(instant) - min(recall+trip, ackGuard(lead)/2)
}

// patience is how long nodes are still listened to when a deadline has passed.
func (c *conductor) patience() time.Duration {
	if c.state.phase == armed {
		return max(0, min(patience, c.untilRecall()/2))
	}
	return patience
}

// passInstant lets the instant have passed before something that would call the start
// off: whoever has started is not called back, and what it records is kept.
func (c *conductor) passInstant(ctx context.Context, happened any) {
	if c.state.phase != armed || c.untilRecall() > 0 {
		return
	}
	switch happened.(type) {
	case evFailed, evGone, evInterrupted, evSilent:
		c.applyEvent(ctx, evOverdue{fired: true})
	}
}

// tellAlone notes a controller that was started although its start was called off: its node
// was held up, or cut off, when it had given the order and before it said so.
func (c *conductor) tellAlone(name string, s *wire.ShotFired) {
	if c.state.phase != failed {
		return
	}
	c.notice(run.Reason{Condition: run.Aborted, Node: name,
		Message: fmt.Sprintf("controller %q had been started when the start was called off, and recorded alone", s.Controller)})
}

// unstarted enters that nobody saw a controller begin whose tags are here.
func (b *book) unstarted(name string, u *wire.Unstarted) {
	if b.manifest.Nodes[name].Controllers[u.Controller] == nil {
		return
	}
	which := ""
	if u.Shot > 0 {
		which = fmt.Sprintf("shot %d: ", u.Shot)
	}
	b.manifest.Notice(run.Reason{Condition: run.Tainted, Node: name, Message: fmt.Sprintf("%scontroller %q brought %s, and its driver told of no start: nobody knows when it began",
		which, u.Controller, quantity.Counted(u.Tags, "tag"))})
}
