package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"tsrun/sdk"
	"tsrun/sdk/tagfile"
	"tsrun/sdk/tagfile/pack"
)

// sendFile sends the blocks of a closed file, behind those that are in the stream.
// A block has as many tags as it can, and the last of a segment what is left: so
// a process that sends a file again makes the same messages of it.
func (p *publisher) sendFile(l *link, c *channel, a sdk.Artifact) error {
	sum, lost := a.SHA256, strconv.FormatUint(a.Lost, 10)
	if a.Kind == "" { // of a process before this one
		var err error
		if sum, err = hashFile(p.path(a)); err != nil {
			return fileFailure(a, err)
		}
		lost = ""
	}
	b, err := openBlocks(p.path(a), c, a)
	if err != nil {
		return fileFailure(a, err)
	}
	defer b.close()
	for last := false; !last; {
		h := p.head(c)
		var block []uint64
		if block, last, err = b.next(); err != nil {
			return fileFailure(a, err)
		}
		var payload []byte
		if h.count = uint64(len(block)); h.count > 0 {
			if payload, err = pack.Append(nil, block); err != nil {
				return fileFailure(a, err)
			}
		}
		if last {
			tags := h.first + h.count
			if a.Kind != "" && tags != a.Tags {
				return fileFailure(a, fmt.Errorf("it has %d tags, and was closed with %d", tags, a.Tags))
			}
			h.last, h.tags, h.lost = fmt.Sprintf("%x", sum), tags, lost
		}
		if err := p.send(l, c, h, payload); err != nil {
			return err
		}
	}
	return nil
}

func fileFailure(a sdk.Artifact, err error) error {
	return &sdk.Failure{Code: "nats-file", Message: fmt.Sprintf("read %s again for the NATS server: %v", a.Path, err),
		Hint: "look at the disk: the file was written by this sink"}
}

func hashFile(path string) (sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), nil
}

// blocks cuts the tags of a file into blocks.
type blocks struct {
	in        tagfile.ReadCloser // nil where there are none
	now, then []uint64           // the next block and the one behind it
	ended     bool
}

// openBlocks opens a file behind the tags that are in the stream.
func openBlocks(path string, c *channel, a sdk.Artifact) (*blocks, error) {
	b := &blocks{now: make([]uint64, 0, pack.MaxTags), then: make([]uint64, 0, pack.MaxTags)}
	if a.Kind != "" && a.Tags == 0 {
		b.ended = true
		return b, nil
	}
	in, _, err := tagfile.OpenSegment(path, "", int(c.Stream))
	if err != nil {
		return nil, err
	}
	b.in = in
	for skip := c.place.first; skip > 0 && err == nil; {
		if err = b.fill(&b.then, int(min(skip, pack.MaxTags))); err == nil {
			if len(b.then) == 0 {
				err = fmt.Errorf("it has %d tags less than the stream has of it", skip)
			}
			skip -= uint64(len(b.then))
		}
	}
	if err == nil {
		err = b.fill(&b.then, pack.MaxTags)
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return b, nil
}

// next returns the next block and whether it is the last.
func (b *blocks) next() ([]uint64, bool, error) {
	b.now, b.then = b.then, b.now
	err := b.fill(&b.then, pack.MaxTags)
	return b.now, len(b.then) == 0, err
}

// fill reads so many tags, or what is left.
func (b *blocks) fill(dst *[]uint64, want int) error {
	*dst = (*dst)[:0]
	for !b.ended && len(*dst) < want {
		n, err := b.in.Next((*dst)[len(*dst):want])
		*dst = (*dst)[:len(*dst)+n]
		if err == io.EOF {
			b.ended = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (b *blocks) close() {
	if b.in != nil {
		_ = b.in.Close() // it was read only
	}
}
