// Package transfer brings closed files from the nodes to the master and proves
// that they arrived whole.
//
//	node                                              master
//	Queue ─▶ Sender ── chunks ── PAIR ─ ─ ─ ▶ PAIR ── Receiver ─▶ NAME.part, and its ledger
//	          │  ▲  ◀─ credit ──      ◀ ─ ─ ─            │  check, hash, fsync, rename
//	          │  └── Answer: missing ranges, verified ── Ask
//	          └───── "what have you got of this file?" ──┘
//
// Questions travel to the status port, over a connection that no heartbeat
// waits for, chunks over connections of their own. So many chunks of each may be
// on their way as there is credit for; the credit for a chunk says that it and
// all before it were dealt with, not that they were good. What is proven is
// asked for: the Sender asks what is missing, sends that, and asks again until
// the Receiver has verified the SHA-256 of what it has on disk. A cut
// connection, a damaged chunk, a process that was killed and a file whose hash
// differs are all just missing ranges.
//
// What has arrived of a file outlives both processes, and may go on with other
// settings: the ledger beside NAME.part has the checksum of every chunk. Who
// finds one reads the chunks again before it believes them, while what was never
// there is on its way already. Where the hash differs the chunks are read again
// too: those that are wrong are sent again, and where none is, the Sender looks
// whether its own file is what it was.
//
// The Receiver believes nothing. Who sends must know the token of the session; names,
// number and sizes of files are compared with the Plan that the master has made of
// the recipe; sizes, offsets and lengths are checked before anything is allocated or
// written. What names a file is done by a clerk, on a thread that can write into the
// node's own folder alone.
package transfer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strings"

	"tsrun/pipeline/fact"
)

// Digest is a SHA-256; in JSON and in print it is hexadecimal.
type Digest [32]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText returns 64 hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(d) {
		return fmt.Errorf("read SHA-256 %.70q: 64 hexadecimal digits are needed", text)
	}
	copy(d[:], b)
	return nil
}

// File is one closed file. It must not change while it is queued.
type File struct {
	ID     uint32 `json:"id"`   // of this file among those of the session
	Name   string `json:"name"` // where it belongs at the master, with slashes: "raw/alice/signal-000000.bin"
	Path   string `json:"-"`    // where it is now
	Size   int64  `json:"size"` // bytes
	SHA256 Digest `json:"sha256"`
	// Withdrawn is why the sender will not send it; empty: it will.
	Withdrawn string `json:"withdrawn,omitempty"`
}

// FileOf is the file of a segment that a node has closed, by its number. Where
// its SHA-256 is none, the error says so and no file will ever match it.
func FileOf(number uint32, s fact.Segment) (File, error) {
	f := File{ID: number, Name: s.File, Size: s.Size}
	return f, f.SHA256.UnmarshalText([]byte(s.SHA256))
}

const (
	maxSize = 1 << 43 // bytes, 8 TiB; no file system of a lab PC takes more in one file
	maxName = 1024
)

// check checks what a node claims about a file of its.
func (f File) check(node string) error {
	if f.Size < 0 || f.Size > maxSize {
		return fmt.Errorf("size of %d bytes", f.Size)
	}
	if folder := folderOf(node); !strings.HasPrefix(f.Name, folder) {
		return fmt.Errorf("the file does not belong into %s", folder)
	}
	return checkName(f.Name)
}

// checkName checks that a name is one that a finished file may have.
func checkName(name string) error {
	base := path.Base(name)
	switch {
	case len(name) > maxName, strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f }):
		return errors.New("the name is too long or has control characters or backslashes")
	case !fs.ValidPath(name):
		return errors.New("the name is no path below the run directory")
	case strings.HasPrefix(base, "."), strings.HasSuffix(base, partSuffix):
		return errors.New("names that begin with a dot or end with " + partSuffix + " are kept for files under way")
	}
	return nil
}

// rawDir is where the folders of nodes are.
const rawDir = "raw"

func folderOf(node string) string { return rawDir + "/" + node + "/" }

// partSuffix marks a file that is not whole yet.
const partSuffix = ".part"

// Answer says what the master has of a file.
type Answer struct {
	Verified bool    `json:"verified,omitempty"` // durable there, with the SHA-256 that was announced
	Refused  string  `json:"refused,omitempty"`  // final: it will not be taken, and why
	Missing  []Range `json:"missing,omitempty"`  // at most maxRanges; none while it is being verified
	Looked   int64   `json:"looked,omitempty"`   // bytes read back so far, to check and to hash; it grows while that goes on
	Unpacks  bool    `json:"unpacks,omitempty"`  // chunks of it may come packed
	Differs  int     `json:"differs,omitempty"`  // times that all came as it was sent, and the SHA-256 is another
}

// Range is a part of a file, in bytes.
type Range struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

// check checks that r lies within a file of size bytes.
func (r Range) check(size int64) error {
	if r.Offset < 0 || r.Length <= 0 || r.Length > math.MaxInt64-r.Offset || r.Offset+r.Length > size {
		return fmt.Errorf("range of %d bytes at %d of a file of %d", r.Length, r.Offset, size)
	}
	return nil
}
