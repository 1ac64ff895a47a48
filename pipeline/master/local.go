package master

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// prepareWithin is how long before the time that a local part is to begin at its
// devices are opened.
const prepareWithin = 10 * time.Second

// awaitBegin waits until a local part is to be prepared. The clock may be set
// meanwhile, so it is looked at again and again.
func (c *conductor) awaitBegin(ctx context.Context) error {
	at := c.options.At
	left := func() time.Duration { return time.Until(at) - prepareWithin - c.rules().lead }
	if at.IsZero() || left() <= 0 {
		return nil
	}
	c.observe(event.Waiting{Node: c.options.Local.Node, For: at.Format(time.RFC3339Nano), Why: "to begin then; devices are opened " + prepareWithin.String() + " before"})
	for left() > 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.options.Interrupts:
			return &sdk.Failure{Code: "aborted", Message: "stopped by the user before the time to begin: nothing was recorded"}
		case <-time.After(min(left(), time.Second)):
		}
	}
	return nil
}

// instantFrom is when the nodes are to start: as soon as the lead allows, or at the time
// that the user has given.
func (c *conductor) instantFrom(now time.Time, lead time.Duration) time.Time {
	soonest, at := now.Add(lead), c.options.At
	switch {
	case at.IsZero():
		return soonest
	case !at.Before(soonest):
		return now.Add(at.Sub(now))
	}
	c.notice(run.Reason{Condition: run.Tainted, Node: c.options.Local.Node,
		Message: fmt.Sprintf("it began %v later than it was told to (--at): its devices were not ready before", soonest.Sub(at).Round(time.Millisecond))})
	return soonest
}

// keepsOwnClock reports whether a run is a local part whose PC's clock is looked at.
func (c *conductor) keepsOwnClock() bool {
	return c.options.Local != nil && c.past == nil && c.recipe.Clock.Source != "none" && c.recipe.Clock.Source != clock.Probe
}

// lookAtOwnClock enters what is known of this PC's clock, when a local part starts and
// when it is over.
func (c *conductor) lookAtOwnClock(over bool) {
	if c.book.manifest.Local == nil {
		return
	}
	local := *c.book.manifest.Local // the manifest may be on its way to the disk
	defer func() { c.book.manifest.Local = &local }()
	_, known := local.Clock.Known()
	switch {
	case c.past != nil && !known:
		local.Clock.Why = "the process that asked what keeps it was killed"
		return
	case c.past != nil:
		return
	case c.services == nil:
		local.Clock.Why = "clock.source is " + c.recipe.Clock.Source + ", which asks no service of this PC"
		return
	}
	if standings := c.services.Standings(); over {
		local.Clock.End = standings
	} else {
		local.Clock.Start = standings
	}
	if _, known := local.Clock.Known(); !known && over {
		local.Clock.Why = c.whyUnknown()
	}
}

// whyUnknown says why no service told how this PC's clock stands.
func (c *conductor) whyUnknown() string {
	var whys []string
	for _, source := range []string{clock.PTP, clock.Chrony} {
		if why := c.services.Why(source); why != "" {
			whys = append(whys, source+": "+strings.ReplaceAll(why, "\n", ", "))
		}
	}
	if len(whys) == 0 {
		return "the record was too short to hear what keeps it"
	}
	return strings.Join(whys, "; ")
}

// FinishLocal finishes the local parts of a node in a directory of runs whose tsrun was
// killed, so that they can be delivered. What cannot be finished is told and stays.
func FinishLocal(ctx context.Context, root, node string, o Options) {
	for _, path := range run.BrokenOff(root, node) {
		if ctx.Err() != nil {
			return
		}
		o.Observer.Observe(event.Warning{Node: node, Message: path + " was broken off, and is finished now"})
		if _, err := Resume(ctx, path, o); err != nil {
			o.Observer.Observe(event.Warning{Node: node, Message: fmt.Sprintf("%s stays unfinished: %v", path, err), Hint: "try it with: tsrun resume " + path})
		}
	}
}
