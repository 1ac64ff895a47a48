package master

import (
	"cmp"
	"slices"

	"tsrun/pipeline/align"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/track"
)

// place is where a segment stands in the record of its channel.
type place struct {
	shot int // from 0
	nth  int // in the shot, from 0
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.shot, o.shot), cmp.Compare(p.nth, o.nth))
}

// ready returns the segments to be followed next: those due, or the first of later
// ones where the due ones do not come. Where both channels are in a later shot, nothing
// more is waited for in this one.
func (f *follower) ready() (at place, ok bool) {
	both := f.complete()
	if len(both) == 0 {
		return at, false
	}
	first := both[0]
	if first.shot > f.next.shot {
		due := place{shot: first.shot}
		return first, first == due || len(both) > missAfter
	}
	return first, first == f.next || len(both) > missAfter || f.isBeyond(f.next.shot)
}

// complete are the places of which the segments of both channels are here, in order.
func (f *follower) complete() (both []place) {
	few, many := f.reference.segments, f.target.segments
	if len(few) > len(many) {
		few, many = many, few
	}
	for at := range few {
		if _, here := many[at]; here {
			both = append(both, at)
		}
	}
	slices.SortFunc(both, place.compare)
	return both
}

// isBeyond reports whether segments of both channels are here that are of later shots.
func (f *follower) isBeyond(shot int) bool {
	for _, p := range []pile{f.reference, f.target} {
		later := false
		for at := range p.segments {
			later = later || at.shot > shot
		}
		if !later {
			return false
		}
	}
	return true
}

// goTo makes ready for the segments of a place. A shot that is not the one before has a
// clock of its own, and is looked for as far apart as its own starts were.
func (f *follower) goTo(at place) (err error) {
	f.values = f.values[:0]
	if at.shot == f.next.shot {
		return nil
	}
	f.jumps = f.allJumps()
	options := stage.AlignOptionsOf(f.config, f.reference.segments[at].began, f.target.segments[at].began)
	if f.live, err = align.NewLive(options); err != nil {
		return err
	}
	f.live.SearchUntil(f.patience)
	f.next = place{shot: at.shot}
	f.State = ""
	f.nameShot()
	if f.pairs != nil {
		f.pairs.Restart()
	}
	return nil
}

// nameShot enters the shot in what is told from here on.
func (f *follower) nameShot() {
	if f.several {
		f.Shot = f.next.shot + 1
	}
}

// allJumps are those of the clock within each of the shots so far; of many the first.
func (f *follower) allJumps() []track.Step {
	all := append(f.jumps, f.live.Steps()...)
	return all[:min(len(all), maxJumps)]
}

// maxJumps is how many jumps of one clock are remembered over all shots.
const maxJumps = 1000

// drop forgets everything up to a place.
func (f *follower) drop(last place) {
	f.next = place{last.shot, last.nth + 1}
	for _, p := range []pile{f.reference, f.target} {
		for at := range p.segments {
			if at.compare(last) <= 0 {
				delete(p.segments, at)
			}
		}
	}
}
