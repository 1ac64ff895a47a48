package tagfile

import (
	"context"
	"io"
	"strings"

	"tsrun/sdk/tag"
)

// ConvertTags writes one stream of tags to a file, as [Convert] does those of a
// file; name is the stream's in errors and its channel has the number 1. Of o,
// From, Channels, Salvage and Progress are of files and not looked at.
func ConvertTags(ctx context.Context, in tag.Reader, name, out string, o ConvertOptions) (Report, error) {
	to, err := o.format(out)
	if err != nil {
		return Report{}, err
	}
	if err := o.checkLimits(name); err != nil {
		return Report{}, err
	}
	f := &file{SectionReader: io.NewSectionReader(strings.NewReader(""), 0, 0), path: name}
	f.raise = o.raise()
	f.limits = o.limits(f.raise)
	o.Channels, o.Salvage, o.Progress = nil, false, nil
	return f.writeAs(ctx, &streamEvents{in: in, f: f}, true, out, to, o)
}

// streamEvents are the tags of one stream, as channel 1.
type streamEvents struct {
	in    tag.Reader
	f     *file
	tally tally
}

func (s *streamEvents) next(buf []uint64) (n, channel int, err error) {
	n, err = s.in.Next(buf)
	if err == nil {
		err = s.f.raiseAll(buf[:n])
	}
	if err != nil {
		return 0, 0, err
	}
	s.tally.addAll(binChannel, buf[:n])
	return n, binChannel, nil
}

func (s *streamEvents) info() Info {
	i := s.tally.done(nil)
	i.Raised = s.f.raise
	return i
}
