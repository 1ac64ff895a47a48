package segments

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"

	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

const (
	// writeBehind is how many bytes are handed to the disk at a time, long
	// before the file is closed, so that making it durable takes little.
	writeBehind = 8 << 20
	// piece is how many tags are encoded at a time.
	piece = 1 << 15
)

// segment is a file being written.
type segment struct {
	file     *os.File
	dir      string
	encoder  Encoder
	hash     hash.Hash
	hasher   *hasher
	behind   int64        // bytes handed to the disk
	replaces bool         // what a process before this one has left under its names
	finished bool         // the encoder has said its last
	until    uint64       // tags of the stream up to its end
	artifact sdk.Artifact // hash and size are filled in when it is published
}

func partName(name string) string { return "." + name + ".part" }

// createSegment creates the file of a segment. It replaces no file but one that a
// process before this one has left, where it is told so.
func createSegment(dir, name string, encoder Encoder, h *hasher, replaces bool) (*segment, error) {
	part := filepath.Join(dir, partName(name))
	if replaces {
		if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("remove an unfinished segment: %w", err)
		}
	}
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	g := &segment{replaces: replaces, file: f, dir: dir, encoder: encoder, hash: sha256.New(), hasher: h, artifact: sdk.Artifact{Kind: sdk.Tags, Path: name}}
	if heading := encoder.Heading(); len(heading) > 0 {
		if err := g.writeBytes(heading); err != nil {
			return nil, errors.Join(err, g.abandon())
		}
	}
	return g, nil
}

// write appends tags, which are not empty. The buffer is for encoded bytes; it
// comes back, perhaps grown. Some may stay in the encoder until the end.
func (g *segment) write(tags []uint64, buf []byte) ([]byte, error) {
	a := &g.artifact
	if a.Tags == 0 {
		a.First = tags[0]
	}
	a.Last = tags[len(tags)-1]
	a.Tags += uint64(len(tags))
	if g.encoder.Format() == tagfile.Bin { // as the tags lie in memory
		return buf, g.writeBytes(tag.AsBytes(tags))
	}
	for len(tags) > 0 {
		n := min(len(tags), piece)
		var err error
		if buf, err = g.encoder.Append(buf[:0], tags[:n]); err != nil {
			return buf, fmt.Errorf("write segment: %w", err)
		}
		if err := g.writeBytes(buf); err != nil {
			return buf, err
		}
		tags = tags[n:]
	}
	return buf, nil
}

// finish writes what the encoder held back and what ends the file.
func (g *segment) finish(buf []byte) ([]byte, error) {
	if g.finished {
		return buf, nil
	}
	g.finished = true
	buf, err := g.encoder.Finish(buf[:0])
	if err != nil {
		return buf, fmt.Errorf("write segment: %w", err)
	}
	return buf, g.writeBytes(buf)
}

func (g *segment) writeBytes(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	err := g.hasher.during(g.hash, b, func() error {
		_, err := g.file.Write(b)
		return err
	})
	if err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	g.artifact.Size += int64(len(b))
	if fresh := g.artifact.Size - g.behind; fresh >= writeBehind {
		writeBack(g.file, g.behind, fresh)
		g.behind = g.artifact.Size
	}
	return nil
}

// publish makes the file durable and gives it its name, which the directory
// still has to be synced for.
func (g *segment) publish() error {
	g.hash.Sum(g.artifact.SHA256[:0])
	var err error
	if g.artifact.Size > 0 { // of an empty file there is only the name
		err = g.file.Sync()
	}
	if err := errors.Join(err, g.file.Close()); err != nil {
		return fmt.Errorf("make segment durable: %w", err)
	}
	name := filepath.Join(g.dir, g.artifact.Path)
	if _, err := os.Lstat(name); err == nil && !g.replaces {
		return fmt.Errorf("publish segment: %s: %w", name, fs.ErrExist)
	}
	if err := os.Rename(g.file.Name(), name); err != nil {
		return fmt.Errorf("publish segment: %w", err)
	}
	return nil
}

// abandon closes the file; with tags in it, it stays for a user who wants to save
// them, under its name of something partial.
func (g *segment) abandon() error {
	err := g.file.Close()
	if g.artifact.Tags == 0 {
		err = errors.Join(err, os.Remove(g.file.Name()))
	}
	return err
}

// hasher hashes bytes while they are written: it takes longer than the copy to
// the page cache, and the two need not wait for each other. It belongs to one
// goroutine, like the sink.
type hasher struct {
	work chan hashing
	done chan struct{}
}

type hashing struct {
	into  hash.Hash
	bytes []byte
}

func newHasher() *hasher {
	h := &hasher{work: make(chan hashing), done: make(chan struct{})}
	go func() {
		for w := range h.work {
			w.into.Write(w.bytes)
			h.done <- struct{}{}
		}
		close(h.done)
	}()
	return h
}

// during hashes b while do runs, and returns when both are done.
func (h *hasher) during(into hash.Hash, b []byte, do func() error) error {
	h.work <- hashing{into, b}
	err := do()
	<-h.done
	return err
}

// stop waits for the goroutine.
func (h *hasher) stop() {
	close(h.work)
	<-h.done
}
