package main

import (
	"fmt"
	"path/filepath"

	"tsrun/sdk/following"
	"tsrun/sdk/tagfile"
)

// rewritten is a file of a run that is written again from its messages.
type rewritten struct {
	*following.File
	encoder *tagfile.Encoder
	buf     []byte
}

func rewrite(dir, node, channel string, h head) (*rewritten, error) {
	encoder, err := tagfile.NewEncoder(h.format, int(h.stream))
	if err != nil {
		return nil, err
	}
	file, err := following.Create(filepath.Join(dir, node, fmt.Sprintf("%s-%06d.%s", channel, h.segment, h.format)))
	if err != nil {
		return nil, err
	}
	r := &rewritten{File: file, encoder: encoder}
	_, err = r.Write(encoder.Heading())
	return r, err
}

func (r *rewritten) append(tags []uint64) (err error) {
	if r.buf, err = r.encoder.Append(r.buf[:0], tags); err == nil {
		_, err = r.Write(r.buf)
	}
	return err
}

// close gives the file its name if it is the one that the run has.
func (r *rewritten) close(want string) (err error) {
	if r.buf, err = r.encoder.Finish(r.buf[:0]); err == nil {
		_, err = r.Write(r.buf)
	}
	if err != nil {
		r.Abandon()
		return err
	}
	return r.Close(want)
}
