package segments

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// piece is how many tags are encoded at a time.
const piece = 1 << 15

// segment is a file being written.
type segment struct {
	file     *os.File
	dir      string
	encoder  Encoder
	beside   *beside
	hash     hash.Hash      // of its goroutine until pending is done
	behind   int64          // bytes handed to the disk
	reserved int64          // bytes of the disk that are the file's, of the hints' goroutine until hints is done
	pending  sync.WaitGroup // pieces to hash
	hints    sync.WaitGroup // to give
	replaces bool           // what a process before this one has left under its names
	finished bool           // the encoder has said its last
	err      error          // of the first write that failed: the file is not whole and gets no name
	until    uint64         // tags of the stream up to its end
	artifact sdk.Artifact   // hash and size are filled in when it is published
}

func partName(name string) string { return "." + name + ".part" }

// createSegment creates the file of a segment. It replaces no file but one that a
// process before this one has left, where it is told so.
func createSegment(dir, name string, encoder Encoder, b *beside, replaces bool) (*segment, error) {
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
	g := &segment{replaces: replaces, file: f, dir: dir, encoder: encoder, hash: sha256.New(), beside: b, artifact: sdk.Artifact{Kind: sdk.Tags, Path: name}}
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
		return buf, g.writeHashed(tag.AsBytes(tags), g.beside.hashTags)
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
	if g.finished || g.err != nil {
		return buf, g.err
	}
	g.finished = true
	buf, err := g.encoder.Finish(buf[:0])
	if err != nil {
		return buf, fmt.Errorf("write segment: %w", err)
	}
	return buf, g.writeBytes(buf)
}

func (g *segment) writeBytes(b []byte) error { return g.writeHashed(b, g.beside.hash) }

func (g *segment) writeHashed(b []byte, hash func(*segment, []byte)) error {
	if len(b) == 0 || g.err != nil {
		return g.err
	}
	hash(g, b)
	if _, err := g.file.Write(b); err != nil {
		g.err = fmt.Errorf("write segment: %w", err)
		return g.err
	}
	g.artifact.Size += int64(len(b))
	if g.artifact.Size-g.behind >= writeBehind {
		g.beside.writeBack(g)
	}
	return nil
}

// publish makes the file durable and gives it its name, which the directory
// still has to be synced for.
func (g *segment) publish() error {
	g.giveBack()
	var err error
	if g.artifact.Size > 0 { // of an empty file there is only the name
		err = g.file.Sync()
	}
	g.pending.Wait() // the last of it was hashed meanwhile
	g.hash.Sum(g.artifact.SHA256[:0])
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

// giveBack returns what was reserved of the disk and not needed.
func (g *segment) giveBack() {
	g.hints.Wait()
	if end, err := g.file.Seek(0, io.SeekCurrent); err == nil && g.reserved > end {
		_ = g.file.Truncate(end) // room that stays reserved harms no tag
	}
}

// abandon closes the file; with tags in it, it stays for a user who wants to save
// them, under its name of something partial.
func (g *segment) abandon() error {
	g.pending.Wait()
	g.giveBack()
	err := g.file.Close()
	if g.artifact.Tags == 0 {
		err = errors.Join(err, os.Remove(g.file.Name()))
	}
	return err
}
