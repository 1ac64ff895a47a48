package sdk

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Artifact is one file a sink has finished: durable, and never changed again.
// It is sent to the master, and its bytes are proven there, whatever it holds.
type Artifact struct {
	Kind   ArtifactKind
	Path   string // relative to Recording.Dir, with slashes: "signal-000000.bin"
	Size   int64
	SHA256 [32]byte

	// Of the kind Tags only:
	Stream      uint16
	Segment     int    // index in the stream, from 0
	Tags        uint64 // number of tags
	First, Last uint64 // ps; 0 when Tags is 0
	Lost        uint64 // tags known lost within the segment
}

// ArtifactKind says what a file holds. Where it is left out, a file whose name
// ends in the name of a format of tags (bin, csv, tags, txt) is of the kind
// Tags, and any other is of the kind Other.
type ArtifactKind string

const (
	// Tags: all tags of one stream in one segment, in the format that the name's
	// ending tells. They are counted against what the channel delivered, and
	// stages may read them.
	Tags ArtifactKind = "tags"
	// Table: numbers that were made of tags, such as counts in bins.
	Table ArtifactKind = "table"
	// Other: anything else, such as a picture.
	Other ArtifactKind = "other"
)

// Keeps says what becomes of the tags that a sink is given.
type Keeps string

const (
	// AllTags: each is in an artifact of the kind [Tags].
	AllTags Keeps = "tags"
	// Elsewhere: each is kept, in no file of the run: in a data base, say. The
	// sink tells by Recording.Kept how many.
	Elsewhere Keeps = "elsewhere"
	// NoTags: the sink makes something of them, such as counts or a picture, and
	// keeps none.
	NoTags Keeps = "nothing"
)

// Publish writes a small file below Dir, makes it durable, gives it its name and
// tells of it. A sink whose files grow for long does the same by itself: it
// writes under a name that begins with a dot, and tells of the file when that
// is whole, synced and renamed. A file that is there already is an error: none
// changes once it was told of.
func (r Recording) Publish(kind ArtifactKind, path string, data []byte) error {
	if !filepath.IsLocal(path) {
		return fmt.Errorf("publish %q: it is no path below the sink's directory", path)
	}
	whole := filepath.Join(r.Dir, path)
	if _, err := os.Lstat(whole); err == nil {
		return fmt.Errorf("publish %s: there is such a file already; give each its own name", path)
	}
	dir, base := filepath.Split(whole)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("publish %s: %w", path, err)
	}
	under := filepath.Join(dir, "."+base+".part")
	err := writeSynced(under, data)
	if err == nil {
		err = os.Rename(under, whole)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", path, err)
	}
	r.Closed(Artifact{Kind: kind, Path: filepath.ToSlash(path), Size: int64(len(data)), SHA256: sha256.Sum256(data)})
	return nil
}

func writeSynced(path string, data []byte) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
