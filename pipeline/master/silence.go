package master

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/text"
	"tsrun/pipeline/wire"
)

// setDeadline sets the deadline of the phase; 0: none.
func (c *conductor) setDeadline(after time.Duration) {
	c.deadline.Stop()
	c.due = time.Time{}
	if after > 0 {
		c.due = time.Now().Add(after)
		c.deadline.Reset(after)
	}
}

// forgivePause counts the time in which this process was held up neither as the
// nodes' silence nor as their delay. The instant does not wait.
func (c *conductor) forgivePause(now time.Time) {
	pause := c.attention.Pause(now)
	if pause == 0 {
		return
	}
	c.log.Warn("this process was held up", "for", pause.String())
	for _, m := range c.members {
		m.heard = wire.Forgive(m.heard, pause, now)
	}
	if !c.due.IsZero() && c.state.phase != armed {
		c.setDeadline(c.due.Add(pause).Sub(now))
	}
}

// findSilentNodes applies the silence of every slave that is away, and of every one
// that has been for longer than the recipe allows.
func (c *conductor) findSilentNodes(ctx context.Context, now time.Time) {
	c.forgivePause(now)
	for _, name := range slices.Sorted(maps.Keys(c.members)) {
		n, silence := c.state.nodes[name], now.Sub(c.members[name].heard)
		if n.gone || n.phase == wire.Done || silence < wire.AwayAfter {
			continue
		}
		if !n.away || silence >= c.state.rules.patience {
			c.applyEvent(ctx, evSilent{name, silence})
		}
	}
}

// hear notes that a node was heard, and takes it back if it was away.
func (c *conductor) hear(ctx context.Context, name string, m *member) {
	away := c.state.nodes[name].away
	if away {
		m.silent = time.Since(m.heard)
	}
	m.heard = time.Now()
	if away {
		c.applyEvent(ctx, evHeard{name})
	}
}

// showAway shows which nodes are away, or back, since a state before.
func (c *conductor) showAway(before state) {
	for _, name := range slices.Sorted(maps.Keys(c.state.nodes)) {
		n, was, m := c.state.nodes[name], before.nodes[name].away, c.members[name]
		switch {
		case n.away == was || m == nil:
		case n.away:
			silence := time.Since(m.heard)
			c.log.Warn("node away", "about", name, "silent", silence.String())
			c.observe(event.Away{Node: name, Silent: silence, Patience: c.state.rules.patience})
		case !n.gone:
			c.log.Info("node back", "about", name, "silent", m.silent.String())
			c.observe(event.Back{Node: name, Silent: m.silent})
		}
	}
}

// tellRestart tells the user that a node records again.
func (c *conductor) tellRestart(name string, r *fact.Restart) {
	c.log.Warn("node records again", "about", name, "from_ps", r.From, "at_ps", r.At, "why", r.Why)
	c.observe(event.Warning{Node: name, Message: fmt.Sprintf("records again from %s of the run on; nothing is recorded since %s: %s", text.Seconds(r.At), text.Seconds(r.From), r.Why),
		Hint: "the run is INCOMPLETE, and stages look at one part of its record"})
}
