package master

import (
	"context"
	"errors"
	"io"

	"tsrun/pipeline/align"
)

const (
	livePairTags   = 1 << 20 // tags of each channel and segment that are counted while the run goes on
	livePairValues = 1 << 17 // values of the clock in one segment: of an hour
)

// countPairs counts what the channels of a stage saw together in a segment through which
// their clock was followed. It is left out where segments wait: the clocks come first.
func (s *syncer) countPairs(ctx context.Context, f *follower, at place) {
	if f.pairs == nil || ctx.Err() != nil {
		return
	}
	if len(s.segments) > 2*len(s.stages) {
		f.pairs.LeaveOut()
		return
	}
	a, errA := s.first(f.reference.segments[at])
	b, errB := s.first(f.target.segments[at])
	err := errors.Join(errA, errB)
	if err == nil {
		e, ok, failed := f.pairs.Count(f.Shot, f.reference.segments[at].Index, a, b, f.values)
		if err = failed; ok {
			s.observer.Observe(e)
		}
	}
	if err != nil {
		f.pairs = nil
		s.warn("the pairs of stage \""+f.Stage+"\" are not counted any more while the run goes on: "+err.Error(), "its stages count them at the end")
	}
}

// remember keeps what was known of the clock in a segment.
func (f *follower) remember(v align.Value) {
	if len(f.values) < livePairValues {
		f.values = append(f.values, v)
	}
}

// first are the first tags of a segment.
func (s *syncer) first(segment offered) (tags []uint64, err error) {
	r := s.open(segment)
	defer func() { err = errors.Join(err, r.Close()) }()
	tags = make([]uint64, 0, min(segment.Tags+1, livePairTags))
	for len(tags) < livePairTags {
		if len(tags) == cap(tags) {
			tags = append(tags, 0)[:len(tags)]
		}
		n, err := r.Next(tags[len(tags):min(cap(tags), livePairTags)])
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		tags = tags[:len(tags)+n]
	}
	return tags, nil
}
