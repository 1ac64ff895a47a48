package transfer

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tsrun/internal/need"
)

// A file of more than 2^32 bytes, with holes in it and tags at its ends, is on
// its way while both ends are killed at ten random points: each time at most one
// window of each connection is sent again, and it comes whole.
func TestLongLargeFileThroughKills(t *testing.T) {
	need.LongWhole(t)
	const size, kills, streams = 1<<32 + 1<<20 + 5, 10, 2
	b := newBench(t)
	f := File{ID: 1, Name: "raw/bob/large.bin", Path: filepath.Join(b.sources, "large"), Size: size, SHA256: sparse(t, filepath.Join(b.sources, "large"), size)}
	count := &sent{}
	random := rand.New(rand.NewPCG(3, 5))
	options := SenderOptions{Streams: streams}
	for kill := range int64(kills) {
		l := begin(t, b.dir)
		l.sendUntil(options, f, kill*(size/kills)+random.Int64N(size/kills), count)
	}
	l := begin(t, b.dir)
	s := l.sender(options, count)
	s.Queue(f)
	s.Finish()
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	most := int64(kills * streams * DefaultWindow * DefaultChunk)
	if again := count.bytes - size; again > most {
		t.Errorf("%d bytes were sent again, at most %d were on their way", again, most)
	} else {
		t.Logf("%d bytes were sent again in %d kills; %d were the most on their way", again, kills, most)
	}
	got, err := os.Open(filepath.Join(b.dir, f.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if info, err := got.Stat(); err != nil || info.Size() != size {
		t.Fatalf("%d bytes came: %v", info.Size(), err)
	}
	for _, at := range marks(size) { // the receiver has proven the rest
		b := make([]byte, len(mark))
		if _, err := got.ReadAt(b, at); err != nil || string(b) != mark {
			t.Errorf("%q is at %d: %v", b, at, err)
		}
	}
}

const mark = "tags-tag"

// marks are where a file of so many bytes is no hole.
func marks(size int64) []int64 { return []int64{0, 1 << 31, 1<<32 - 3, size - int64(len(mark))} }

// sparse makes a file that is mostly holes, and returns its SHA-256.
func sparse(t *testing.T, name string, size int64) Digest {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, at := range marks(size) {
		if _, err := file.WriteAt([]byte(mark), at); err != nil {
			t.Fatal(err)
		}
	}
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		t.Fatal(err)
	}
	return Digest(h.Sum(nil))
}
