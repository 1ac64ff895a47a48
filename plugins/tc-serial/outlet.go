package main

import (
	"tsrun/sdk"
)

// output takes what a driver has recorded: an sdk.Stream, or a test.
type output interface {
	Send(stream uint16, tags []uint64) error
	Mark(stream uint16, until uint64) error
	Lost(stream uint16, n uint64, why string)
}

// outlet gathers the tags of the channels of one device, which come in one
// order of time, and sends them on.
type outlet struct {
	out   output
	end   uint64 // ps: later tags are not of the acquisition; 0: there is no end
	lanes []*outletLane
	err   error // the first failure
}

// outletLane is one channel.
type outletLane struct {
	channel sdk.Channel
	tags    []uint64
	Tags    uint64
	Lost    uint64
}

func newOutlet(out output, a sdk.Acquisition) *outlet {
	o := &outlet{out: out, end: uint64(max(a.Duration, 0).Nanoseconds()) * 1000}
	for _, c := range a.Channels {
		o.lanes = append(o.lanes, &outletLane{channel: c})
	}
	return o
}

// enter adds a tag of an input.
func (o *outlet) enter(input int, tag uint64) {
	if o.end > 0 && tag >= o.end {
		return
	}
	for _, l := range o.lanes {
		if l.channel.Input == input {
			l.tags = append(l.tags, tag)
		}
	}
}

// send sends what has been gathered.
func (o *outlet) send() {
	for _, l := range o.lanes {
		if len(l.tags) > 0 && o.err == nil {
			o.err = o.out.Send(l.channel.Stream, l.tags)
			l.Tags += uint64(len(l.tags))
		}
		l.tags = l.tags[:0]
	}
}

// mark sends, and says that nothing before until comes any more.
func (o *outlet) mark(until uint64) {
	o.send()
	if o.end > 0 {
		until = min(until, o.end)
	}
	for _, l := range o.lanes {
		if o.err == nil {
			o.err = o.out.Mark(l.channel.Stream, until)
		}
	}
}

// lose records that n tags are missing here. Of which channel they were is not
// known, so each may have lost them.
func (o *outlet) lose(n uint64, why string) {
	o.send()
	for _, l := range o.lanes {
		l.Lost += n
		o.out.Lost(l.channel.Stream, n, why)
	}
}

// laneReport is what the manifest says of a channel.
type laneReport struct {
	Channel string `json:"channel"`
	Input   int    `json:"input"`
	Tags    uint64 `json:"tags"`
	Lost    uint64 `json:"lost,omitempty"`
}

func (o *outlet) report() (lanes []laneReport) {
	for _, l := range o.lanes {
		lanes = append(lanes, laneReport{l.channel.Name, l.channel.Input, l.Tags, l.Lost})
	}
	return lanes
}
