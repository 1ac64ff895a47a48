package segments

import "tsrun/sdk"

const (
	// writeBehind is how many bytes are handed to the disk at a time, long
	// before the file is closed, so that making it durable takes little.
	writeBehind = 8 << 20
	// mostReserved bounds what is reserved of the disk ahead of a file's end.
	mostReserved = 64 << 20
	// hashPiece and hashPieces bound what waits to be hashed: little enough to stay
	// in the cache of a processor.
	hashPiece, hashPieces = 256 << 10, 16
)

// beside does what need not be waited for while tags are written: it hashes them or copies of
// them, which takes longer than to write them, and gives the kernel hints, which
// wait while the disk's queue is full. The next block is received meanwhile. It
// belongs to one goroutine, like the sink.
type beside struct {
	record sdk.Recording

	work  chan hashing
	free  chan []byte
	hints chan hint
	done  chan struct{}
}

type hashing struct {
	of    *segment
	bytes []byte
	held  bool // in the block's own memory
}

// hint is a part of a file that the disk may have now.
type hint struct {
	of       *segment
	from, to int64
}

func newBeside(r sdk.Recording) *beside {
	b := &beside{record: r, work: make(chan hashing, hashPieces), free: make(chan []byte, hashPieces), hints: make(chan hint, 4), done: make(chan struct{}, 2)}
	memory := make([]byte, hashPieces*hashPiece)
	for i := range hashPieces {
		b.free <- memory[i*hashPiece : (i+1)*hashPiece]
	}
	go func() {
		for w := range b.work {
			w.of.hash.Write(w.bytes)
			if w.held {
				b.record.LetGo()
			} else {
				b.free <- w.bytes[:hashPiece]
			}
			w.of.pending.Done()
		}
		b.done <- struct{}{}
	}()
	go func() {
		for h := range b.hints {
			h.give()
			h.of.hints.Done()
		}
		b.done <- struct{}{}
	}()
	return b
}

// hash takes bytes to be hashed; they are the caller's again when it returns.
func (b *beside) hash(g *segment, bytes []byte) {
	for len(bytes) > 0 {
		piece := <-b.free
		n := copy(piece, bytes)
		g.pending.Add(1)
		b.work <- hashing{of: g, bytes: piece[:n]}
		bytes = bytes[n:]
	}
}

// hashTags takes tags of the block in hand: where it can be held, they are hashed where
// they are, and must not change until then.
func (b *beside) hashTags(g *segment, tags []byte) {
	if b.record.Hold == nil || !b.record.Hold() {
		b.hash(g, tags)
		return
	}
	g.pending.Add(1)
	b.work <- hashing{of: g, bytes: tags, held: true}
}

// writeBack lets the disk have what it has not of a segment. While it is behind with
// hints, the next one tells it more.
func (b *beside) writeBack(g *segment) {
	g.hints.Add(1)
	select {
	case b.hints <- hint{g, g.behind, g.artifact.Size}:
		g.behind = g.artifact.Size
	default:
		g.hints.Done()
	}
}

// stop waits for what is under way.
func (b *beside) stop() {
	close(b.work)
	close(b.hints)
	<-b.done
	<-b.done
}

// give reserves room for what follows, as much as there is by now, and begins to
// write: where the room is there when the pages come, they cost the kernel less.
// What is nearly full keeps its room for others.
func (h hint) give() {
	g := h.of
	if ahead := min(h.to, mostReserved, free(g.file)/16); h.to+writeBehind > g.reserved && ahead >= writeBehind {
		from := max(g.reserved, h.to)
		if reserve(g.file, from, ahead) {
			g.reserved = from + ahead
		}
	}
	writeBack(g.file, h.from, h.to-h.from)
}
