package stage

import (
	"context"
	"errors"
	"slices"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
)

// alignMany finds the clock from the photons of several channels of a node,
// each with a delay of its own.
func (a *analysis) alignMany(c AlignConfig) (foundClock, error) {
	references, targets := c.Channels()
	streams, err := a.openAll(append(slices.Clone(references), targets...)...)
	if err != nil {
		return foundClock{}, err
	}
	all := make([]correlate.Stream, len(streams))
	for i, s := range streams {
		all[i] = s
	}
	found, err := align.AlignManyStreams(a.ctx, all[:len(references)], all[len(references):], AlignOptions(a.manifest, c, 0))
	if err := errors.Join(err, closeAll(streams)); err != nil {
		return foundClock{}, err
	}
	clock := foundClock{Parts: found.Parts, lead: found.Lead}
	for _, p := range found.ChannelPairs {
		clock.channels = append(clock.channels, ChannelDelay{references[p.A], targets[p.B], p})
	}
	return clock, nil
}

// alignMarkers finds the clock from a signal that both channels recorded.
func (a *analysis) alignMarkers(c AlignConfig) (foundClock, error) {
	found, err := a.alignTwo(c.Reference, c.Target, AlignOptions(a.manifest, c, 0), align.AlignMarkerStreams)
	return foundClock{Parts: found}, err
}

// alignTwo opens two channels and aligns them.
func (a *analysis) alignTwo(reference, target string, o align.Options, by func(context.Context, correlate.Stream, correlate.Stream, align.Options) (align.Parts, error)) (found align.Parts, err error) {
	streams, err := a.openAll(reference, target)
	if err != nil {
		return found, err
	}
	found, err = by(a.ctx, streams[0], streams[1], o)
	return found, errors.Join(err, closeAll(streams))
}

// openAll opens channels.
func (a *analysis) openAll(names ...string) (streams []*channelStream, err error) {
	for _, name := range names {
		stream, err := a.open(name)
		if err != nil {
			return nil, errors.Join(err, closeAll(streams))
		}
		streams = append(streams, stream)
	}
	return streams, nil
}

func closeAll(streams []*channelStream) error {
	var errs []error
	for _, s := range streams {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
