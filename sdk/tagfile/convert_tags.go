package tagfile

import (
	"context"
	"fmt"
	"io"
	"strings"

	"tsrun/sdk/tag"
)

// ConvertTags writes one stream of tags to a file, as [Convert] does those of a
// file; name is the stream's in errors and its channel has the number 1. Of o,
// From, Channels, Salvage and Progress are of files and not looked at.
func ConvertTags(ctx context.Context, in tag.Reader, name, out string, o ConvertOptions) (Report, error) {
	to, err := formatToWrite(out, o.To)
	if err != nil {
		return Report{}, err
	}
	if o.Last != 0 && o.Last < o.First {
		return Report{}, fmt.Errorf("convert %s: nothing lies between %d ps and %d ps", name, o.First, o.Last)
	}
	f := &file{SectionReader: io.NewSectionReader(strings.NewReader(""), 0, 0), path: name}
	if o.Shift < 0 {
		f.raise = Raise
	}
	f.limits = o.limits(f.raise)
	o.Channels, o.Salvage, o.Progress = nil, false, nil
	return f.writeAs(ctx, &streamEvents{in: in, f: f}, true, out, to, o)
}

// streamEvents are the tags of one stream, as channel 1.
type streamEvents struct {
	in    tag.Reader
	f     *file
	buf   [4096]uint64
	left  []uint64
	tally tally
}

func (s *streamEvents) next() (event, error) {
	if len(s.left) == 0 {
		n, err := s.in.Next(s.buf[:])
		if err != nil {
			return event{}, err
		}
		s.left = s.buf[:n]
	}
	t, err := s.f.raised(s.left[0], func() string { return "a tag" })
	if err != nil {
		return event{}, err
	}
	s.left = s.left[1:]
	s.tally.add(binChannel, t)
	return event{t, binChannel}, nil
}

func (s *streamEvents) info() Info {
	i := s.tally.done(nil)
	i.Raised = s.f.raise
	return i
}
