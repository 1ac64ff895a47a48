package align

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
)

// Shot is a record between two starts of the controllers. Nothing is known of a clock
// beyond it.
type Shot struct {
	Alignment
	Refused *Refusal // why no offset was found; nil: it was
	span    track.Gap
	tags    bool // there are some
}

// AlignShot aligns one shot of two records. At most [MaxTags] of each are looked at.
// That nothing is found is no error.
func AlignShot(ctx context.Context, a, b correlate.Stream, o Options) (s Shot, err error) {
	if err := o.Check(); err != nil {
		return s, err
	}
	d := newDealer(a, b, MaxTags)
	defer d.release()
	if err := d.fill(); err != nil {
		return s, err
	}
	if n := len(d.a.tags); n > 0 {
		s.tags, s.span = true, track.Gap{From: d.a.tags[0], To: d.a.tags[n-1], NotFound: true}
	}
	found, err := Align(ctx, d.a.tags, d.b.tags, o)
	if errors.As(err, &s.Refused) {
		return s, nil
	}
	s.Alignment = found
	return s, err
}

// JoinShots makes one clock of those of the shots, which are in order of time: from
// one to the next it may be anywhere else. The error is the last [Refusal] where none
// was found.
func JoinShots(shots []Shot) (Parts, error) {
	var found []Alignment
	var refused []track.Gap
	var why *Refusal
	for _, s := range shots {
		switch {
		case s.Refused == nil:
			found = append(found, s.Alignment)
		default:
			why = s.Refused
			if s.tags {
				refused = append(refused, s.span)
			}
		}
	}
	if len(found) == 0 {
		return Parts{}, why
	}
	parts, err := joined(found, refused)
	if err != nil || parts.Track == nil {
		return parts, err
	}
	parts.Track.Steps = slices.DeleteFunc(parts.Track.Steps, func(step track.Step) bool { return !inShot(found, step.Time) })
	parts.Warning = fmt.Sprintf("%d shots were aligned, each by itself; line, noise, Allan deviation and self-check are of the one in the middle", len(found))
	if len(parts.Refused) > 0 {
		parts.Warning = fmt.Sprintf("the clock was not found in %d of %d shots; %s", len(shots)-len(found), len(shots), parts.Warning)
	}
	return parts, nil
}

// inShot reports whether a time lies in a shot that was found, and not between two.
func inShot(found []Alignment, at uint64) bool {
	return slices.ContainsFunc(found, func(a Alignment) bool { return int64(at-a.Start) > 0 && int64(end(a)-at) > 0 })
}
