package stage

import (
	"errors"
	"io"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
)

// alignMany finds the clock from the photons of several channels of a node,
// each with a delay of its own.
func (a *analysis) alignMany(c AlignConfig) (foundClock, error) {
	references, targets := c.Channels()
	tagsA, wholeA, errA := a.readAll(references, align.MaxTags)
	tagsB, wholeB, errB := a.readAll(targets, align.MaxTags)
	if err := errors.Join(errA, errB); err != nil {
		return foundClock{}, err
	}
	found, err := align.AlignMany(a.ctx, tagsA, tagsB, AlignOptions(a.manifest, c))
	if err != nil {
		return foundClock{}, err
	}
	clock := foundClock{Parts: align.Parts{Alignment: found.Alignment, Count: 1}, lead: found.Lead, short: !wholeA || !wholeB}
	for _, p := range found.ChannelPairs {
		clock.channels = append(clock.channels, ChannelDelay{references[p.A], targets[p.B], p})
	}
	return clock, nil
}

// alignMarkers finds the clock from a signal that both channels recorded.
func (a *analysis) alignMarkers(c AlignConfig) (foundClock, error) {
	found, whole, err := a.markersOf([2]string{c.Reference, c.Target}, AlignOptions(a.manifest, c))
	return foundClock{Parts: align.Parts{Alignment: found, Count: 1}, short: !whole}, err
}

// markersOf aligns the first [align.MaxTags] markers of two channels; whole says
// whether those are all.
func (a *analysis) markersOf(names [2]string, o align.Options) (found align.Alignment, whole bool, err error) {
	tags, whole, err := a.readAll(names[:], 2*align.MaxTags)
	if err != nil {
		return found, false, err
	}
	found, err = align.AlignMarkers(a.ctx, tags[0], tags[1], o)
	return found, whole, err
}

// readAll reads the tags of channels, of each at most its share of so many;
// whole says whether those are all.
func (a *analysis) readAll(names []string, most int) (tags [][]uint64, whole bool, err error) {
	whole = true
	for _, name := range names {
		stream, err := a.open(name)
		if err != nil {
			return nil, false, err
		}
		all, complete, err := readTags(stream, most/len(names))
		if err := errors.Join(err, stream.Close()); err != nil {
			return nil, false, err
		}
		tags, whole = append(tags, all), whole && complete
	}
	return tags, whole, nil
}

// readTags reads at most limit tags; whole says whether that is all.
func readTags(s correlate.Stream, limit int) (tags []uint64, whole bool, err error) {
	buf := make([]uint64, 1<<15)
	for {
		n, err := s.Next(buf)
		switch {
		case err == io.EOF:
			return tags, true, nil
		case err != nil:
			return nil, false, err
		case n > limit-len(tags):
			return append(tags, buf[:limit-len(tags)]...), false, nil
		}
		tags = append(tags, buf[:n]...)
	}
}
