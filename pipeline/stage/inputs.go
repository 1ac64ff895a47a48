package stage

import (
	"errors"
	"fmt"

	"tsrun/pipeline/correlate"
)

// inputs are the channels that one stage reads, each with what carries its
// times to the clock of the first.
type inputs struct {
	streams   []*channelStream
	channels  []correlate.Channel
	corrected bool // any of them by what align stages found
}

// inputs opens the named channels. With anyClock, those of clocks that nothing
// connects to the first keep their own time instead of being an error.
func (a *analysis) inputs(anyClock bool, names ...string) (*inputs, error) {
	in := &inputs{}
	for _, name := range names {
		comparable, err := in.open(a, names[0], name)
		if err == nil && !comparable && !anyClock {
			err = fmt.Errorf("no offset was found between the clocks of %s and %s", names[0], name)
		}
		if err != nil {
			return nil, errors.Join(err, in.Close())
		}
	}
	return in, nil
}

func (in *inputs) open(a *analysis, reference, name string) (comparable bool, err error) {
	stream, err := a.open(name)
	if err != nil {
		return false, err
	}
	correction, known, comparable := a.clocks.between(a.clockOf(reference), a.clockOf(name))
	in.streams = append(in.streams, stream)
	in.channels = append(in.channels, correlate.Channel{Tags: stream, Correction: correction, Record: name, Breaks: a.breaksOf(name)})
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
