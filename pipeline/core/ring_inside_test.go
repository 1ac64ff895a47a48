//go:build linux

package core

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"tsrun/sdk/blockio"
)

func someRing(t testing.TB) *ring {
	t.Helper()
	r, err := newRing(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// TestSlots: whatever is taken and released in whatever order, slots that are held do not
// overlap, lie in the ring, and all is free when none is held.
func TestSlots(t *testing.T) {
	r := someRing(t)
	rapid.Check(t, func(t *rapid.T) {
		var held []*slot
		sizes := map[*slot]int{}
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				size := rapid.IntRange(blockio.LeastNamed, 1<<20).Draw(t, "size")
				s := r.reserve(size)
				if s == nil {
					if len(held) == 0 {
						t.Fatal("there is no room in an empty ring")
					}
					return
				}
				if s.from < 0 || s.from+size > len(r.memory) || r.place(r.bytes(s, size)) != s.from {
					t.Fatalf("slot from %d of %d bytes in a ring of %d", s.from, size, len(r.memory))
				}
				for _, h := range held {
					if s.from < h.from+sizes[h] && h.from < s.from+size {
						t.Fatalf("%d+%d overlaps %d+%d", s.from, size, h.from, sizes[h])
					}
				}
				held, sizes[s] = append(held, s), size
			},
			"release": func(t *rapid.T) {
				if len(held) == 0 {
					t.Skip("none is held")
				}
				i := rapid.IntRange(0, len(held)-1).Draw(t, "which")
				r.release(held[i])
				held = append(held[:i], held[i+1:]...)
			},
		})
		for _, s := range held {
			r.release(s)
		}
		if r.used != 0 {
			t.Fatalf("%d slots are taken and nobody holds them", r.used)
		}
	})
}

// TestMemoryRunsOut: what the system does not give is not used, and what it has given is.
func TestMemoryRunsOut(t *testing.T) {
	r := someRing(t)
	first := r.reserve(1 << 20)
	given := r.backed
	r.file.Close() // nothing more is given
	var held []*slot
	for s := r.reserve(1 << 20); s != nil; s = r.reserve(1 << 20) {
		held = append(held, s)
	}
	if len(held)+1 != given>>20 || r.backed != given {
		t.Fatalf("%d slots of 1 MiB of %d bytes that were given", len(held)+1, given)
	}
	r.release(first)
	if again := r.reserve(1 << 20); again == nil || again.from != 0 {
		t.Errorf("%+v", again)
	}
}

// TestNobodyElseWrites: who gets the ring's descriptor maps it to read and in no other way,
// and changes neither its length nor its seals.
func TestNobodyElseWrites(t *testing.T) {
	r := someRing(t)
	fd, err := unix.Dup(int(r.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r.reserve(1 << 20)
	if _, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("it can be mapped to write")
	}
	for what, try := range map[string]func() error{
		"shortened":   func() error { return unix.Ftruncate(fd, 4096) },
		"made longer": func() error { return unix.Ftruncate(fd, 1<<30) },
		"written":     func() error { _, err := unix.Pwrite(fd, []byte{1}, 0); return err },
		"emptied":     func() error { return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096) },
		"sealed":      func() error { _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); return err },
	} {
		if try() == nil {
			t.Errorf("it can be %s", what)
		}
	}
}

// lendingTo is a lending with a peer that is there and gives nothing back.
func lendingTo(t *testing.T) *lending {
	t.Helper()
	l, err := newLending(filepath.Join(t.TempDir(), "l"))
	if err != nil {
		t.Fatal(err)
	}
	l.ring = someRing(t)
	served := make(chan struct{})
	go func() {
		defer close(served)
		l.serve(t.Context(), func(error) {})
	}()
	t.Cleanup(func() { l.close(); <-served })
	conn, err := net.Dial("unix", l.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for begun := false; !begun; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		begun = l.conn != nil
		l.mu.Unlock()
	}
	return l
}

// TestWaitForBlocksToComeBack: no more is lent than may be; the wait ends when the sink
// is retired, when the core ends, and when its patience does, which moves with its progress.
func TestWaitForBlocksToComeBack(t *testing.T) {
	for name, wake := range map[string]func(*lending, context.CancelFunc){
		"retired":  func(l *lending, _ context.CancelFunc) { l.retire() },
		"closed":   func(l *lending, _ context.CancelFunc) { l.close() },
		"ended":    func(_ *lending, end context.CancelFunc) { end() },
		"patience": func(l *lending, _ context.CancelFunc) { l.progressed(0) },
	} {
		t.Run(name, func(t *testing.T) {
			l := lendingTo(t)
			ctx, end := context.WithCancel(t.Context())
			defer end()
			size := mostLent / 8
			for i := range 8 {
				s := l.ring.reserve(size)
				if named, err := l.lend(ctx, time.Hour, s, size); !named || err != nil {
					t.Fatalf("block %d: %v, %v", i, named, err)
				}
				l.ring.release(s)
			}
			s := l.ring.reserve(size)
			l.until = time.Time{}
			type answer struct {
				named bool
				err   error
			}
			got := make(chan answer)
			go func() {
				named, err := l.lend(ctx, time.Hour, s, size)
				got <- answer{named, err}
			}()
			for waits := false; !waits; time.Sleep(time.Millisecond) { // it has set its own deadline
				l.mu.Lock()
				waits = time.Until(l.until) > time.Minute
				l.mu.Unlock()
			}
			wake(l, end)
			a := <-got
			if late := errors.Is(a.err, os.ErrDeadlineExceeded); a.named || late != (name == "patience") {
				t.Errorf("%+v", a)
			}
		})
	}
}
