package stage

import (
	"errors"
	"fmt"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

// inputs are the channels that one stage reads, each with what carries its
// times to the clock of the first.
type inputs struct {
	streams   []*channelStream
	channels  []correlate.Channel
	corrected bool // any of them by what align stages found
}

// inputs opens the named channels. offsets, which may be nil, says how much
// later the tags of a channel come beside what its clock explains.
func (a *analysis) inputs(offsets map[string]quantity.Time, names ...string) (*inputs, error) {
	in := &inputs{}
	for _, name := range names {
		if err := in.add(a, names[0], name, int64(offsets[name])); err != nil {
			return nil, errors.Join(err, in.Close())
		}
	}
	return in, nil
}

// inputsAnyway opens channels that need not be comparable: those of clocks that
// nothing connects to the first keep their own time.
func (a *analysis) inputsAnyway(names ...string) (*inputs, error) {
	in := &inputs{}
	for _, name := range names {
		if _, err := in.open(a, names[0], name, 0); err != nil {
			return nil, errors.Join(err, in.Close())
		}
	}
	return in, nil
}

func (in *inputs) add(a *analysis, reference, name string, offset int64) error {
	comparable, err := in.open(a, reference, name, offset)
	if err == nil && !comparable {
		err = fmt.Errorf("no offset was found between the clocks of %s and %s", reference, name)
	}
	return err
}

func (in *inputs) open(a *analysis, reference, name string, offset int64) (comparable bool, err error) {
	stream, err := a.open(name)
	if err != nil {
		return false, err
	}
	correction, known, comparable := a.clocks.between(a.clockOf(reference), a.clockOf(name))
	in.streams = append(in.streams, stream)
	in.channels = append(in.channels, correlate.Channel{Tags: stream, Correction: correction, Offset: offset, Record: name})
	in.corrected = in.corrected || known
	return comparable, nil
}

func (in *inputs) Close() error {
	var errs []error
	for _, s := range in.streams {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
