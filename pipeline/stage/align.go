package stage

import (
	"fmt"
	"io"
	"strings"

	"tsrun/pipeline/align"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// align finds the target's clock, follows it through the whole record, and
// remembers it for later stages. Its first file is the summary itself, written
// also when nothing was found; the second is the track.
func (a *analysis) align(c *recipe.AlignConfig, result *run.Result) (any, error) {
	found, summary, err := a.findClock(c)
	if err != nil {
		return nil, err
	}
	if summary.Refused {
		a.manifest.Notice(run.Reason{Condition: run.Tainted,
			Message: fmt.Sprintf("stage %q found no offset of %s against %s: %s", result.Stage, c.Target, c.Reference, summary.Reason)})
	} else {
		a.clocks.found(a.clockOf(c.Reference), a.clockOf(c.Target), found.Correction())
		a.noticeClock(result.Stage, c, found)
	}
	err = a.json(result, summary)
	if err == nil && !summary.Refused && found.Track != nil {
		err = a.table(result, strings.Join(KnotColumns, ","), []string{c.Reference, c.Target}, func(w io.Writer) error {
			return WriteKnots(w, found.Track.Knots)
		})
	}
	summary.Alignment = summary.Alignment.WithoutKnots() // a track has as many knots as the run was long
	return summary, err
}

// foundClock is a target's clock through a whole record.
type foundClock struct {
	align.Parts
	channels []ChannelDelay // of several channels
	lead     int            // of channels, whose offset it is
	short    bool           // the record goes on after what was looked at
}

// findClock aligns the channels of a stage, as far as their segments are here.
// A refusal is a summary, too.
func (a *analysis) findClock(c *recipe.AlignConfig) (foundClock, AlignSummary, error) {
	references, targets := c.Channels()
	find := a.alignPairs
	switch {
	case c.By == recipe.ByMarkers:
		find = a.alignMarkers
	case len(references)+len(targets) > 2:
		find = a.alignMany
	}
	found, err := find(c)
	summary, err := NewAlignSummary(c.Reference, c.Target, found.Alignment, err)
	summary.Channels, summary.Parts = found.channels, found.Count
	if found.lead < len(found.channels) {
		lead := found.channels[found.lead]
		summary.Reference, summary.Target = lead.Reference, lead.Target
	}
	summary.Simulated = a.simulated(append(references, targets...)...)
	return found, summary, err
}

// alignPairs finds the clock from the photons of one channel of each node.
func (a *analysis) alignPairs(c *recipe.AlignConfig) (foundClock, error) {
	reference, err := a.open(c.Reference)
	if err != nil {
		return foundClock{}, err
	}
	defer reference.Close()
	target, err := a.open(c.Target)
	if err != nil {
		return foundClock{}, err
	}
	defer target.Close()
	found, err := align.AlignStreams(a.ctx, reference, target, AlignOptions(a.manifest, c))
	return foundClock{Parts: found}, err
}

// noticeClock tells the run what an align stage has against it.
func (a *analysis) noticeClock(stage string, c *recipe.AlignConfig, found foundClock) {
	if found.short {
		a.manifest.Notice(run.Reason{Condition: run.Tainted,
			Message: fmt.Sprintf("stage %q looked only at the first %d tags of a node's channels", stage, align.MaxTags)})
	}
	for _, g := range found.Refused {
		a.manifest.Notice(run.Reason{Condition: run.Tainted, AtPs: &g.From,
			Message: fmt.Sprintf("stage %q found no offset of %s against %s from %s to %s", stage, c.Target, c.Reference, text.Seconds(g.From), text.Seconds(g.To))})
	}
	if found.Track != nil {
		noticeJumps(a.manifest, stage, c.Target, found.Track.Steps)
	}
}
