package recipe

import (
	"fmt"
	"strings"
)

// CheckPart checks the part of a recipe that a slave was sent: it may come from
// another release, or from somebody else. What it says of this node is held
// against the table of keys, as if it stood in a file here.
func (r *Recipe) CheckPart(node string) error {
	if len(r.Nodes) != 1 || r.Nodes[0].Name != node {
		return fmt.Errorf("it does not describe node %s alone", node)
	}
	p := &part{}
	n := r.Nodes[0]
	p.name("nodes", n.Name)
	p.amount("acquire.duration", int64(r.Acquire.Duration))
	p.amount("acquire.segment", int64(r.Acquire.Segment))
	p.number("acquire.repeat", r.Acquire.Shots())
	p.amount("transfer.chunk", int64(r.Transfer.Chunk))
	p.number("transfer.streams", r.Transfer.Streams)
	p.amount("trigger.lead", int64(r.Trigger.Lead))
	if r.Faults.Patience != 0 { // a master that does not know it says nothing
		p.amount("faults.patience", int64(r.Faults.Patience))
	}
	p.choice("trigger.method", r.Trigger.Method)
	if r.Trigger.Fast != "" { // a master that does not know it says nothing
		p.choice("trigger.fast", r.Trigger.Fast)
	}
	p.realtime(r.Realtime)
	p.choice("transfer.keep_source", r.Transfer.KeepSource)
	if r.Transfer.Compress != "" {
		p.choice("transfer.compress", r.Transfer.Compress)
	}
	for _, compensation := range r.Trigger.Compensation {
		p.amount("trigger.compensation.NODE", int64(compensation.Time))
	}
	controllers := map[string]bool{}
	for _, c := range n.Controllers {
		p.name("nodes.NODE.controllers", c.Name)
		p.name("nodes.NODE.controllers.CONTROLLER.driver", c.Driver)
		p.once("controller", c.Name, controllers)
	}
	channels := map[string]bool{}
	for _, c := range n.Channels {
		p.name("nodes.NODE.channels", c.Name)
		p.once("channel", c.Name, channels)
		p.name("nodes.NODE.channels.CHANNEL.on", fmt.Sprintf("%s/%d", c.Controller, c.Input))
		p.amount("nodes.NODE.channels.CHANNEL.threshold", c.Microvolts())
		p.amount("nodes.NODE.channels.CHANNEL.delay", int64(c.Delay))
		p.choice("nodes.NODE.channels.CHANNEL.edge", c.Edge)
		if !controllers[c.Controller] {
			p.wrong("nodes.NODE.channels.CHANNEL.on", "there is no controller %.70q", c.Controller)
		}
	}
	sinks := map[string]bool{}
	for _, s := range r.Sinks {
		p.name("sinks", s.Name)
		p.name("sinks.SINK.sink", s.Sink)
		p.once("sink", s.Name, sinks)
	}
	const maxStreams = 1 << 16 // a stream is numbered in 16 bits
	if len(n.Channels) > maxStreams {
		p.wrong("nodes.NODE.channels", "%d of them; a node has at most %d", len(n.Channels), maxStreams)
	}
	return p.err
}

// part holds values against the table of keys; err is the first that does not fit.
type part struct{ err error }

func (p *part) wrong(path, format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
}

// key returns a key of the table by its path, with the table's own words for names.
func key(path string) *Field {
	f := table
	for _, word := range strings.Split(path, ".") {
		if next := f.find(word); next != nil {
			f = next
		} else {
			f = f.each
		}
	}
	return f
}

func (p *part) amount(path string, v int64) {
	if f := key(path); v < f.limits.min || v > f.limits.max {
		p.wrong(path, "%s is not from %s to %s", f.amount.format(v), f.amount.format(f.limits.min), f.amount.format(f.limits.max))
	}
}

// realtime checks what is asked of the system; a master that does not know it says
// nothing.
func (p *part) realtime(r Realtime) {
	if r == (Realtime{}) {
		return
	}
	p.name("realtime.priority", r.Priority)
	p.name("realtime.core", r.Core)
	p.choice("realtime.lock_memory", r.LockMemory)
	if r.DMALatency != nil {
		p.amount("realtime.dma_latency", int64(*r.DMALatency))
	}
	if r.BusyPoll != 0 {
		p.amount("realtime.busy_poll", int64(r.BusyPoll))
	}
}

func (p *part) number(path string, v int) {
	if f := key(path); int64(v) < f.limits.min || int64(v) > f.limits.max {
		p.wrong(path, "%d is not from %d to %d", v, f.limits.min, f.limits.max)
	}
}

func (p *part) name(path, text string) {
	if message, _ := key(path).form.check(text); message != "" {
		p.wrong(path, "%.200s", message)
	}
}

func (p *part) choice(path, text string) {
	for _, c := range key(path).choices {
		if c == text {
			return
		}
	}
	p.wrong(path, "%.70q is not one of %s", text, strings.Join(key(path).choices, ", "))
}

func (p *part) once(what, name string, seen map[string]bool) {
	if seen[name] {
		p.wrong("nodes.NODE", "%s %s is there twice", what, name)
	}
	seen[name] = true
}
