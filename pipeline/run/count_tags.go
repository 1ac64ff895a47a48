package run

import (
	"errors"
	"fmt"
	"io"

	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

type counted struct{ tags, first, last uint64 }

// countTags reads a segment through. Tags that go back in time are an error:
// the reader would sort them, but no sink writes them. They are read into buf.
func countTags(path, format string, buf []uint64) (c counted, err error) {
	r, _, err := tagfile.OpenSegment(path, format, tagfile.OnlyChannel)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		n, err := r.Next(buf)
		if n > 0 {
			if c.tags == 0 {
				c.first = buf[0]
			}
			c.tags += uint64(n)
			c.last = buf[n-1]
		}
		if err == io.EOF {
			if info := r.Info(); info.Violations > 0 {
				return c, fmt.Errorf("it goes back in time: %s, the farthest by %d ps", quantity.Counted(info.Violations, "tag"), info.Farthest)
			}
			return c, nil
		}
		if err != nil {
			return c, err
		}
	}
}
