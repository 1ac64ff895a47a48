package transfer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestFilesArrive(t *testing.T) {
	b := newBench(t)
	s := b.node("alice", 1, "")
	var files []File
	for id, size := range []int{0, 1, 64 << 10, 64<<10 + 1, 0, 5 << 20, 999_999} {
		files = append(files, b.source("alice", uint32(id), size))
	}
	if err := send(t, s, files...); err != nil {
		t.Fatal(err)
	}
	b.arrived(files...)
	for _, f := range files {
		if p := b.verified(f); p.Node != "alice" || p.Done != f.Size || p.Size != f.Size || p.Damaged != 0 {
			t.Fatalf("progress ended with %+v", p)
		}
	}
}

func TestSeveralNodesAtOnceWhileFilesAreMade(t *testing.T) {
	b := newBench(t)
	var all []File
	var sending sync.WaitGroup
	for n, node := range []string{"alice", "bob", "charlie"} {
		s := b.node(node, byte(n+1), "")
		var files []File
		for id := range uint32(40) { // more than may be under way
			files = append(files, b.source(node, id, 50_000+int(id)))
		}
		all = append(all, files...)
		sending.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), wait)
			defer cancel()
			if err := s.Run(ctx); err != nil {
				t.Errorf("%s: %v", node, err)
			}
		})
		sending.Go(func() {
			for _, f := range files {
				s.Queue(f)
				time.Sleep(time.Millisecond)
			}
			s.Finish()
		})
	}
	sending.Wait()
	b.arrived(all...)
}

// All files under way are over at once, and one more waits for its turn.
func TestMoreFilesThanMayBeUnderWay(t *testing.T) {
	asked := map[uint32]int{}
	s := NewSender(SenderOptions{Ask: func(_ context.Context, f File) (Answer, error) {
		asked[f.ID]++
		return Answer{Verified: asked[f.ID] > 4}, nil
	}})
	var files []File
	for id := range uint32(maxOpen + 1) {
		files = append(files, File{ID: id, Name: fmt.Sprint(id)})
	}
	if err := send(t, s, files...); err != nil || len(asked) != len(files) {
		t.Fatalf("%d of %d files: %v", len(asked), len(files), err)
	}
}

func TestCutConnection(t *testing.T) {
	b := newBench(t)
	p := newProxy(t, b.receiver.Addr().String(), func(conn int, at int64, _ []byte) bool {
		return conn > 3 || at < int64(conn)<<20
	})
	s := b.node("bob", 1, p.addr())
	f := b.source("bob", 1, 8<<20)
	if err := send(t, s, f); err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
	if n := p.seen(); n != 4 {
		t.Fatalf("%d connections", n)
	}
}

// A chunk of which a bit was changed on its way is sent again, alone.
func TestDamagedChunk(t *testing.T) {
	const chunk, onWire = 64 << 10, 64<<10 + 2 + headSize + 9 // with the headers of its frames
	b := newBench(t)
	var passed atomic.Int64
	p := newProxy(t, b.receiver.Addr().String(), func(conn int, at int64, piece []byte) bool {
		for _, n := range []int64{20, 30, 64} { // the file has 64: the last is one that is sent again
			if hit := n*onWire + chunk/2 - at; hit >= 0 && hit < int64(len(piece)) {
				piece[hit] ^= 4
			}
		}
		passed.Store(at + int64(len(piece)))
		return true
	})
	s := b.node("bob", 1, p.addr())
	f := b.source("bob", 1, 64*chunk)
	if err := send(t, s, f); err != nil {
		t.Fatal(err)
	}
	b.arrived(f)
	if seen := b.verified(f); seen.Damaged != 3 {
		t.Fatalf("%d chunks were damaged", seen.Damaged)
	}
	if n := passed.Load() / onWire; n != 64+3 || p.seen() != 1 {
		t.Fatalf("%d chunks went over %d connections", n, p.seen())
	}
}

// Bits that flip anywhere, in heads and lengths too, cost time and nothing else.
func TestNoisyNetwork(t *testing.T) {
	b := newBench(t)
	r := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	p := newProxy(t, b.receiver.Addr().String(), func(_ int, at int64, piece []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		for range len(piece) * 3 / (1 << 20) {
			piece[r.IntN(len(piece))] ^= 1 << r.IntN(8)
		}
		if at > 1000 && r.IntN(10) == 0 {
			piece[r.IntN(len(piece))] ^= 1 << r.IntN(8)
		}
		return true
	})
	s := b.node("bob", 1, p.addr())
	files := []File{b.source("bob", 1, 3<<20), b.source("bob", 2, 1<<20), b.source("bob", 3, 10)}
	if err := send(t, s, files...); err != nil {
		t.Fatal(err)
	}
	b.arrived(files...)
}

// TestOldestFileFirst: of two nodes that send at once, each sends the oldest of its
// files first: no byte of a file comes while more is missing of those before it than may
// be on its way.
func TestOldestFileFirst(t *testing.T) {
	b := newBench(t)
	var sending sync.WaitGroup
	var all []File
	for n, streams := range []int{1, 3} {
		node, token := []string{"alice", "bob"}[n], [16]byte{byte(n + 1)}
		b.receiver.Admit(admission(token, node, b.dir))
		const chunk, window = 4 << 10, 2
		looked := 0
		s := NewSender(SenderOptions{Addr: b.receiver.Addr().String(), Token: token, Chunk: chunk, Window: window, Streams: streams, Ask: func(_ context.Context, f File) (Answer, error) {
			a := b.receiver.Ask(token, f)
			if ahead := b.receiver.session(token).ahead(); streams == 1 && ahead > 0 || ahead > int64(streams*(window+1)*chunk) {
				t.Errorf("%s: %d bytes are missing of files before one of which bytes came", node, ahead)
			}
			looked++
			return a, nil
		}})
		var files []File
		for id := range uint32(40) {
			files = append(files, b.source(node, id, 60_000+int(id)))
		}
		all = append(all, files...)
		sending.Go(func() {
			if err := send(t, s, files...); err != nil || looked < len(files) {
				t.Errorf("%s: asked %d times, %v", node, looked, err)
			}
		})
	}
	sending.Wait()
	b.arrived(all...)
}

// ahead is how many bytes are missing of the files before the newest of which any came.
func (s *session) ahead() (missing int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := uint32(0)
	for id, in := range s.files {
		if in.got.bytes() > 0 {
			newest = max(newest, id)
		}
	}
	for id, in := range s.files {
		if id < newest {
			missing += in.file.Size - in.got.bytes()
		}
	}
	return missing
}
