package correlate

// pauses are what a timeline knows of the breaks of its channel.
type pauses struct {
	breaks []uint64 // as recorded: those that no tag has passed
	took   []Gap    // over those before, from the tag before to the tag after
}

// correctedBreak brings a break to the clock of the tags that are counted.
func (t *timeline) correctedBreak(at uint64) uint64 {
	if t.correct.IsZero() {
		return at
	}
	return t.correct.Apply(at)
}

// isOver says whether a tag is the first over a break, or over several.
func (t *timeline) isOver(u uint64) (over bool) {
	for len(t.breaks) > 0 && int64(u-t.correctedBreak(t.breaks[0])) >= 0 { // either may be below 0
		over, t.breaks = true, t.breaks[1:]
	}
	return over
}

// Recording is how long the channel recorded, from its first tag to its last, without
// pauses.
func (c ChannelRate) Recording() int64 {
	long := c.Last - c.First
	for _, p := range c.Pauses {
		long -= p.length()
	}
	return long
}

// Recorded says whether bin k lies between the channel's first and last tag, and not
// within a pause.
func (r Rates) Recorded(channel, k int) bool {
	c := r.Channels[channel]
	low := r.Start + int64(k)*r.Bin
	if c.Tags == 0 || c.First >= low+r.Bin || c.Last < low {
		return false
	}
	i := search(len(c.Pauses), func(i int) bool { return c.Pauses[i].To >= low+r.Bin })
	return i == len(c.Pauses) || c.Pauses[i].From >= low
}

// Whole says whether a channel recorded all of bin k.
func (r Rates) Whole(channel, k int) bool {
	c := r.Channels[channel]
	low := r.Start + int64(k)*r.Bin
	if c.Tags == 0 || c.First > low || c.Last < low+r.Bin-1 {
		return false
	}
	i := search(len(c.Pauses), func(i int) bool { return c.Pauses[i].To > low })
	return i == len(c.Pauses) || c.Pauses[i].From >= low+r.Bin
}
