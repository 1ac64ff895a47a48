package tagfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"tsrun/sdk/quantity"
)

// Segment is a file of segments, and what it held when it was written.
type Segment struct {
	Path        string
	Tags        uint64
	First, Last uint64 // ps; of no tags 0
}

// OpenSegments opens the segment files of one channel, in order, as one
// reader. They are opened one after another as the reading goes on. Format and
// channel are those of [Open]. Tags out of order are an error, however near:
// the instrument's are sorted before they come to a segment. So is a file that
// holds other tags than it did: who reads many would not miss those of one.
func OpenSegments(files []Segment, format string, channel int) ReadCloser {
	return &segments{files: files, format: format, channel: channel}
}

type segments struct {
	files    []Segment // not opened yet
	format   string
	channel  int
	path     string // open
	held     Segment
	found    Segment // so far, in what is open
	current  FileReader
	previous uint64
	err      error
}

func (s *segments) Next(buf []uint64) (int, error) {
	for s.err == nil {
		if s.current == nil {
			if s.err = s.open(); s.err != nil {
				break
			}
		}
		n, err := s.current.Next(buf)
		if info := s.current.Info(); info.Violations > 0 {
			s.err = fmt.Errorf("read %s: it goes back in time: %s, the farthest by %d ps; segments are written in order, so this one was changed or damaged",
				s.path, quantity.Counted(info.Violations, "tag"), info.Farthest)
			break
		}
		if n > 0 {
			if s.err = s.take(buf[:n]); s.err != nil {
				break
			}
			if buf[0] < s.previous {
				s.err = fmt.Errorf("read %s: it begins at %d ps, before the end of the segment before it at %d ps", s.path, buf[0], s.previous)
				break
			}
			s.previous = buf[n-1]
			return n, nil
		}
		if err == io.EOF {
			err = errors.Join(s.closeCurrent(), s.whole())
		}
		s.err = err
	}
	return 0, s.err
}

func (s *segments) open() error {
	if len(s.files) == 0 {
		return io.EOF
	}
	s.held, s.files = s.files[0], s.files[1:]
	s.path, s.found = s.held.Path, Segment{Path: s.held.Path}
	r, _, err := OpenSegment(s.path, s.format, s.channel)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; the run was copied without it, or it was removed, which tsrun verify tells of all files of a run", err)
	}
	if err != nil {
		return err
	}
	s.current = r
	return nil
}

// take counts tags of the file that is open. One that begins otherwise is told at once.
func (s *segments) take(tags []uint64) error {
	if s.found.Tags == 0 {
		s.found.First = tags[0]
	}
	s.found.Tags += uint64(len(tags))
	s.found.Last = tags[len(tags)-1]
	if s.found.First != s.held.First || s.found.Tags > s.held.Tags {
		return s.changed("holds tags from %d ps on", s.found.First)
	}
	return nil
}

// whole says whether a file that was read to its end held what it did.
func (s *segments) whole() error {
	if s.found == s.held {
		return nil
	}
	return s.changed("holds %s from %d ps to %d ps", quantity.Counted(s.found.Tags, "tag"), s.found.First, s.found.Last)
}

func (s *segments) changed(format string, args ...any) error {
	return fmt.Errorf("read %s: it "+format+", and %s from %d ps to %d ps were written; the file was changed or damaged, which tsrun verify tells of all files of a run",
		append(append([]any{s.path}, args...), quantity.Counted(s.held.Tags, "tag"), s.held.First, s.held.Last)...)
}

func (s *segments) closeCurrent() error {
	if s.current == nil {
		return nil
	}
	current := s.current
	s.current = nil
	return current.Close()
}

// Close closes the file that is open; there is nothing to read after it.
func (s *segments) Close() error {
	if s.err == nil {
		s.err = errors.New("read segments: the reader is closed")
	}
	return s.closeCurrent()
}
