package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tsrun/pipeline/wire"
)

const wait = 50 * time.Second // longer than any test needs, so that speed decides nothing

// bench is a receiver at work and what it needs.
type bench struct {
	t        *testing.T
	receiver *Receiver
	dir      string // where files arrive
	sources  string
	seen     func() map[string]Progress // newest of each file
}

func newBench(t *testing.T) *bench { return newBenchIn(t, t.TempDir()) }

func newBenchIn(t *testing.T, dir string) *bench {
	t.Helper()
	r, err := NewReceiver("127.0.0.1:0", wire.Guard{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var mu sync.Mutex
	files := map[string]Progress{}
	running.Go(func() {
		for {
			select {
			case p := <-r.Progress():
				mu.Lock()
				files[p.File] = p
				mu.Unlock()
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return &bench{t: t, receiver: r, dir: dir, sources: t.TempDir(), seen: func() map[string]Progress {
		mu.Lock()
		defer mu.Unlock()
		copied := map[string]Progress{}
		for name, p := range files {
			copied[name] = p
		}
		return copied
	}}
}

// admission lets a node send whatever it likes.
func admission(token [16]byte, node, dir string) Admission {
	return Admission{Token: token, Node: node, Dir: dir,
		Plan: Plan{Places: []Place{{Folder: "raw/" + node, Files: 1 << 20}}, Bytes: 1 << 62}}
}

// node admits a node and returns a sender of its.
func (b *bench) node(name string, token byte, addr string) *Sender {
	t := [16]byte{token}
	b.receiver.Admit(admission(t, name, b.dir))
	<-b.receiver.session(t).clerk.ready // until then a file of its trial may be there
	if addr == "" {
		addr = b.receiver.Addr().String()
	}
	return NewSender(SenderOptions{Addr: addr, Token: t, Chunk: 64 << 10,
		Ask: func(_ context.Context, f File) (Answer, error) { return b.receiver.Ask(t, f), nil }})
}

// source makes a file of a node with content that is its own.
func (b *bench) source(node string, id uint32, size int) File {
	b.t.Helper()
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(id), byte(len(node)), node[0]}).Read(content)
	f := File{ID: id, Name: fmt.Sprintf("raw/%s/signal-%06d.bin", node, id), Path: filepath.Join(b.sources, fmt.Sprintf("%s-%d", node, id)), Size: int64(size), SHA256: sha256.Sum256(content)}
	if err := os.WriteFile(f.Path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return f
}

// send runs s with files until it is done.
func send(t *testing.T, s *Sender, files ...File) error {
	t.Helper()
	for _, f := range files {
		s.Queue(f)
	}
	s.Finish()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	return s.Run(ctx)
}

// arrived checks that files are at the master, byte for byte, and nothing else.
func (b *bench) arrived(files ...File) {
	b.t.Helper()
	for _, f := range files {
		want, err := os.ReadFile(f.Path)
		if err != nil {
			b.t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(b.dir, f.Name))
		if err != nil || !bytes.Equal(got, want) {
			b.t.Fatalf("%s: %d bytes of %d, or others: %v", f.Name, len(got), len(want), err)
		}
	}
	var there []string
	filepath.WalkDir(b.dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			there = append(there, p)
		}
		return err
	})
	if len(there) != len(files) {
		b.t.Fatalf("%d files for %d: %v", len(there), len(files), there)
	}
}

// verified waits until the progress of f says so and returns it.
func (b *bench) verified(f File) Progress {
	b.t.Helper()
	for late := time.After(wait); ; {
		p := b.seen()[f.Name]
		if p.Verified {
			return p
		}
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			b.t.Fatalf("progress of %s ended with %+v", f.Name, p)
		}
	}
}
