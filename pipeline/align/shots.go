package align

import (
	"context"
	"fmt"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
)

// Shot is a record between two starts of the controllers. Nothing is known of a clock
// beyond it.
type Shot struct {
	Alignment
	Refused *Refusal    // why no offset was found; nil: it was
	parts   []Alignment // in which it was found
	unfound []track.Gap // parts in which it was not
}

// AlignShot aligns one shot of two records, in parts where it is long. That nothing
// is found is no error.
func AlignShot(ctx context.Context, a, b correlate.Stream, o Options) (Shot, error) {
	return alignShot(ctx, a, b, o, MaxTags)
}

func alignShot(ctx context.Context, a, b correlate.Stream, o Options, most int) (s Shot, err error) {
	if err := o.Check(); err != nil {
		return s, err
	}
	c := chain{ctx: ctx, options: o, alone: Align, after: (*chain).resume}
	if err := c.run(a, b, most); err != nil {
		return s, err
	}
	s.parts, s.unfound = c.found, c.refused
	if len(c.found) == 0 {
		s.Refused = c.why
		return s, nil
	}
	whole, err := joined(c.found, c.refused)
	s.Alignment = whole.Alignment
	return s, err
}

// JoinShots makes one clock of those of the shots, which are in order of time: from
// one to the next it may be anywhere else. The error is the last [Refusal] where none
// was found.
func JoinShots(shots []Shot) (Parts, error) {
	var found []Alignment
	var refused []track.Gap
	var why *Refusal
	aligned := 0
	for _, s := range shots {
		found, refused = append(found, s.parts...), append(refused, s.unfound...)
		if s.Refused == nil {
			aligned++
		} else {
			why = s.Refused
		}
	}
	if len(found) == 0 {
		return Parts{}, why
	}
	parts, err := joined(found, refused)
	if err != nil || parts.Track == nil {
		return parts, err
	}
	parts.Track.Steps = slices.DeleteFunc(parts.Track.Steps, func(step track.Step) bool { return !inShot(shots, step.Time) })
	parts.Warning = fmt.Sprintf("%d shots were aligned, each by itself; line, noise, Allan deviation and self-check are of the one in the middle", aligned)
	switch {
	case len(parts.Refused) == 0:
	case aligned < len(shots):
		parts.Warning = fmt.Sprintf("the clock was not found in %d of %d shots; %s", len(shots)-aligned, len(shots), parts.Warning)
	default:
		parts.Warning = unfound(parts.Refused) + parts.Warning
	}
	return parts, nil
}

// inShot reports whether a time lies in a shot that was found, and not between two.
func inShot(shots []Shot, at uint64) bool {
	return slices.ContainsFunc(shots, func(s Shot) bool {
		return s.Refused == nil && int64(at-s.Start) > 0 && int64(end(s.Alignment)-at) > 0
	})
}
