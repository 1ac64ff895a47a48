package master

import (
	"context"
	"fmt"
	"math"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
)

// diskEvery is how often the master looks at the disk of its run directory.
const diskEvery = 200 * time.Millisecond

// disks is what the conductor knows of the disks that a run fills.
type disks struct {
	own    *fact.Disk            // of the run directory; nil: not known yet
	nodes  map[string]*fact.Disk // of remote nodes
	warned map[string]bool       // by node, "" for the own: the user knows that it will not do
}

// diskSeen says how full the disk of the run directory is.
type diskSeen struct{ disk fact.Disk }

// watchDisk tells the loop how full the run directory's disk is, until ctx ends.
// The loop itself never waits for a disk.
func (c *conductor) watchDisk(ctx context.Context) error {
	tick := time.NewTicker(diskEvery)
	defer tick.Stop()
	var filling run.Filling
	for {
		if free, err := run.FreeSpace(c.dir.Path()); err == nil { // one that is gone is told by what is written there
			c.queueEvent(diskSeen{filling.Note(free, time.Now())})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// applyDisk ends the recording of all nodes before the master's disk is full: what
// was recorded by then is whole, and has room here.
func (c *conductor) applyDisk(ctx context.Context, d fact.Disk) {
	c.disks.own = &d
	below, owed := int64(c.recipe.Faults.DiskBelow), c.book.owed()
	if c.state.phase == running && d.Low(below, owed, run.DiskReaction) {
		c.applyEvent(ctx, evDiskLow{*run.DiskLow("the master's disk", c.dir.Path(), d, below, owed)})
	}
	c.warnOfDisk("", d, owed)
}

// noteDisk notes how full the disk of a node is, which ends its recording itself.
func (c *conductor) noteDisk(name string, r *wire.Report) {
	if r.Disk != nil && !c.isLocal(name) {
		c.disks.nodes[name] = r.Disk
		c.warnOfDisk(name, *r.Disk, 0)
	}
}

// warnOfDisk tells the user, once for each disk, that it will not do for the recording.
func (c *conductor) warnOfDisk(name string, d fact.Disk, owed int64) {
	rest := c.book.remaining(name)
	left, fills := d.Left(int64(c.recipe.Faults.DiskBelow), owed)
	if c.state.phase != running || c.disks.warned[name] || !fills || left >= rest {
		return
	}
	c.disks.warned[name] = true
	whose := "the master's disk"
	if name != "" {
		whose = "its disk"
	}
	c.observe(event.Warning{Node: name,
		Message: fmt.Sprintf("%s will reach faults.disk_below in about %v, before the %v are over that are still to be recorded", whose, left.Round(time.Second), rest.Round(time.Second)),
		Hint:    "free some space: the recording is ended then, with whole files"})
}

// progressEvent is how far a node is, with the disk that its tags will fill first.
func (c *conductor) progressEvent(name string) event.Progress {
	e := c.book.progressEvent(name)
	e.Channels = make(map[string]event.ChannelProgress, len(c.book.counts[name]))
	for stream, n := range c.book.counts[name] {
		if known, channel := c.book.channel(name, stream); known != nil {
			e.Channels[channel] = event.ChannelProgress{Tags: n.Tags, Lost: n.Lost, UntilPs: n.Until}
		}
	}
	below := int64(c.recipe.Faults.DiskBelow)
	shortest := time.Duration(math.MaxInt64)
	note := func(d *fact.Disk, owed int64) {
		if d == nil {
			return
		}
		left, fills := d.Left(below, owed)
		if fills && left < shortest {
			shortest, e.DiskFree, e.DiskLeft = left, d.Free, &left
		} else if e.DiskFree == 0 {
			e.DiskFree = d.Free
		}
	}
	note(c.disks.nodes[name], 0)
	note(c.disks.own, c.book.owed())
	return e
}
