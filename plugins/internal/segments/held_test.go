package segments

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// lender lends blocks and spoils the tags of each as soon as it has all of it back.
type lender struct {
	mu     sync.Mutex
	refuse bool
	hand   *lentBlock
	holds  []*lentBlock // the oldest first
	held   int
}

type lentBlock struct {
	tags []uint64
	uses int
}

func (l *lender) hold() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse {
		return false
	}
	l.hand.uses++
	l.holds = append(l.holds, l.hand)
	l.held++
	return true
}

func (l *lender) letGo() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(l.holds[0])
	l.holds = l.holds[1:]
}

// drop ends one use of a block; mu is held.
func (l *lender) drop(b *lentBlock) {
	if b.uses--; b.uses == 0 {
		for i := range b.tags {
			b.tags[i] = 0xdead
		}
	}
}

// TestHeldBlocks: tags that can be held are hashed where they lie, no longer than they are
// held, and others in a copy; a block that ends one segment and begins the next, too.
func TestHeldBlocks(t *testing.T) {
	for _, format := range []string{tagfile.Bin, tagfile.Tags} {
		t.Run(format, func(t *testing.T) {
			l, dir := &lender{}, t.TempDir()
			var closed []sdk.Artifact
			s := ofFormat(format)
			const blocks, length = 30, 10_000 // tags, a tag every ns: the segments end within blocks
			err := s.Begin(t.Context(), sdk.Recording{Dir: dir, Segment: 17 * time.Microsecond, Streams: []sdk.RecordedStream{{Name: "a"}},
				Hold: l.hold, LetGo: l.letGo, Closed: func(a sdk.Artifact) { closed = append(closed, a) }})
			if err != nil {
				t.Fatal(err)
			}
			var want []uint64
			for i := range uint64(blocks) {
				b := &lentBlock{tags: make([]uint64, length), uses: 1}
				for k := range b.tags {
					b.tags[k] = (i*length + uint64(k)) * ns
				}
				want = append(want, b.tags...)
				l.mu.Lock()
				l.hand, l.refuse = b, i%3 == 2
				l.mu.Unlock()
				if err := s.Write(t.Context(), &tag.Block{Kind: tag.Data, Seq: i, Tags: b.tags}); err != nil {
					t.Fatal(err)
				}
				l.mu.Lock()
				l.drop(b)
				l.mu.Unlock()
			}
			if err := s.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if len(l.holds) > 0 || (l.held > 0) != (format == tagfile.Bin) {
				t.Errorf("%d of %d are still held", len(l.holds), l.held)
			}
			var all []byte
			for _, a := range closed {
				content, err := os.ReadFile(filepath.Join(dir, a.Path))
				if err != nil || sha256.Sum256(content) != a.SHA256 {
					t.Errorf("%s: not what was hashed; %v", a.Path, err)
				}
				all = append(all, content...)
			}
			if format == tagfile.Bin && !bytes.Equal(all, tag.AppendTags(nil, want)) {
				t.Error("the files hold other tags")
			}
		})
	}
}
