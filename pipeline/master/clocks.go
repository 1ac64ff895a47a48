package master

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tsrun/pipeline/align"
	"tsrun/pipeline/clock"
	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// clock is what is known of a node's clock; the manifest gets it with the counts.
func (b *book) clock(name string) *run.NodeClock {
	if b.clocks[name] == nil {
		b.clocks[name] = &run.NodeClock{}
	}
	return b.clocks[name]
}

// clockLate is how late a clock may be before a start by it makes no sense.
const clockLate = 10 * time.Second

// clockDifference is between what a node's clock minus this PC's lies, by the times of messages. A report came after
// it was sent, and so did an answer: together they leave open no more than the smallest round trip, whatever
// the network does. Of clocks that run apart it begins anew once no difference fits all.
type clockDifference struct {
	least, most       time.Duration
	hasLeast, hasMost bool
	told              bool  // the user knows
	answered          int64 // when the newest answer was sent; 0: a clock was set since
}

// addReport notes when a report was sent, by the node's clock, and received, by this PC's.
func (d *clockDifference) addReport(sent, received int64) {
	if least := time.Duration(sent - received); !d.hasLeast || least > d.least {
		d.least, d.hasLeast = least, true
	}
	if d.hasMost && d.most < d.least {
		d.hasMost = false
	}
}

// answer notes that the node is answered now, and returns when by this PC's clock.
func (d *clockDifference) answer() int64 {
	d.answered = time.Now().UnixNano()
	return d.answered
}

// addAnswer notes when an answer was sent, by this PC's clock, and received, by the node's.
func (d *clockDifference) addAnswer(sent, received int64) {
	if most := time.Duration(received - sent); !d.hasMost || most < d.most {
		d.most, d.hasMost = most, true
	}
	if d.hasLeast && d.most < d.least {
		d.hasLeast = false
	}
}

// off returns by how much the node's clock is off at least, positive when it is ahead of
// this PC's, and whether that is beyond limit.
func (d *clockDifference) off(limit time.Duration) (off time.Duration, beyond bool) {
	switch {
	case d.hasLeast && d.least > limit:
		return d.least, true
	case d.hasMost && d.most < -limit:
		return d.most, true
	}
	return 0, false
}

// compareClocks looks at the clock that a report shows. A start at an instant
// needs clocks that agree; nothing but the nodes' own care makes them. A node on
// this PC has its clock, and what makes it look late is that it was held up.
func (c *conductor) compareClocks(ctx context.Context, name string, m *member, r *wire.Report) {
	if c.isLocal(name) {
		return
	}
	if m.access != nil && (m.compares || r.Clock != nil || r.Phase == wire.Preparing) {
		return // it starts by this PC's clock, or not: one that was set is compared again first
	}
	if r.ClockNs == 0 || c.recipe.Trigger.Method != "scheduled" || c.state.started() {
		return
	}
	m.clock.addReport(r.ClockNs, time.Now().UnixNano())
	if a := r.Answered; a != nil && a.SentNs == m.clock.answered {
		m.clock.addAnswer(a.SentNs, a.CameNs)
	}
	off, beyond := m.clock.off(c.clockLimit())
	if !beyond || m.clock.told {
		return
	}
	m.clock.told = true
	direction := "ahead of"
	if off < 0 {
		direction = "behind"
	}
	says := fmt.Sprintf("its clock is %v %s this PC's", max(off, -off).Round(time.Millisecond), direction)
	const hint = "run an NTP or PTP service on both PCs, such as chrony or ptp4l"
	lead := c.recipe.Trigger.Lead.Duration()
	if off > lead-ackGuard(lead) || off < -clockLate {
		c.applyEvent(ctx, evFailed{name, sdk.Failure{Code: "clock-off", Message: says + ", so it would fire at another instant", Hint: hint}})
		return
	}
	c.observe(event.Warning{Node: name, Message: says + ": it starts that much earlier or later", Hint: hint})
	c.notice(run.Reason{Condition: run.Tainted, Node: name, Message: says + " when the run began"})
}

// clockLimit is how far clocks may be apart: what the align stages look for.
func (c *conductor) clockLimit() time.Duration {
	limit := time.Duration(0)
	aligns, _ := stage.AlignStages(c.recipe) // what cannot be read is skipped at the end, and says so
	for _, s := range aligns {
		if search := s.Search.Duration(); limit == 0 || search < limit {
			limit = search
		}
	}
	if limit == 0 {
		return time.Duration(align.DefaultSearch / 1000) // ps to ns
	}
	return limit
}

// comparesClocks reports whether nodes are to ask for this PC's time: those on
// other PCs, because one on this PC has the same clock.
func (c *conductor) comparesClocks() bool {
	return c.recipe.Clock.Source != "none" && slices.ContainsFunc(c.recipe.Nodes, func(n recipe.Node) bool { return n.Host != "local" })
}

// hearClock enters a node's newest reading in the book, and tells of one that is not
// to be believed while the node records.
func (c *conductor) hearClock(name string, m *member, report *wire.Report) {
	r := report.Clock
	if r == nil || !r.Plausible() {
		return
	}
	known := c.book.clock(name)
	known.Last, m.compares = r, true
	if report.Phase != wire.Running || known.Start == nil {
		return
	}
	for _, says := range doubts(*known.Start, *r, c.recipe.Clock.MaxOffset.Duration()) {
		if m.doubts[says.kind] {
			continue
		}
		if m.doubts == nil {
			m.doubts = map[string]bool{}
		}
		m.doubts[says.kind] = true
		c.observe(event.Warning{Node: name, Message: says.message, Hint: says.hint})
		c.notice(run.Reason{Condition: run.Tainted, Node: name, Message: says.message})
	}
}

// standings say how this PC's clock stands, to a node that compares its own.
func (c *conductor) standings(m *member) []clock.Standing {
	if m.access == nil || c.services == nil {
		return nil
	}
	return slices.DeleteFunc(c.services.Standings(), func(s clock.Standing) bool { return !s.Plausible() })
}

// doubt is a reason not to believe a clock.
type doubt struct{ kind, message, hint string }

// doubts are what speaks against a node's clock since it began.
func doubts(start, last clock.Reading, limit time.Duration) (all []doubt) {
	switch {
	case last.Lost != "":
		all = append(all, doubt{"lost", fmt.Sprintf("its clock is not known any more by %s: %s", last.Source, last.Lost), "look at that service on both PCs"})
	case last.Source != start.Source:
		if why := whyNot(last, start.Source); why != "" {
			all = append(all, doubt{"lost", fmt.Sprintf("%s, by which it started, is not to be believed any more: %s", start.Source, why), "look at that service on both PCs"})
		}
	}
	if other, ok := last.Disagrees(); ok {
		all = append(all, doubt{"disagrees", fmt.Sprintf("its clock is %d ± %d ns ahead of the master's by %s, and %d ± %d ns by %s, which cannot both be",
			last.Offset, last.Bound, last.Source, other.Offset, other.Bound, other.Source), "the bound of the probe needs no trust; look at the service"})
	}
	if limit > 0 && last.Lost == "" && last.Farthest() > limit.Nanoseconds() {
		all = append(all, doubt{"offset", fmt.Sprintf("its clock left clock.max_offset, %v: it is %d ± %d ns ahead of the master's", limit, last.Offset, last.Bound), "look at what keeps the clocks of the PCs"})
	}
	return all
}

// whyNot is what a reading has against another source than its own; "": nothing but
// that its own bound is smaller, or that the other begins anew and has not said enough.
func whyNot(r clock.Reading, source string) string {
	for _, o := range r.Others {
		switch {
		case o.Source == source && o.Excluded:
			return "the probe excludes it"
		case o.Source == source:
			return o.Why
		}
	}
	return ""
}

// tellClock tells of the reading by which a node translated the instant.
func (c *conductor) tellClock(name string, r *clock.Reading) {
	if !r.Plausible() {
		c.log.Warn("a reading of a clock that cannot be", "about", name)
		return
	}
	c.log.Info("instant translated", "about", name, "offset_ns", r.Offset, "bound_ns", r.Bound)
	if r.Unstable {
		c.observe(event.Warning{Node: name, Message: "its clock against this PC's was not steady while they were compared",
			Hint: "two services that steer one clock, or a network that is very busy; docs/timing.md"})
	}
}
