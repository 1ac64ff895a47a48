//go:build linux

package core_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/core"
	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const (
	longTags   = 1 << 15 // in a block that is named: 256 KiB
	severalMiB = 80      // such blocks: more than the smallest ring has room for
)

// kept makes an outlet whose blocks are kept; ring is where they can be read in place.
func (n *node) kept(name string, streams ...uint16) (endpoint, ring string) {
	n.t.Helper()
	endpoint = n.outlet(name, streams...)
	ring, err := n.Retain(name)
	if err != nil {
		n.t.Fatal(err)
	}
	return endpoint, ring
}

// placeReader is a sink that reads in place.
type placeReader struct {
	*blockio.Reader
	t    testing.TB
	conn *zmtp.Conn
}

func readInPlace(t testing.TB, endpoint, ring string) *placeReader {
	t.Helper()
	memory, err := blockio.OpenRing(t.Context(), ring)
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, endpoint, zmq4.Pull)
	r := &placeReader{Reader: blockio.NewReader(conn), t: t, conn: conn}
	r.Ring = memory
	t.Cleanup(r.die)
	return r
}

// die ends the connections, as the end of a process does.
func (r *placeReader) die() {
	if r.Ring != nil {
		r.conn.Close()
		r.Ring.Close()
		r.Ring = nil
	}
}

// next receives a block; named: its tags lie in the ring.
func (r *placeReader) next() (b tag.Block, named bool) {
	r.t.Helper()
	_ = r.conn.SetReadDeadline(time.Now().Add(patience))
	m, err := r.Next()
	if err == nil {
		err = m.Check()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if named = r.Ring.Hold(); named {
		r.Ring.LetGo()
	}
	return m.Block(), named
}

// row are tags in order.
func row(from uint64, n int) []uint64 {
	tags := make([]uint64, n)
	for i := range tags {
		tags[i] = from + uint64(i)
	}
	return tags
}

// rows sends blocks of tags in a row, and the end.
func (d *driver) rows(stream uint16, blocks, tags int) {
	for i := range blocks {
		d.tags(stream, row(uint64(i*tags), tags)...)
	}
	d.end(stream, uint64(blocks*tags))
}

// TestBlocksAreReadInPlace: the longer ones lie where the core has received them and stay
// as they are while they are held; more come than there is room for.
func TestBlocksAreReadInPlace(t *testing.T) {
	n := newNode(t)
	n.Retained = 1 << 20
	in := n.inlet("alice.tc", 1)
	raw, ring := n.kept("raw", 1)
	n.start()
	s := readInPlace(t, raw, ring)
	lengths := []int{1, few - 1, few, 2, longTags, tag.MaxBlockTags, few + 1}
	d := newDriver(t, in)
	sent := make(chan struct{})
	const rounds = 30 // of 1.4 MB
	go func() {
		defer close(sent)
		next := uint64(0)
		for range rounds {
			for _, n := range lengths {
				d.tags(1, row(next, n)...)
				next += uint64(n)
			}
		}
		d.end(1, next)
	}()
	var held [][]uint64
	next := uint64(0)
	for range rounds {
		for _, n := range lengths {
			b, named := s.next()
			if named != (n >= few) {
				t.Errorf("a block of %d tags: named %v", n, named)
			}
			if named && s.Ring.Hold() {
				held = append(held, b.Tags)
			}
			if !slices.Equal(b.Tags, row(next, n)) {
				t.Fatalf("a block of %d tags from %d on came as %d", n, next, b.Tags[:1])
			}
			next += uint64(n)
			if len(held) == 5 {
				if !slices.Equal(held[0], row(held[0][0], len(held[0]))) {
					t.Fatal("tags changed while they were held")
				}
				s.Ring.LetGo()
				held = held[1:]
			}
		}
	}
	if b, _ := s.next(); b.Kind != tag.End {
		t.Errorf("%+v", b)
	}
	<-sent
	if err := n.wait(); err != nil {
		t.Error(err)
	}
}

// TestSinkDiesWithBlocksInHand: what it had is lent to the next process, from what was
// acknowledged on, however often, and the core has all of its memory again.
func TestSinkDiesWithBlocksInHand(t *testing.T) {
	n := newNode(t)
	n.Retained = 4 << 20
	in := n.inlet("alice.tc", 1)
	raw, ring := n.kept("raw", 1)
	n.start()
	d := newDriver(t, in)
	sent, may := make(chan struct{}), make(chan int, 8) // may: so many blocks, that what is not acknowledged is kept
	const blocks = severalMiB
	go func() {
		defer close(sent)
		for i, most := 0, 12; i < blocks; i++ {
			if i >= most {
				most = <-may // 0: the test has failed
			}
			if i >= most {
				return
			}
			d.tags(1, row(uint64(i*longTags), longTags)...)
		}
		d.end(1, blocks*longTags)
	}()
	defer close(may)
	next, acked := uint64(0), uint64(0) // tags
	for died := range 4 {
		s := readInPlace(t, raw, ring)
		for i := range 20 {
			b, named := s.next()
			first := b.Tags[0]
			if want := max(acked, next); i > 0 && first != want || i == 0 && first != acked || !named && len(b.Tags) >= few {
				t.Fatalf("process %d was sent tag %d, want %d; named %v", died, first, want, named)
			}
			next = first + uint64(len(b.Tags))
			if i == 10 {
				acked = next - longTags/2 // in the middle of a block
				n.Acknowledge("raw", 1, acked)
				may <- int(acked/longTags) + 15
			}
			if !s.Ring.Hold() {
				t.Fatal("a block cannot be held")
			}
		}
		raw = n.resume("raw")
		s.die()
		next = acked
	}
	may <- blocks
	s := readInPlace(t, raw, ring)
	for {
		b, _ := s.next()
		if b.Kind == tag.End {
			break
		}
		if b.Tags[0] != next {
			t.Fatalf("the last process was sent tag %d, want %d", b.Tags[0], next)
		}
		next += uint64(len(b.Tags))
	}
	<-sent
	if err := n.wait(); err != nil || next != blocks*longTags {
		t.Errorf("%d tags, want %d; %v", next, blocks*longTags, err)
	}
}

// TestSinkGivesNothingBack: it is left behind as one that takes nothing, and the driver goes on.
func TestSinkGivesNothingBack(t *testing.T) {
	n := newNode(t)
	n.Patience = time.Second
	in := n.inlet("alice.tc", 1)
	raw, ring := n.kept("raw", 1)
	n.start()
	s := readInPlace(t, raw, ring)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			if _, err := s.Next(); err != nil {
				return
			}
			s.Ring.Hold()
		}
	}()
	newDriver(t, in).rows(1, severalMiB, longTags)
	var fault *core.Fault
	if err := n.wait(); !errors.As(err, &fault) || fault.Name != "raw" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the core says %v", err)
	}
	<-read
}

// TestSinkLiesAboutBlocks: one that gives back what it does not have is blamed and gets no
// more, at once; the driver goes on.
func TestSinkLiesAboutBlocks(t *testing.T) {
	for name, says := range map[string][]uint64{
		"nothing":                 {0},
		"what it was never named": {1 << 20},
		"all there could be":      {1<<64 - 1},
		"the same again":          {1, 1},
		"less than before":        {2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			in := n.inlet("alice.tc", 1)
			raw, ring := n.kept("raw", 1)
			n.start()
			conn, err := net.Dial("unix", ring)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			blocks := blockio.NewReader(dial(t, raw, zmq4.Pull))
			d := newDriver(t, in)
			for i := range 2 {
				d.tags(1, row(uint64(i*few), few)...)
			}
			for range 2 {
				if _, err := blocks.Next(); err == nil || !strings.Contains(err.Error(), "8 bytes of tags") {
					t.Fatalf("it was sent more than a place: %v", err)
				}
			}
			for _, back := range says {
				if err := binary.Write(conn, binary.LittleEndian, back); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := blocks.Next(); err == nil {
				t.Error("it was sent another block")
			}
			d.end(1, 2*few)
			var fault *core.Fault
			if err := n.wait(); !errors.As(err, &fault) || fault.Name != "raw" || !errors.Is(err, core.ErrLied) {
				t.Errorf("the core says %v", err)
			}
		})
	}
}
