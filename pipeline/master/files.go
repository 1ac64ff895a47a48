package master

import (
	"tsrun/pipeline/event"
	"tsrun/pipeline/live"
	"tsrun/pipeline/run"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
)

// showTransfer shows how far a file is. What the manifest says of it comes from confirmFiles.
func (c *conductor) showTransfer(p transfer.Progress) {
	switch {
	case p.Refused != "":
		c.log.Error("file refused", "about", p.Node, "file", p.File, "why", p.Refused)
		c.observe(event.Problem{Node: p.Node, Code: "file-refused", Message: p.File + ": " + p.Refused, Hint: "the node keeps its copy"})
	case p.Verified:
		c.observe(event.FileVerified{Node: p.Node, File: p.File, Size: p.Size})
		c.offerSegment(p.File, true)
	default:
		c.observe(event.Transfer{Node: p.Node, File: p.File, Phase: p.Phase, Done: p.Done, Size: p.Size})
	}
}

// confirmFiles marks every announced file that the receiver has verified.
func (c *conductor) confirmFiles() { c.confirm(c.book.unproven()) }

// confirm marks those of some announced files that the receiver has verified, and
// reports whether these are all.
func (c *conductor) confirm(files []announced) (all bool) {
	all = true
	for _, f := range files {
		if c.markProven(f) {
			c.offerSegment(f.Name, true)
		} else {
			all = false
		}
	}
	return all
}

// markProven marks an announced file where the receiver has verified it.
func (c *conductor) markProven(f announced) bool {
	m := c.members[f.node]
	if m == nil || !c.receiver.Verified(m.token, f.File) {
		return false
	}
	c.book.proven(f.Name)
	return true
}

// placed says where a segment stands in its shot. Of a run that takes one its number tells
// that, also where one is missing.
func (c *conductor) placed(s run.Segment) live.Segment {
	if c.recipe.Acquire.Shots() == 1 {
		return live.Segment{Segment: s, Nth: s.Index}
	}
	return live.Segment{Segment: s, Nth: c.book.segments[s.File].nth, At: c.book.manifest.Nodes[s.Node].ShotAt(s.Part)}
}

// offerSegment gives a segment that is announced and verified to the syncer, until
// the stages begin.
func (c *conductor) offerSegment(name string, proven bool) {
	segment, ok := c.book.arrived(name, proven)
	if !ok || c.analysis.cancel != nil || !segment.HoldsTags() || segment.Part > 0 && c.recipe.Acquire.Shots() == 1 { // only of shots is it known who began anew
		return
	}
	c.tellStarts()
	c.startLives()
	for _, l := range c.lives {
		l.Offer(c.placed(segment))
	}
	if c.syncer == nil {
		c.startSyncer()
	}
	if c.syncer != nil {
		c.syncer.offer(offered{segment, c.book.segments[name].nth, c.book.manifest.Nodes[segment.Node].ShotAt(segment.Part), c.book.began(segment)})
	}
}

// tellStarts tells by how much later the nodes began, of each once, as soon as it and the
// trigger's master have told when they did: long before the first of their files is here.
func (c *conductor) tellStarts() {
	if c.recipe.Trigger.Method != "scheduled" || len(c.started) >= len(c.recipe.Nodes)-1 {
		return
	}
	c.book.counted()
	for _, s := range c.book.manifest.Trigger.Skew {
		if !c.started[s.Node] {
			c.started[s.Node] = true
			c.observe(event.Started{Node: s.Node, Against: s.Against, SkewNs: s.SkewNs, BoundNs: s.UncertaintyNs})
		}
	}
}

// enterCuts enters what nodes have lost whose processes ended within the recording.
func (c *conductor) enterCuts() {
	for _, t := range c.state.troubles {
		if t.failure.Code == wire.SlaveEnded {
			c.book.cut(t.node)
		}
	}
}
