package master

import (
	"fmt"
	"maps"
	"slices"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/wire"
	"tsrun/sdk/quantity"
)

// beEarly enters how much earlier a controller is to be fired.
func (b *book) beEarly(name string, e *wire.Early) {
	if c := b.manifest.Nodes[name].Controllers[e.Controller]; c != nil {
		if e.Path != nil && !e.Path.Plausible() {
			e.Path = nil
		}
		c.Compensation = &e.Compensation
	}
	if b.shared != nil { // of a controller that is started anew
		b.shareEarly(*b.shared)
	}
}

// timed is what is known of the ways of all commands that were to be timed, nil where one
// is not, and the name of the first of these.
func (b *book) timed() (paths []*fact.CommandPath, unknown string) {
	for _, name := range b.manifest.NodeOrder() {
		controllers := b.manifest.Nodes[name].Controllers
		for _, key := range slices.Sorted(maps.Keys(controllers)) {
			c := controllers[key].Compensation
			switch {
			case c == nil || c.MeasuredNs == nil && c.Why == "":
			case c.MeasuredNs == nil || c.Path == nil:
				if paths = append(paths, nil); unknown == "" {
					unknown = name + "." + key
				}
			default:
				paths = append(paths, c.Path)
			}
		}
	}
	return paths, unknown
}

// shareEarly enters that all controllers that were timed are fired earlier alike. It
// reports whether one is changed. A manifest that is being written may share what is there.
func (b *book) shareEarly(ns int64) (changed bool) {
	b.shared = &ns
	for _, n := range b.manifest.Nodes {
		for _, c := range n.Controllers {
			if c.Compensation != nil && c.Compensation.MeasuredNs != nil {
				shared := c.Compensation.Shared(ns, int64(recipe.MaxCompensation/quantity.Nanosecond))
				c.Compensation, changed = &shared, true
			}
		}
	}
	return changed
}

// shareEarly has an order to arm say what all nodes compensate alike, where they should.
func (c *conductor) shareEarly(order *wire.Order) {
	if order.Kind != wire.Arm || c.state.shot > 1 {
		return
	}
	paths, unknown := c.book.timed()
	if order.SharedNs, order.Shared = fact.SharedWay(paths); !order.Shared {
		return
	}
	if c.book.shareEarly(order.SharedNs) && unknown != "" {
		c.observe(event.Warning{Message: fmt.Sprintf("trigger.compensation: auto: no controller is fired earlier by what was measured, since of %s that is not known", unknown),
			Hint: "give that one a time instead (tsrun calibrate RUN proposes one), or start when its PC is less busy"})
	}
}

// tellCompensation tells that a controller was fired by another compensation than in the
// shot before.
func (c *conductor) tellCompensation(name string, s *wire.ShotFired) {
	takes := c.book.manifest.Nodes[name].Takes
	if len(takes) < 2 || s.CompensationNs == nil {
		return
	}
	before := takes[len(takes)-2].Shots[s.Controller].CompensationNs
	if before != nil && *before != *s.CompensationNs {
		c.observe(event.Compensated{Node: name, Controller: s.Controller, Shot: takes[len(takes)-1].Number, WasNs: *before, IsNs: *s.CompensationNs})
	}
}
