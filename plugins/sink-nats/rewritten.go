package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"

	"tsrun/sdk/tagfile"
)

// rewritten is a file of a run that is written again from its messages, under a name
// that begins with a dot until it is whole and has the SHA-256 of the first.
type rewritten struct {
	file    *os.File
	name    string
	encoder *tagfile.Encoder
	sum     hash.Hash
	buf     []byte
}

func rewrite(dir, node, channel string, h head) (*rewritten, error) {
	encoder, err := tagfile.NewEncoder(h.format, int(h.stream))
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, node)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	base := fmt.Sprintf("%s-%06d.%s", channel, h.segment, h.format)
	r := &rewritten{name: filepath.Join(dir, base), encoder: encoder, sum: sha256.New()}
	if _, err := os.Lstat(r.name); err == nil {
		return nil, fmt.Errorf("%s is there already; give --out a new directory", r.name)
	}
	if r.file, err = os.Create(filepath.Join(dir, "."+base+".part")); err != nil {
		return nil, err
	}
	return r, r.write(encoder.Heading())
}

func (r *rewritten) write(b []byte) error {
	r.sum.Write(b)
	_, err := r.file.Write(b)
	return err
}

func (r *rewritten) append(tags []uint64) (err error) {
	if r.buf, err = r.encoder.Append(r.buf[:0], tags); err != nil {
		return err
	}
	return r.write(r.buf)
}

// close gives the file its name if it is the one that the run has.
func (r *rewritten) close(want string) (err error) {
	if r.buf, err = r.encoder.Finish(r.buf[:0]); err == nil {
		err = r.write(r.buf)
	}
	if got := fmt.Sprintf("%x", r.sum.Sum(nil)); err == nil && got != want {
		err = fmt.Errorf("write %s again: its SHA-256 is %s, that of the run's file %s", r.name, got, want)
	}
	if err == nil {
		err = r.file.Sync()
	}
	if err = errors.Join(err, r.file.Close()); err != nil {
		return errors.Join(err, os.Remove(r.file.Name()))
	}
	return os.Rename(r.file.Name(), r.name)
}

func (r *rewritten) abandon() {
	_ = r.file.Close() // it is removed
	_ = os.Remove(r.file.Name())
}
