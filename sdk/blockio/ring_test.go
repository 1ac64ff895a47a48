//go:build linux

package blockio

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// opened is a ring of so many bytes, and the core's end of it.
func opened(t testing.TB, bytes int) (*Ring, net.Conn) {
	t.Helper()
	core, err := offer(t, func(conn *net.UnixConn) error { return hand(conn, memory(t, bytes, true)) })
	if err != nil {
		t.Fatal(err)
	}
	return core.ring, core.conn
}

type offered struct {
	ring *Ring
	conn net.Conn
}

// offer plays a core that does something to who connects.
func offer(t testing.TB, do func(*net.UnixConn) error) (o offered, err error) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "r"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			o.conn = conn
			err = do(conn.(*net.UnixConn))
		}
		done <- err
	}()
	o.ring, err = OpenRing(t.Context(), l.Addr().String())
	if failed := <-done; failed != nil {
		t.Fatal(failed)
	}
	t.Cleanup(func() {
		l.Close()
		o.conn.Close()
		if o.ring != nil {
			o.ring.Close()
		}
	})
	return o, err
}

func memory(t testing.TB, bytes int, sealed bool) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "test")
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(int64(bytes)); err != nil {
		t.Fatal(err)
	}
	if sealed {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func hand(conn *net.UnixConn, f *os.File) error {
	_, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(int(f.Fd())), nil)
	return err
}

// TestRingThatIsNone: what is no memory of a fixed length is not mapped.
func TestRingThatIsNone(t *testing.T) {
	for name, do := range map[string]func(*net.UnixConn) error{
		"closed":        func(conn *net.UnixConn) error { return conn.Close() },
		"no descriptor": func(conn *net.UnixConn) error { _, err := conn.Write([]byte{0}); return err },
		"not sealed":    func(conn *net.UnixConn) error { return hand(conn, memory(t, 4096, false)) },
		"empty":         func(conn *net.UnixConn) error { return hand(conn, memory(t, 0, true)) },
		"endless":       func(conn *net.UnixConn) error { return hand(conn, memory(t, mostMemory+4096, true)) },
		"no memory":     func(conn *net.UnixConn) error { return hand(conn, os.Stdin) },
	} {
		t.Run(name, func(t *testing.T) {
			if o, err := offer(t, do); err == nil {
				t.Errorf("%d bytes were mapped", len(o.ring.memory))
			}
		})
	}
	if _, err := OpenRing(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("there is a ring where nobody listens")
	}
}

// FuzzPlace: whatever place a core names, only memory of the ring is given out.
func FuzzPlace(f *testing.F) {
	const bytes = 1 << 20
	for _, at := range []uint64{0, 8, 1, bytes - LeastNamed, bytes - LeastNamed + 8, bytes, 1 << 63, 1<<64 - 8} {
		f.Add(at, uint32(LeastNamed))
	}
	f.Add(uint64(0), uint32(bytes))
	f.Add(uint64(8), uint32(bytes))
	ring, core := opened(f, bytes)
	go io.Copy(io.Discard, core) // ends with it
	f.Fuzz(func(t *testing.T, at uint64, size uint32) {
		good := at%8 == 0 && at <= bytes && uint64(size) <= bytes-at
		var place [PlaceSize]byte
		binary.LittleEndian.PutUint64(place[:], at)
		got, err := ring.take(place[:], int(size))
		if (err == nil) != good {
			t.Fatalf("%d bytes at %d: %v", size, at, err)
		}
		if good && (len(got) != int(size) || size > 0 && &got[0] != &ring.memory[at]) {
			t.Fatalf("%d bytes at %d: %d bytes elsewhere", size, at, len(got))
		}
		ring.leave()
	})
}

// TestGivingBack: a block is given back when it is in nobody's hand and nobody holds it,
// behind those before it, and more are not named than can be.
func TestGivingBack(t *testing.T) {
	const size = tellAfter // so that each is told
	ring, core := opened(t, size)
	take := func() {
		t.Helper()
		if _, err := ring.take(make([]byte, PlaceSize), size); err != nil {
			t.Fatal(err)
		}
	}
	told := make(chan uint64, MostNamed)
	go func() {
		defer close(told)
		var word [8]byte
		for {
			if _, err := io.ReadFull(core, word[:]); err != nil {
				return
			}
			told <- binary.LittleEndian.Uint64(word[:])
		}
	}()
	if ring.Hold() {
		t.Error("nothing can be held before the first block")
	}
	ring.LetGo() // nobody holds anything
	take()
	ring.leave() // told: 1
	if ring.Hold() {
		t.Error("what is in nobody's hand can be held")
	}
	take()
	ring.Hold()
	ring.Hold()
	ring.LetGo()
	ring.leave()
	take()
	ring.leave() // behind one that is held
	take()
	ring.Hold()
	ring.LetGo() // the first that is held: told 3
	ring.LetGo() // it is still in hand
	ring.leave() // told: 4
	for i := range MostNamed {
		take()
		if i == 0 {
			ring.Hold()
		}
		ring.leave()
	}
	if _, err := ring.take(make([]byte, PlaceSize), size); err == nil {
		t.Error("more blocks were named than can be")
	}
	ring.LetGo() // told: all
	ring.Close()
	var got []uint64
	for n := range told {
		got = append(got, n)
	}
	if !slices.Equal(got, []uint64{1, 3, 4, 4 + MostNamed}) {
		t.Errorf("told %d", got)
	}
}
