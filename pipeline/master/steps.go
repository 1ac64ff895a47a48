package master

import (
	"context"
	"fmt"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// mostSteps is how many steps of one clock are told in a run.
const mostSteps = 16

// steps are those of the clocks of PCs, by node; "" is this one.
type steps map[string]int

// watchClock returns what tells when this PC's clock is set, which is that of its own
// nodes, too.
func (c *conductor) watchClock() func(context.Context, func(clock.Step)) {
	if c.options.WatchClock != nil {
		return c.options.WatchClock
	}
	return clock.Watch
}

// hearStep applies that a clock was set. Before the instant the start is called off,
// because its nodes would not start together; from then on the run is TAINTED.
func (c *conductor) hearStep(ctx context.Context, name string, s clock.Step) {
	says := "its clock " + s.String()
	if name == "" {
		says = "the master's clock " + s.String()
		c.log.Warn("the clock of this PC was set", "by_ns", s.By, "at_ns", s.At)
	}
	c.forgetDifferences(name)
	if c.state.phase != armed && c.state.phase != running {
		return // clocks are compared again before the instant
	}
	if c.steps[name]++; c.steps[name] > mostSteps {
		return
	}
	if c.recipe.Trigger.Method == "scheduled" && c.untilRecall() > 0 {
		c.applyEvent(ctx, evClockSet{name, sdk.Failure{Code: "clock-set", Message: says + ", when all were armed, so the start was called off before its instant", Hint: clock.SetHint}})
		return
	}
	c.observe(event.Warning{Node: name, Message: says, Hint: clock.SetHint})
	c.notice(run.Reason{Condition: run.Tainted, Node: name, Message: says + ", while the run went on"})
}

// forgetDifferences forgets how far the clocks of nodes were from this PC's before one was set.
func (c *conductor) forgetDifferences(name string) {
	for node, m := range c.members {
		if name == "" || name == node {
			m.clock = clockDifference{told: m.clock.told}
		}
	}
}

// hearShort calls the start off for all where a node says that it cannot start at the
// instant. Where it is too late for that, the node starts late, which it tells.
func (c *conductor) hearShort(ctx context.Context, name string, s wire.Short) {
	if c.state.phase != armed || c.untilRecall() <= 0 {
		return
	}
	c.applyEvent(ctx, evFailed{name, sdk.Failure{Code: "instant-missed",
		Message: fmt.Sprintf("it cannot start at the instant: the order came %v before it, and a start takes %v; the start was called off for all before it",
			time.Duration(s.LeftNs).Round(time.Microsecond), time.Duration(s.NeedsNs).Round(time.Microsecond)),
		Hint: "raise trigger.lead, or look for what keeps the node or its network busy"}})
}

// clockSet calls a start off that has been given, and not begun.
func (s state) clockSet(e evClockSet) (state, []any) {
	if s.phase != armed && s.phase != running {
		return s, nil
	}
	return s.refuse(trouble{refusal, e.node, e.failure})
}
