package tagfile

import (
	"errors"
	"fmt"
	"io"

	"tsrun/sdk/quantity"
)

// OpenSegments opens the segment files of one channel, in order, as one
// reader. They are opened one after another as the reading goes on. Format and
// channel are those of [Open]. Tags out of order are an error, however near:
// the instrument's are sorted before they come to a segment.
func OpenSegments(paths []string, format string, channel int) ReadCloser {
	return &segments{paths: paths, format: format, channel: channel}
}

type segments struct {
	paths    []string // not opened yet
	format   string
	channel  int
	path     string // open
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
			if buf[0] < s.previous {
				s.err = fmt.Errorf("read %s: it begins at %d ps, before the end of the segment before it at %d ps", s.path, buf[0], s.previous)
				break
			}
			s.previous = buf[n-1]
			return n, nil
		}
		if err == io.EOF {
			err = s.closeCurrent()
		}
		s.err = err
	}
	return 0, s.err
}

func (s *segments) open() error {
	if len(s.paths) == 0 {
		return io.EOF
	}
	s.path, s.paths = s.paths[0], s.paths[1:]
	r, _, err := Open(s.path, s.format, s.channel)
	if err != nil {
		return err
	}
	s.current = r
	return nil
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
