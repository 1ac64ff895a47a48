package live

import (
	"io"
	"path/filepath"

	"tsrun/pipeline/run"
	"tsrun/sdk/tagfile"
)

// piece is how many tags of a channel are read at once.
const piece = 4096

// signed makes the order of times that may be before zero that of unsigned numbers.
const signed = 1 << 63

// channel is one that is sent.
type channel struct {
	name  string
	clock *clock // nil: the reference's
	dir   string
	sink  string            // whose files are read: that of the first segment that came
	here  map[place]Segment // not read yet
	last  place             // of the newest segment that came

	files  []Segment // of windows that were reached, not opened yet
	open   tagfile.ReadCloser
	raw    []uint64 // read and not sent
	buffer []uint64
	fixed  []uint64
	sent   uint64 // no later tag may be before this
	begun  bool   // and there is such a time
	until  uint64 // of the window that is sent
	late   *uint64
	failed func(run.Segment, error)
}

// put takes a segment of the channel, unless it is not the next of its sink.
func (c *channel) put(s Segment, next place) (late bool) {
	if c.sink == "" {
		c.sink = s.Sink
	}
	if s.Sink != c.sink {
		return false
	}
	at := s.place()
	if at.compare(next) < 0 {
		return true
	}
	c.here[at] = s
	if at.compare(c.last) > 0 {
		c.last = at
	}
	return false
}

// reach lets Next read a segment too.
func (c *channel) reach(at place) (ok bool) {
	s, ok := c.here[at]
	if ok {
		delete(c.here, at)
		c.files = append(c.files, s)
	}
	return ok
}

// Next gives corrected tags before until, in the order of unsigned numbers; io.EOF where
// there are no more.
func (c *channel) Next(buf []uint64) (int, error) {
	for {
		if len(c.raw) == 0 && !c.read() {
			return 0, io.EOF
		}
		raw := c.raw[:min(len(c.raw), len(buf))]
		c.fixed = c.clock.apply(c.fixed[:0], raw)
		n, early := 0, 0
		for _, t := range c.fixed {
			if int64(t-c.until) >= 0 {
				break
			}
			if c.begun && int64(t-c.sent) < 0 {
				early++
				continue
			}
			buf[n] = t + signed
			n++
		}
		*c.late += uint64(early)
		c.raw = c.raw[n+early:]
		if n > 0 {
			return n, nil
		}
		if early == 0 {
			return 0, io.EOF
		}
	}
}

// read reads more tags of the files.
func (c *channel) read() bool {
	for {
		if c.open == nil {
			if len(c.files) == 0 {
				return false
			}
			if !c.openFile() {
				continue
			}
		}
		if c.buffer == nil {
			c.buffer = make([]uint64, piece)
		}
		n, err := c.open.Next(c.buffer)
		c.raw = c.buffer[:n]
		for i := range c.raw {
			c.raw[i] += c.files[0].At
		}
		if err != nil {
			if closed := c.open.Close(); err == io.EOF {
				err = closed
			}
			c.open = nil
			if err != nil {
				c.failed(c.files[0].Segment, err)
			}
			c.files = c.files[1:]
		}
		if n > 0 {
			return true
		}
	}
}

func (c *channel) openFile() bool {
	s := c.files[0]
	r, _, err := tagfile.OpenSegment(filepath.Join(c.dir, filepath.FromSlash(s.File)), s.Format, tagfile.OnlyChannel)
	if err != nil {
		c.failed(s.Segment, err)
		c.files = c.files[1:]
		return false
	}
	c.open = r
	return true
}

// withheld counts what is here and was not sent, and forgets it.
func (c *channel) withheld() (tags uint64) {
	for _, s := range c.here {
		tags += s.Tags
	}
	clear(c.here)
	return tags
}

// close closes the file that is open.
func (c *channel) close() error {
	if c.open == nil {
		return nil
	}
	return c.open.Close()
}
